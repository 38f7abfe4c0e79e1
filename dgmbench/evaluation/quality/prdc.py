"""Fidelity and diversity apart: precision and recall, density and coverage, from nearest neighbours.

A set of features is taken as the union of balls around its members, each as large as the distance to its
k-th nearest other member. Precision is the share of generated features inside the real union and recall the
share of real ones inside the generated union (Kynkäänniemi et al. 2019, eq. 1-2). Density counts in how many
real balls a generated feature lies, over k, and coverage is the share of real balls that hold a generated
feature (Naeem et al. 2020, eq. 3-4): one outlier cannot raise those.

Balls are closed for precision and recall and open for density and coverage, as in their authors' programs;
so a set scored against itself has density 1 rather than 1 + 1/k. Distances that differ by no more than the
rounding of a product count as equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NAMES = ("precision", "recall", "density", "coverage")
# Distances that are held at once: 64 MiB of float64, and a few copies.
BLOCK_VALUES = 1 << 23
# Half samples: groups with one half of the generated features each, draws of real ones in a group, and the
# most rows of either.
GROUPS, DRAWS, LARGEST = 4, 12, 1000


@dataclass(frozen=True)
class Fidelity:
    """The four numbers; recalled: bool [m], which real features lie inside the generated union."""

    precision: float
    recall: float
    density: float
    coverage: float
    recalled: np.ndarray

    @property
    def values(self) -> list[float]:
        """In the order of `NAMES`."""
        return [getattr(self, name) for name in NAMES]


@dataclass(frozen=True)
class FidelityErrors:
    """How far each of the four may be off, from which images there are; by name.

    std_errors: over both sets. by_resample: float64 [r], over the real images with generated ones given, of
    all but recall: values around the score, one for each half of the real images, whose mean has that
    standard error. Recall is a mean over real images, and the generated balls are given: see `recalled`.
    """

    std_errors: dict[str, float]
    by_resample: dict[str, np.ndarray]


def fidelity(generated: Tensor, real: Tensor, k: int = 5) -> Fidelity:
    """All four from features generated [n, f] and real [m, f], in float64 with memory bounded.

    Both sets should be of one size, or the larger one has the smaller balls. Raises ValueError unless each
    has more than k rows of one width, all finite.
    """
    sets = [_checked(generated, k), _checked(real, k)]
    if sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(f"the features are {sets[0].shape[1]} and {sets[1].shape[1]} values wide")
    # Distances do not change, and the products lose less to cancellation.
    center = sets[1].mean(0)
    fake, true = _Points(sets[0] - center), _Points(sets[1] - center)
    true_balls, fake_balls = true.radii(k), fake.radii(k)
    inside, counts = [], []
    recalled = torch.zeros(len(true), dtype=torch.bool)
    covered = torch.zeros(len(true), dtype=torch.bool)
    for rows in fake.blocks(len(true)):
        squared, slack = fake.squared(rows, true)
        inside.append((squared <= true_balls + slack).any(1))
        within = squared < true_balls - slack
        counts.append(within.sum(1))
        covered |= within.any(0)
        recalled |= (squared <= fake_balls[rows][:, None] + slack).any(0)
    found = torch.cat(inside), recalled, torch.cat(counts).double() / k, covered
    precision, recall, density, coverage = (float(part.double().mean()) for part in found)
    return Fidelity(precision, recall, density, coverage, recalled.numpy())


def fidelity_errors(generated: Tensor, real: Tensor, found: Fidelity, k: int, seed: int) -> FidelityErrors:
    """Errors of `found`, the four of features generated [n, f] and real [m, f], from their half samples.

    The share of features inside balls looks binomial, but the balls depend on the images too: with the balls
    as given, its error is too small by up to a half. Scores of random halves (of at most `LARGEST` rows)
    scatter as those of other images would: their variance times b / (m - b), with b rows of m, is that of
    the whole (Politis & Romano 1994). Where both sets are halved the error is up to a quarter too large, by
    what a pair of a generated and a real image decides. The halves of the real images are those of `seed`
    whatever the generated ones. Raises ValueError where a half has no more than k rows.
    """
    part = min(len(real) // 2, LARGEST)
    own = round(len(generated) * part / len(real))
    if min(part, own) <= k:
        raise ValueError(f"halves of {len(generated)} and {len(real)} features have no {k} neighbours")
    theirs, ours = (np.random.default_rng([seed, side]) for side in range(2))
    fixed, free = [], []
    for _ in range(GROUPS):
        half = _rows(generated, own, ours)
        fixed.append([fidelity(half, _rows(real, part, theirs), k).values for _ in range(DRAWS)])
        free += [fidelity(_rows(generated, own, ours), _rows(real, part, theirs), k).values
                 for _ in range(DRAWS // 2)]  # fmt: skip
    scale = math.sqrt(part / (len(real) - part))
    apart = np.array(fixed) - np.mean(fixed, axis=1, keepdims=True)
    # Of r values whose mean is to have that error; each group has lost a degree of freedom to its own mean.
    wider = scale * math.sqrt(DRAWS * (GROUPS * DRAWS - 1) / (DRAWS - 1))
    around = found.values + wider * apart.reshape(-1, len(NAMES))
    both = scale * np.std(free, axis=0, ddof=1)
    by_resample = dict(zip(NAMES, around.T.copy(), strict=True))
    del by_resample["recall"]
    return FidelityErrors(dict(zip(NAMES, both.tolist(), strict=True)), by_resample)


def _rows(features: Tensor, n: int, rng: np.random.Generator) -> Tensor:
    return features[torch.from_numpy(rng.permutation(len(features))[:n])]


class _Points:
    """Rows of features with their squared lengths."""

    def __init__(self, features: Tensor) -> None:
        self.features, self.lengths = features, features.square().sum(1)
        # |fl(a.b) - a.b| <= f u |a||b|, twice in a squared distance; the rest is the lengths' own rounding.
        self.unit = (features.shape[1] + 8) * torch.finfo(torch.float64).eps

    def __len__(self) -> int:
        return len(self.features)

    def blocks(self, others: int) -> list[slice]:
        """Slices of rows whose distances to `others` points fit into a block."""
        rows = max(BLOCK_VALUES // others, 1)
        return [slice(start, start + rows) for start in range(0, len(self), rows)]

    def squared(self, rows: slice, others: _Points) -> tuple[Tensor, Tensor]:
        """Squared distances [b, m] of a slice of rows to others, and what they may be wrong by."""
        lengths = self.lengths[rows][:, None] + others.lengths
        squared = torch.addmm(lengths, self.features[rows], others.features.T, alpha=-2.0)
        return squared.clamp_(min=0.0), lengths.mul_(self.unit)

    def radii(self, k: int) -> Tensor:
        """Squared distance [n] of each row to its k-th nearest other row."""
        parts = []
        for rows in self.blocks(len(self)):
            squared, _ = self.squared(rows, self)
            # The row itself is nearest, whatever rounding says of it.
            squared[torch.arange(len(squared)), torch.arange(len(self))[rows]] = -1.0
            parts.append(squared.topk(k + 1, dim=1, largest=False).values[:, k])
        return torch.cat(parts)


def _checked(features: Tensor, k: int) -> Tensor:
    if features.ndim != 2 or len(features) <= k or k < 1:
        raise ValueError(f"features are [n, f] with n > k = {k} >= 1, not {tuple(features.shape)}")
    features = features.detach().cpu().double()
    if not bool(torch.isfinite(features).all()):
        raise ValueError("features hold NaN or infinite values")
    return features
