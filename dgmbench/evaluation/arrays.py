"""Arrays that the evaluation leaves for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.files import replacing


def save_arrays(path: Path, **arrays: np.ndarray[Any, Any]) -> None:
    """Write named arrays as a compressed npz, whole or not at all."""
    with replacing(path) as aside, open(aside, "wb") as handle:
        np.savez_compressed(handle, allow_pickle=False, **arrays)
