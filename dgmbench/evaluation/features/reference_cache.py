"""What is known of real images alone, kept by what it was found from: models and seeds share it.

Held-out images have the same nearest training images, and training images the same distance to them, whoever
generated what they are compared with.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.evaluation.checked_files import read_checked, tell, write_checked
from dgmbench.files import sha256_json
from dgmbench.provenance import code_hash

Arrays = Mapping[str, np.ndarray[Any, Any]]
WHAT = "arrays"
LIBRARIES = ("numpy", "scikit-learn", "torch")


class ReferenceCache:
    """Files ``<folder>/reference/<key>.arrays``; a damaged one is told on standard error and made anew.

    Args:
        folder: made when first needed; None keeps nothing.
    """

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = None if folder is None else Path(folder) / "reference"

    def arrays(self, parts: tuple[object, ...], compute: Callable[[], Arrays]) -> Arrays:
        """``compute()``, once for equal `parts`: all that it depends on but code, hashes of data included."""
        if self.folder is None:
            return compute()
        key = hashlib.sha256(repr((code_and_versions(), *parts)).encode()).hexdigest()
        path = self.folder / f"{key}.arrays"
        kept = _read(path)
        if kept is None:
            kept = compute()
            buffer = io.BytesIO()
            np.savez(buffer, allow_pickle=False, **kept)
            write_checked(path, buffer.getbuffer(), WHAT)
        return kept


@cache
def code_and_versions() -> str:
    """SHA-256 of all code behind a measurement, and the libraries it stands on: a change of either asks anew.

    That includes where images, views and seeds come from.
    """
    versions = {name: version(name) for name in LIBRARIES}
    return sha256_json({"code": code_hash("dgmbench.evaluation.suite"), "versions": versions})


def _read(path: Path) -> Arrays | None:
    body = read_checked(path, WHAT)
    if body is None:
        return None
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError):
        tell(path, "holds no arrays", WHAT)
        return None
