"""Features by content: a set of images is mapped into a space once, however often its features are used."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

from dgmbench.evaluation.features.feature_spaces import FeatureSpace
from dgmbench.store import Store


def embedded(space: FeatureSpace, images: Tensor, store: Store) -> Tensor:
    """``space.features(images)``, float32 [n, f] on the CPU; the key is the space's identity and the images.

    Errors are those of the space.
    """

    def sound(found: Any) -> bool:
        shape = (len(images), space.width)
        return isinstance(found, Tensor) and found.dtype == torch.float32 and found.shape == shape

    key = ("features", space.name, space.identity, content_hash(images))
    return store.remembered(key, lambda: space.features(images), sound=sound)


def content_hash(images: Tensor) -> str:
    """SHA-256 of the images' type, shape and values, in hexadecimal."""
    digest = hashlib.sha256(f"{images.dtype} {tuple(images.shape)}".encode())
    digest.update(images.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
