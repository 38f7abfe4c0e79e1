"""Features by content: a set of images is mapped once into a space, whoever asks and however often."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dgmbench.evaluation.checked_files import read_checked, tell, write_checked
from dgmbench.evaluation.features.feature_spaces import FeatureSpace

WHAT = "features"


class FeatureCache:
    """Files ``<folder>/<key>.features``, the key a hash of the space's identity and of the images.

    A file is the SHA-256 of what follows, then a NumPy array. One that does not match is told on standard
    error and computed again. A folder that cannot be written costs the reuse and not the features.

    Args:
        folder: made when first needed; None keeps nothing.
    """

    def __init__(self, folder: Path | str | None) -> None:
        self.folder = None if folder is None else Path(folder)

    def features(self, space: FeatureSpace, images: Tensor) -> Tensor:
        """``space.features(images)``, float32 [n, f] on the CPU; errors are those of the space."""
        if self.folder is None:
            return space.features(images)
        path = self.path(space, images)
        kept = self._read(path, (len(images), space.width))
        if kept is not None:
            return kept
        features = space.features(images)
        self._write(path, features)
        return features

    def path(self, space: FeatureSpace, images: Tensor) -> Path:
        """Where the features of these images lie, or would."""
        assert self.folder is not None
        return self.folder / space.name / f"{content_key(space.identity, images)}.features"

    def _read(self, path: Path, shape: tuple[int, int]) -> Tensor | None:
        body = read_checked(path, WHAT)
        if body is None:
            return None
        # The copy is writable, as a tensor's memory has to be.
        try:
            array: np.ndarray[Any, Any] = np.load(io.BytesIO(body), allow_pickle=False).copy()
        except (ValueError, EOFError):
            tell(path, "holds no array", WHAT)
            return None
        if array.shape != shape or array.dtype != np.float32:
            tell(path, f"holds {array.dtype} of {array.shape}, not float32 of {shape},", WHAT)
            return None
        return torch.from_numpy(array)

    def _write(self, path: Path, features: Tensor) -> None:
        buffer = io.BytesIO()
        np.save(buffer, features.numpy(), allow_pickle=False)
        write_checked(path, buffer.getbuffer(), WHAT)


def content_key(identity: str, images: Tensor) -> str:
    """SHA-256 of a space's identity and of the images' type, shape and values, in hexadecimal."""
    digest = hashlib.sha256(f"{identity} {images.dtype} {tuple(images.shape)}".encode())
    digest.update(images.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
