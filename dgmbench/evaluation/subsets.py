"""Which rows of a set a metric takes; the choice does not depend on the order of the set."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dgmbench.training.seeding import derive_seed


def shuffled(images: Tensor) -> Tensor:
    """Images [n, ...] in the order of `shuffled_rows`."""
    return images[shuffled_rows(images)]


def shuffled_rows(images: Tensor) -> Tensor:
    """An order of images [n, ...], int64, decided by their content alone and unrelated to it.

    That of hashes, of an image's bytes and of how many equal images came before it: the first m are as good
    as drawn at random, and are the same m whatever order the images came in. Without that count the copies of
    an image would lie side by side.
    """
    array = images.detach().cpu().contiguous().numpy()
    seen: Counter[bytes] = Counter()
    hashes = []
    for image in array:
        content = image.tobytes()
        hashes.append(hashlib.blake2b(content, key=str(seen[content]).encode(), digest_size=16).digest())
        seen[content] += 1
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return torch.tensor(order, dtype=torch.int64)


def drawn_rows(sets: Sequence[Tensor], n: int, seed: int) -> list[Tensor]:
    """At most n rows of each of some sets, drawn at random by their place, ascending int64.

    Not by their values, in which rounding could decide between near ties. So the order counts: that of
    samples is to be `shuffled`'s.
    """
    rng = np.random.default_rng(derive_seed("drawn", seed))
    return [torch.from_numpy(np.sort(rng.permutation(len(features))[:n])) for features in sets]


def drawn(sets: Sequence[Tensor], n: int, seed: int) -> list[Tensor]:
    """The features [m, f] of those rows."""
    rows = drawn_rows(sets, n, seed)
    return [features[chosen] for features, chosen in zip(sets, rows, strict=True)]


def training_rows(count: int, n: int, seed: int) -> Tensor:
    """Which n of `count` training images (or all if there are fewer) the floor is of, ascending int64."""
    generator = torch.Generator().manual_seed(derive_seed("floor", seed))
    return torch.randperm(count, generator=generator)[:n].sort().values
