"""Feature spaces: what turns images into the vectors that sample quality is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from dgmbench.evaluation.features.classifier import FEATURES, DomainClassifier
from dgmbench.provenance import code_key

# Images that are looked through at once for values that do not belong.
BLOCK = 4096


class FeatureSpace(Protocol):
    """Maps images to vectors; `identity` changes whenever the map does, its weights included."""

    @property
    def name(self) -> str:
        """domain or inception."""

    @property
    def width(self) -> int:
        """f, the length of a feature vector."""

    @property
    def identity(self) -> str:
        """Names the map and its weights; equal identities give equal features."""

    def features(self, images: Tensor) -> Tensor:
        """Images [n, C, H, W], floats in [0, 1] or uint8 0..255, to float32 features [n, f] on the CPU.

        Raises ValueError, saying which it is, for another shape, type or range, NaN, or no image at all.
        """


class DomainSpace:
    """The last hidden layer of a data set's own classifier (as the authors of TTUR advise for MNIST)."""

    name = "domain"
    width = FEATURES

    def __init__(self, classifier: DomainClassifier) -> None:
        self.classifier = classifier
        self.device = classifier.logits.weight.device
        weights = state_sha256(classifier.state_dict())
        code = code_key("dgmbench.evaluation.features.classifier")
        self.identity = f"domain {weights} {self.device.type} {code}"

    def features(self, images: Tensor) -> Tensor:
        """As `FeatureSpace.features`; the shape is that of the data set's images."""
        shape = self.classifier.shape
        if tuple(images.shape[1:]) != shape:
            raise ValueError(f"the classifier takes images [n, {', '.join(map(str, shape))}], "
                             f"not {list(images.shape)}")  # fmt: skip
        return self.classifier.features(checked_pixels(images))


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, shapes and values of a `state_dict`, on any device."""
    digest = hashlib.sha256()
    for name in sorted(state):
        values = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def checked_pixels(images: Tensor) -> Tensor:
    """Images [n, C, H, W] as float32 in [0, 1]; uint8 is divided by 255.

    Raises ValueError for another number of axes or type, no images, NaN, or values outside [0, 1].
    """
    if images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"images are [n, C, H, W] with at least one of them, not {list(images.shape)}")
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        raise ValueError(f"images are floats in [0, 1] or uint8 0..255, not {images.dtype}")
    for block in images.split(BLOCK):
        low, high = (float(value) for value in torch.aminmax(block))
        if not (low >= 0.0 and high <= 1.0):
            what = "NaN" if low != low else f"values from {low:.9g} to {high:.9g}"
            raise ValueError(f"images hold {what}; floats lie in [0, 1] (uint8 in 0..255)")
    return images.float()
