"""Bidirectional Monte Carlo: a bound on the error of annealing, on data simulated from the model.

Data simulated from a model come with an exact draw of their posterior. Annealing backwards from it, through
the same distributions by the reversed transitions, bounds log p(x) from above in expectation (Grosse et al.
2015; Wu et al. 2017, section 3.2). The step sizes are those of the upward chains: the same pilot tunes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dgmbench.blocks import BlockStore
from dgmbench.evaluation.likelihood.annealing import anneal, check_capability
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.likelihood.hmc import device_of, in_float64, point_generator, prior_draws


@dataclass(frozen=True)
class BidirectionalGap:
    """Bounds of log p(x) on simulated images: lower and upper in nats, and their differences."""

    lower: PointEstimates
    upper: PointEstimates

    @property
    def gaps(self) -> PointEstimates:
        """upper - lower of each simulated image, nats."""
        return PointEstimates(self.upper.values - self.lower.values)


def bidirectional_gap(
    model: Any,
    n: int,
    settings: Annealing,
    seed: int = 0,
    *,
    resume: tuple[BlockStore, BlockStore] | None = None,
    progress: bool | None = None,
) -> BidirectionalGap:
    """Bounds from both sides on `n` images simulated from the model.

    The backward chains of an image start from the z that made it, an exact draw of its posterior.
    `resume` holds a store for each direction. Raises as `annealed_log_likelihood` does.
    """
    check_capability(model)
    if n < 1:
        raise ValueError(f"a gap is measured on at least one simulated image, not {n}")
    model = in_float64(model)
    device = device_of(model)
    z = torch.cat([prior_draws(model, 1, point_generator(device, seed, i, "simulate")) for i in range(n)])
    observe = (point_generator(device, seed, i, "observe") for i in range(n))
    x = torch.cat([model.decoder_sample(z[i : i + 1], each).detach() for i, each in enumerate(observe)])
    stores = resume or (None, None)
    lower = anneal(model, x, None, settings, seed, stores[0], progress)
    upper = anneal(model, x, z, settings, seed, stores[1], progress)
    return BidirectionalGap(lower.estimates, upper.estimates)
