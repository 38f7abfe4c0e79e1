"""Places in a latent space: ways between two codes, the grid of a plane, the direction of an attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Codes = np.ndarray[Any, np.dtype[np.float64]]
# Quantiles [n] of a latent, given probabilities [n] and the latent's place.
Quantiles = Callable[[Codes, int], Codes]


def linear(starts: Codes, ends: Codes, steps: int) -> Codes:
    """``[pairs, steps, latent]`` from `starts` to `ends` ``[pairs, latent]``, both included, evenly."""
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return (1 - share) * starts[:, None] + share * ends[:, None]


def spherical(starts: Codes, ends: Codes, steps: int) -> Codes:
    """As `linear`, but turning about the origin at constant angular speed (White 2016).

    Draws of N(0, I) in many dimensions lie near a sphere, and the straight line leaves it. Where two codes
    lie on one line with the origin no arc is singled out, and the way is straight.
    """
    share = np.linspace(0.0, 1.0, steps)[:, None]
    lengths = np.linalg.norm(starts, axis=1) * np.linalg.norm(ends, axis=1)
    cosine = (starts * ends).sum(1) / np.where(lengths > 0, lengths, 1.0)
    angle = np.where(lengths > 0, np.arccos(np.clip(cosine, -1, 1)), 0.0)[:, None, None]
    sine = np.sin(angle)
    straight = sine < 1e-6
    safe = np.where(straight, 1.0, sine)
    first, last = np.sin((1 - share) * angle) / safe, np.sin(share * angle) / safe
    arc = first * starts[:, None] + last * ends[:, None]
    return np.where(straight, linear(starts, ends, steps), arc)


def plane(side: int, quantiles: Quantiles) -> Codes:
    """``[side * side, 2]`` codes row by row from the top, where the second latent is largest."""
    # Middles of equal cells: the square's own edges would lie at infinity.
    probabilities = (np.arange(side) + 0.5) / side
    across, upwards = quantiles(probabilities, 0), quantiles(probabilities, 1)
    return np.stack([np.tile(across, side), np.repeat(upwards[::-1], side)], axis=1)


def attribute_vector(codes: Codes, labels: np.ndarray[Any, Any], source: int, target: int) -> Codes:
    """Mean code of the class `target` less that of `source`, ``[latent]``.

    Raises ValueError if either class has no code.
    """
    means = []
    for label in (target, source):
        own = codes[labels == label]
        if not len(own):
            raise ValueError(f"there is no code of class {label} to average")
        means.append(own.mean(0))
    return means[0] - means[1]
