"""The data sets by name. To add one: a file in `dgmbench.data.sets`, a line here.

Listing them imports nothing; describing one imports its own file, neither torch nor scikit-learn.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgmbench.data.fetch.raw import Fetched
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split
from dgmbench.errors import DataError, suggest

# Strings, not imports, in the order in which they are listed to users.
DATASETS: dict[str, str] = {
    "digits": "dgmbench.data.sets.digits:DIGITS",
    "mnist": "dgmbench.data.sets.mnist:MNIST",
    "fashion": "dgmbench.data.sets.mnist:FASHION",
    "mnist_static": "dgmbench.data.sets.mnist:MNIST_STATIC",
    "frey": "dgmbench.data.sets.frey:FREY",
    "wordnet": "dgmbench.data.sets.wordnet:WORDNET",
}


@dataclass(frozen=True)
class Loaded:
    """The three splits, the SHA-256 of each raw content, and who served them."""

    splits: dict[str, Split]
    raw_files: dict[str, str]
    source: dict[str, Any]


def dataset_names() -> tuple[str, ...]:
    """The names of all data sets, in the order in which they are listed to users."""
    return tuple(DATASETS)


def dataset_module(name: str) -> str:
    """Dotted name of the module that declares a data set.

    Raises:
        DataError: there is none of that name; the nearest is suggested.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; {suggest(name, DATASETS)}")
    return DATASETS[name].partition(":")[0]


def get_spec(name: str) -> DatasetSpec:
    """The description of a data set; `DataError` naming the nearest if there is none of that name."""
    module = importlib.import_module(dataset_module(name))
    return getattr(module, DATASETS[name].partition(":")[2])


def load_splits(
    name: str,
    *,
    seed: int,
    mirror: str | Path | None = None,
    downloads: Path = Path("downloads"),
    url: str | None = None,
) -> Loaded:
    """Fetch, check and split a data set (whole, in memory). `DataError` if no source serves it."""
    spec = get_spec(name)
    fetched = _fetched(spec, mirror, downloads, url)
    hashes = {key: hashlib.sha256(content).hexdigest() for key, content in fetched.contents.items()}
    return Loaded(spec.cut(fetched.contents, seed), hashes, fetched.source)


def _fetched(spec: DatasetSpec, mirror: str | Path | None, downloads: Path, url: str | None) -> Fetched:
    if spec.raw is not None:
        return fetch(spec.raw, mirror=mirror, downloads=downloads, url=url)
    assert spec.bundled is not None, f"{spec.name} has neither raw files nor a library that carries it"
    return spec.bundled()
