"""Random streams of the data seed that are the same on every machine and under every NumPy.

NumPy guarantees the bit stream of PCG64 but not the values of `Generator`'s methods; the one
method used here is `random`, the upper 53 bits of a raw draw.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# One number a purpose, so that the draws of one never shift those of another.
PURPOSES = {
    "split": 1,
    "binary_valid": 2,
    "binary_test": 3,
    "sorted_test": 4,
    "labelled": 5,
    "labelled_valid": 6,
}
CHUNK = 1 << 20


def generator(seed: int, purpose: str, *variants: int) -> np.random.Generator:
    """A generator of its own for (data seed, purpose), or for each variant of the purpose."""
    entropy = np.random.SeedSequence([seed, PURPOSES[purpose], *variants])
    return np.random.Generator(np.random.PCG64(entropy))


def permutation(generator: np.random.Generator, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A uniformly random permutation of range(n): the order of n uniform draws."""
    return np.argsort(generator.random(n), kind="stable").astype(np.int64)


def bernoulli(
    generator: np.random.Generator, images: np.ndarray[Any, np.dtype[np.uint8]], levels: int
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """0/1 draws with probability k/(levels-1) for each pixel k, in C order; uint8 of the same shape.

    Drawn image by image in order, so the first m images get the same draws whatever follows them.
    """
    flat = images.reshape(-1)
    drawn = np.empty_like(flat)
    for start in range(0, len(flat), CHUNK):
        part = slice(start, start + CHUNK)
        # u (L-1) < k: level 0 never gives 1 and level L-1 always does.
        drawn[part] = generator.random(len(flat[part])) * (levels - 1) < flat[part]
    return drawn.reshape(images.shape)
