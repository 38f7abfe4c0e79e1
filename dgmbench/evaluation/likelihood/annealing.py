"""Annealed importance sampling of decoder-based models: a lower bound of log p(x) in expectation.

The path of Wu et al. 2017 (section 3.1): from the prior to the posterior through the unnormalised densities
p(z) p(x|z)^b, b rising from 0 to 1 on a sigmoidal schedule, with Hamiltonian transitions that leave each of
them invariant. The average weight of a chain is an unbiased estimate of p(x) (Neal 2001), so its logarithm
is a lower bound of log p(x) in expectation. Run backwards from an exact posterior draw, the same chains bound
log p(x) from above: see `bdmc`.

Deviations from the published code:

- step sizes are not adapted while weights are collected, which would make the kernels depend on the past.
  Pilot chains, which are not part of the estimate, tune them along the path first: see `tuning`.
- they are set for each test point and latent apart, all noise is drawn for each point apart, and chains run
  in float64, so that a point's estimate does not depend on the points that are annealed with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from dgmbench.blocks import BlockStore
from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood.annealing_path import Annealing, sigmoid_schedule
from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.likelihood.hmc import NOISE_STEPS, Block, Chains, frozen, in_float64
from dgmbench.evaluation.likelihood.tuning import Steps, tuned_steps
from dgmbench.models.capabilities import CanDecode, HasObservationModel


@dataclass(frozen=True)
class AnnealedEstimates:
    """Estimates per test point, and how the chains fared.

    estimates: log p(x) in nats per image; a lower bound in expectation, an upper one if run in reverse.
    acceptance: mean acceptance probability of each point's transitions, float64 [n].
    """

    estimates: PointEstimates
    acceptance: Tensor


def annealed_log_likelihood(
    model: Any,
    x: Tensor,
    settings: Annealing,
    seed: int = 0,
    *,
    resume: BlockStore | None = None,
    progress: bool | None = None,
) -> AnnealedEstimates:
    """log p(x) of each image by annealed importance sampling: a lower bound in expectation, nats.

    Wu et al. 2017, algorithm 1. model: with `prior_sample`, `prior_log_prob`, `decoder_log_prob`
    (`HasObservationModel`). x: ``[n, ...]`` as the model takes it, on its device. resume: a store from which
    an interrupted call goes on. progress: as in `importance_sampled_log_likelihood`.

    Raises CapabilityError for a model without a decoder or prior, and ValueError for no data or NaN.
    """
    check_capability(model)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("there are no images to evaluate; give at least one along the first dimension")
    return anneal(in_float64(model), x.double(), None, settings, seed, resume, progress)


def check_capability(model: Any) -> None:
    """Refuse a model that cannot be annealed, with the estimator that works instead."""
    if isinstance(model, HasObservationModel):
        return
    name = type(model).__name__
    if isinstance(model, CanDecode):
        raise CapabilityError(
            f"{name} has a generator but no p(x|z), so there is no density to anneal towards; "
            "wrap it in GaussianObservation(model, variance) with a variance chosen on validation images"
        )
    raise CapabilityError(
        f"annealed importance sampling goes from p(z) to p(z|x), and {name} has no latents with a prior and "
        "a decoder; log_prob (exact) or the Parzen window of its samples works instead"
    )


def anneal(
    model: Any,
    x: Tensor,
    posterior: Tensor | None,
    settings: Annealing,
    seed: int,
    store: BlockStore | None,
    progress: bool | None,
) -> AnnealedEstimates:
    """Both directions: up from the prior, or down from ``posterior [n, latent]``; all in float64."""
    values, sizes, acceptance = [], [], []
    blocks = range(0, len(x), settings.block_points)
    total = len(blocks) * settings.distributions
    disable = None if progress is None else not progress
    title = "AIS" if posterior is None else "reverse AIS"
    with tqdm(total=total, desc=title, unit="transition", delay=2.0, disable=disable, leave=False) as bar:
        for index, start in enumerate(blocks):
            rows = slice(start, start + settings.block_points)
            block = Block(model, x[rows], start, settings.leapfrog_steps, seed)
            ends = None if posterior is None else posterior[rows]
            with frozen(model):
                chains = _Path(block, settings, ends).run(store, index, bar)
            log_weight = chains.log_weight.cpu()
            estimate = torch.logsumexp(log_weight, 0) - math.log(settings.chains)
            values.append(estimate if posterior is None else -estimate)
            sizes.append(torch.exp(2 * torch.logsumexp(log_weight, 0) - torch.logsumexp(2 * log_weight, 0)))
            acceptance.append(chains.acceptance.cpu() / settings.distributions)
    estimates = PointEstimates(torch.cat(values), torch.cat(sizes))
    broken = int(torch.isnan(estimates.values).sum())
    if broken:
        raise ValueError(f"the model's densities were NaN for {broken} of {len(x)} images")
    return AnnealedEstimates(estimates, torch.cat(acceptance))


class _Path:
    """The way of one block's chains, upwards from the prior or downwards from ``posterior``."""

    def __init__(self, block: Block, settings: Annealing, posterior: Tensor | None) -> None:
        self.block, self.settings, self.posterior = block, settings, posterior

    def run(self, store: BlockStore | None, index: int, bar: tqdm[Any]) -> Chains:
        """All transitions, going on from what `store` holds."""
        call, device = self._call(), self.block.x.device
        saved = store.get(index) if store is not None else None
        if saved is None or not torch.equal(saved.pop("call"), call):
            steps = tuned_steps(self.block, self.settings)
            chains = self.block.start(self.settings.chains, self.posterior)
        else:
            steps = Steps(saved.pop("steps").to(device))
            chains = Chains.of(saved, device)
        bar.update(chains.done)
        schedule = sigmoid_schedule(self.settings.distributions)
        while chains.done < self.settings.distributions:
            before = chains.done
            self._advance(chains, schedule, steps)
            bar.update(chains.done - before)
            if store is not None:
                store.put(index, chains.tensors() | {"steps": steps.knots.cpu(), "call": call})
        return chains

    def _call(self) -> Tensor:
        """All that says which chains these are, but for the model and the images."""
        block, down = self.block, self.posterior is not None
        numbers = [block.seed, block.first, len(block.x), int(down), *astuple(self.settings)]
        return torch.tensor(numbers, dtype=torch.float64)

    def _advance(self, chains: Chains, schedule: Sequence[float], steps: Steps) -> None:
        """As many transitions as share one draw of noise."""
        total, down = self.settings.distributions, self.posterior is not None
        part, count = chains.done // NOISE_STEPS, min(NOISE_STEPS, total - chains.done)
        noise = self.block.noise("down" if down else "up", part, self.settings.chains, count)
        for momentum, uniform in zip(*noise, strict=True):
            t = chains.done + 1
            if down:
                # On the way back the t-th transition leaves b_{T-t+1} invariant; its end point is weighed.
                at = total - t + 1
                self.block.transition(chains, schedule[at], steps.at(at, total), momentum, uniform)
                chains.log_weight += (schedule[at - 1] - schedule[at]) * chains.log_lik.double()
            else:
                chains.log_weight += (schedule[t] - schedule[t - 1]) * chains.log_lik.double()
                self.block.transition(chains, schedule[t], steps.at(t, total), momentum, uniform)
            chains.done = t
