"""A small convolutional classifier of one data set; its last hidden layer is where the domain FID is taken.

Heusel et al. advise such a network for images unlike ImageNet's. Distances in its features are comparable
only between models scored with the same trained classifier.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dgmbench.errors import DgmbenchError

FEATURES = 64
# images as stored [b, C, H, W], and the generator of this epoch -> float32 in [0, 1], same shape.
BatchTransform = Callable[[Tensor, torch.Generator], Tensor]


class DomainClassifier(nn.Module):
    """Two convolutions with pooling, 64 hidden units, one logit per class.

    shape: (C, H, W) with H and W at least 4. `valid_accuracy` (percent) and `best_epoch` (from 1) are set by
    training and are not part of the state dict.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 4 or classes < 2:
            raise ValueError(f"images of at least 4x4 and two classes are needed, not {shape} and {classes}")
        self.shape, self.classes = (channels, height, width), classes
        self.valid_accuracy: float | None = None
        self.best_epoch: int | None = None
        self.first = nn.Conv2d(channels, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * (height // 4) * (width // 4), FEATURES)
        self.logits = nn.Linear(FEATURES, classes)
        # Several times faster on a CPU; and here, so that restored weights take the same kernels bit for bit.
        self.to(memory_format=torch.channels_last)

    def embed(self, x: Tensor) -> Tensor:
        """Last hidden layer, after its leaky ReLU: [b, C, H, W] floats in [0, 1] to [b, 64]."""
        x = x.contiguous(memory_format=torch.channels_last)
        # Pooling first gives the same as pooling last, with a quarter of the ReLUs.
        x = F.relu(F.max_pool2d(self.first(x), 2))
        x = F.relu(F.max_pool2d(self.second(x), 2))
        # Leaky, as a plain ReLU left 26 of the 64 features constant at zero on MNIST: lost to the distance.
        return F.leaky_relu(self.hidden(x.flatten(1)), 0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [b, classes] of images [b, C, H, W] in [0, 1]."""
        logits: Tensor = self.logits(self.embed(x))
        return logits

    def features(self, x: Tensor, batch_size: int = 512) -> Tensor:
        """Last hidden layer of each image, float32 [n, 64] on the CPU; x may be on any device."""
        return torch.cat(list(self._batched(self.embed, x, batch_size)))

    def predict(self, x: Tensor, batch_size: int = 512) -> Tensor:
        """Class probabilities, float32 [n, classes] on the CPU."""
        return torch.cat([part.softmax(1) for part in self._batched(self.forward, x, batch_size)])

    @torch.no_grad()
    def classes_of(self, features: Tensor) -> Tensor:
        """Most probable class of each row of `features` [n, 64], int64 [n] on the CPU."""
        classes: Tensor = self.logits(features.to(self.logits.weight.device)).argmax(1).cpu()
        return classes

    def accuracy(self, x: Tensor, labels: Tensor, batch_size: int = 512) -> float:
        """Percent of images whose most probable class is their label."""
        return 100.0 * float((self.predict(x, batch_size).argmax(1) == labels.cpu()).double().mean())

    @torch.no_grad()
    def _batched(self, function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int) -> Iterator[Tensor]:
        if tuple(x.shape[1:]) != self.shape or len(x) == 0 or not x.is_floating_point():
            raise ValueError(f"floats in [0, 1] of shape [n, {self.shape}] expected, not {x.dtype} {x.shape}")
        device = self.logits.weight.device
        for batch in x.split(batch_size):
            yield function(batch.to(device)).cpu()


def train_classifier(
    images: Tensor,
    labels: Tensor,
    valid_images: Tensor,
    valid_labels: Tensor,
    *,
    classes: int,
    epochs: int,
    seed: int,
    device: str | torch.device = "cpu",
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    batch_transform: BatchTransform | None = None,
) -> DomainClassifier:
    """Train by cross-entropy with Adam, the step size falling linearly to zero; keep the best epoch.

    images: [n, C, H, W], floats in [0, 1] or, with `batch_transform`, anything that it turns into such: it
    is called anew on each batch of each epoch (dynamic binarisation). Validation images that are not floats
    go through it once, with noise fixed by `seed`. labels: int64 [n]. The best epoch has the highest
    validation accuracy, the lower cross-entropy deciding ties. Deterministic on the CPU; global generators
    are left as they were. Raises ValueError on unfit inputs and DgmbenchError if the training diverges.
    """
    _check(images, labels, classes, epochs, batch_transform)
    _check(valid_images, valid_labels, classes, epochs, batch_transform)
    model = _initialised(images, classes, seed).to(device)
    if batch_transform is not None and not valid_images.is_floating_point():
        valid_images = batch_transform(valid_images, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    steps = epochs * -(-len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    best: tuple[float, float] | None = None
    best_state: dict[str, Tensor] = {}
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(images), generator=generator).split(batch_size):
            batch = images[rows] if batch_transform is None else batch_transform(images[rows], generator)
            _step(model, batch.to(device), labels[rows].to(device), optimiser)
            schedule.step()
        score = _score(model, valid_images, valid_labels)
        if best is None or score > best:
            best, best_state = score, copy.deepcopy(model.state_dict())
            model.best_epoch, model.valid_accuracy = epoch, score[0]
    model.load_state_dict(best_state)
    return model.eval()


def _initialised(images: Tensor, classes: int, seed: int) -> DomainClassifier:
    """A new classifier whose weights are drawn by `seed` without moving the global generator."""
    channels, height, width = images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return DomainClassifier((channels, height, width), classes)


def _step(model: DomainClassifier, x: Tensor, labels: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    F.cross_entropy(model(x), labels).backward()
    optimiser.step()


def _score(model: DomainClassifier, x: Tensor, labels: Tensor) -> tuple[float, float]:
    """(accuracy in percent, minus the cross-entropy in nats): the larger, the better."""
    logits = torch.cat(list(model._batched(model.forward, x, 512)))
    loss = float(F.cross_entropy(logits, labels.cpu()))
    if math.isnan(loss):
        raise DgmbenchError("the training of the domain classifier diverged; a lower learning rate may help")
    return 100.0 * float((logits.argmax(1) == labels.cpu()).double().mean()), -loss


def _check(
    images: Tensor, labels: Tensor, classes: int, epochs: int, transform: BatchTransform | None
) -> None:
    if images.ndim != 4 or len(images) == 0 or labels.shape != (len(images),):
        raise ValueError(f"images [n, C, H, W] and labels [n], not {images.shape} and {labels.shape}")
    if labels.dtype != torch.int64 or int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise ValueError(f"labels are int64 between 0 and {classes - 1}")
    if transform is None and not images.is_floating_point():
        raise ValueError(f"{images.dtype} images need a batch_transform that gives floats in [0, 1]")
    if epochs < 1:
        raise ValueError(f"training takes at least one epoch, not {epochs}")
