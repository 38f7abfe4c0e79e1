"""Which rows of a set a metric takes: the same ones whatever order the set comes in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dgmbench.training.seeding import derive_seed

# Columns by which rows of features are put in order.
SORTED_BY = 16


def in_order(features: Tensor) -> Tensor:
    """The rows of features [n, f] in an order of their own, so that drawing from them forgets the given one.

    By the first columns, which hardly ever tie; rows that tie in them keep their order.
    """
    keys = features[:, :SORTED_BY].detach().cpu().numpy()
    return features[torch.from_numpy(np.lexsort(keys.T[::-1]).copy())]


def shuffled(images: Tensor) -> Tensor:
    """Images [n, ...] in an order that their content alone decides and that has nothing to do with it.

    That of the hashes of their bytes: the first m are as good as drawn at random, and the same m whatever
    order the images came in.
    """
    array = images.detach().cpu().contiguous().numpy()
    hashes = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in array]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return images[torch.tensor(order, dtype=torch.int64)]


def drawn(sets: Sequence[Tensor], n: int, seed: int) -> list[Tensor]:
    """At most n rows of each of some features [m, f], drawn at random whatever the order that they come in.

    Files of a folder lie by name, often by class, so that the first ones are no sample.
    """
    rng = np.random.default_rng(derive_seed("drawn", seed))
    rows = [torch.from_numpy(np.sort(rng.permutation(len(features))[:n])) for features in sets]
    return [in_order(features)[chosen] for features, chosen in zip(sets, rows, strict=True)]


def some_images(images: Tensor, n: int | None, seed: int) -> Tensor:
    """At most n images (None: all), drawn at random: neither files nor test images need come in any order."""
    rows = np.random.default_rng(derive_seed("drawn", seed)).permutation(len(images))[:n]
    return images[torch.from_numpy(np.sort(rows))]


def training_rows(count: int, n: int, seed: int) -> Tensor:
    """Which n of `count` training images (or all if there are fewer) the floor is of, ascending int64."""
    generator = torch.Generator().manual_seed(derive_seed("floor", seed))
    return torch.randperm(count, generator=generator)[:n].sort().values
