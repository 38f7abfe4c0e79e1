"""Annealed importance sampling of decoder-based models, with the gap that bidirectional Monte Carlo leaves.

The path of Wu et al. 2017 (section 3.1): from the prior to the posterior through the unnormalised densities
p(z) p(x|z)^b, b rising from 0 to 1 on a sigmoidal schedule, with Hamiltonian transitions that leave each of
them invariant. The average weight of a chain is an unbiased estimate of p(x) (Neal 2001), so its logarithm
is a lower bound of log p(x) in expectation. Run backwards from an exact posterior draw, which data simulated
from the model come with, the same chains bound log p(x) from above (Grosse et al. 2015); the difference
is what annealing can be wrong by on such data.

Two deviations from the published code, both for the sake of the bound:

- step sizes are not adapted while weights are collected, which would make the kernels depend on the past.
  Pilot chains adapt them to the target acceptance first; the estimate runs with the recorded step sizes.
- they are set for each test point apart, all noise is drawn for each point apart, and chains run in float64,
  so that a point's estimate depends neither on its neighbours nor on how many are annealed at once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from dgmbench.errors import CapabilityError
from dgmbench.evaluation.likelihood import PointEstimates
from dgmbench.evaluation.resume import BlockStore
from dgmbench.models.base import CanDecode, HasMatrixForm, HasObservationModel

# Transitions whose noise is drawn in one go: few generators, little memory.
NOISE_STEPS = 32
# Of the pilot: how fast log step sizes follow the acceptance, and where they start and end.
GAIN, FIRST_STEP, LEAST_STEP, LARGEST_STEP = 0.2, 0.3, 1e-4, 2.0
SETTLING, SHORTEST_PILOT = 20, 200


@dataclass(frozen=True)
class Annealing:
    """How to anneal. The defaults cost a tenth of the published protocol (10,000 distributions).

    chains: independent chains per test point, averaged as weights.
    distributions: intermediate distributions; the bound tightens with their number.
    leapfrog_steps: gradient steps of one Hamiltonian transition.
    target_acceptance: acceptance rate to which pilot chains adapt the step size.
    pilot_chains, pilot_share: chains of the pilot, and its length as a share of `distributions`.
    block_points: test points annealed at once (times `chains` rows in one call of the decoder).
    """

    chains: int = 16
    distributions: int = 1000
    leapfrog_steps: int = 10
    target_acceptance: float = 0.65
    pilot_chains: int = 4
    pilot_share: float = 0.25
    block_points: int = 32

    def __post_init__(self) -> None:
        for name in ("chains", "distributions", "leapfrog_steps", "pilot_chains", "block_points"):
            if getattr(self, name) < 1:
                raise CapabilityError(f"annealing needs {name} >= 1, not {getattr(self, name)}")
        if not 0 < self.target_acceptance < 1:
            raise CapabilityError(f"target_acceptance lies inside (0, 1): {self.target_acceptance} does not")
        if not 0 < self.pilot_share <= 1:
            raise CapabilityError(f"pilot_share lies in (0, 1]: {self.pilot_share} does not")


@dataclass(frozen=True)
class AnnealedEstimates:
    """Estimates per test point, and how the chains fared.

    estimates: log p(x) in nats per image; a lower bound in expectation, an upper one if run in reverse.
    acceptance: mean acceptance probability of each point's transitions, float64 [n].
    """

    estimates: PointEstimates
    acceptance: Tensor


@dataclass(frozen=True)
class BidirectionalGap:
    """Bounds of log p(x) on simulated images: lower and upper in nats, and their differences."""

    lower: PointEstimates
    upper: PointEstimates

    @property
    def gaps(self) -> PointEstimates:
        """upper - lower of each simulated image, nats."""
        return PointEstimates(self.upper.values - self.lower.values)


@dataclass(frozen=True)
class VarianceChoice:
    """The observation variance with the best annealed score on validation images (nats, means)."""

    variance: float
    grid: tuple[float, ...]
    scores: tuple[float, ...]
    at_edge: bool


class GaussianObservation:
    """A generator as a density: p(x|z) = N(x; G(z), variance I), as Wu et al. 2017 treat GANs."""

    def __init__(self, generator: CanDecode, variance: float) -> None:
        if not (variance > 0 and math.isfinite(variance)):
            raise CapabilityError(f"the variance of an observation model is positive, not {variance}")
        if getattr(generator, "view", None) == "binary":
            raise CapabilityError(
                f"{type(generator).__name__} models binary images, and a density on [0,1]^d is no probability"
                " of theirs; annealing its own Bernoulli decoder, or importance sampling, works instead"
            )
        self.generator, self.variance = generator, variance
        self.latent_dim = generator.latent_dim

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of the generator's prior."""
        return self.generator.prior_sample(n, generator)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        """log p(z) of the generator's prior, nats."""
        return self.generator.prior_log_prob(z)

    def decode(self, z: Tensor) -> Tensor:
        """G(z)."""
        return self.generator.decode(z)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log N(x; G(z), variance I), nats, ``[..., n]`` for ``x [n, C, H, W]``, ``z [..., n, latent]``."""
        means = self.decode(z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], -1)
        squares = (x.flatten(1) - means).square().sum(-1)
        return -0.5 * (squares / self.variance + means.shape[-1] * math.log(2 * math.pi * self.variance))

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """``[n, C, H, W]`` draws of p(x|z)."""
        means = self.decode(z)
        noise = torch.randn(means.shape, generator=generator, device=means.device, dtype=means.dtype)
        return means + math.sqrt(self.variance) * noise


def sigmoid_schedule(distributions: int, sharpness: float = 4.0) -> list[float]:
    """b_0 = 0 < ... < b_T = 1, dense at both ends: the rescaled logistic of Wu et al.'s section 4.1."""
    positions = np.linspace(-sharpness, sharpness, distributions + 1)
    raw = 1 / (1 + np.exp(-positions))
    return list(((raw - raw[0]) / (raw[-1] - raw[0])).tolist())


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
    (`HasObservationModel`). x: ``[n, ...]`` in the model's domain, on its device. resume: a store from which
    an interrupted call goes on. progress: as in `importance_sampled_log_likelihood`.

    Raises CapabilityError for a model without a decoder or prior, and ValueError for no data or NaN.
    """
    check_capability(model)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError("there are no images to evaluate; give at least one along the first dimension")
    return _anneal(_doubled(model), x.double(), None, settings, seed, resume, progress)


def bidirectional_gap(
    model: Any,
    n: int,
    settings: Annealing,
    seed: int = 0,
    *,
    resume: tuple[BlockStore, BlockStore] | None = None,
    progress: bool | None = None,
) -> BidirectionalGap:
    """Bounds from both sides on `n` images simulated from the model (Grosse et al. 2015; Wu et al. 2017).

    The backward chains of an image start from the z that made it, an exact draw of its posterior.
    `resume` holds a store for each direction. Raises as `annealed_log_likelihood` does.
    """
    check_capability(model)
    if n < 1:
        raise ValueError(f"a gap is measured on at least one simulated image, not {n}")
    model = _doubled(model)
    z = torch.cat([_prior(model, 1, _generator(model, seed, i, "simulate")) for i in range(n)])
    draws = [model.decoder_sample(z[i : i + 1], _generator(model, seed, i, "observe")) for i in range(n)]
    x = torch.cat([draw.detach() for draw in draws])
    stores = resume or (None, None)
    lower = _anneal(model, x, None, settings, seed, stores[0], progress)
    upper = _anneal(model, x, z, settings, seed, stores[1], progress)
    return BidirectionalGap(lower.estimates, upper.estimates)


def select_variance(
    generator: CanDecode,
    valid: Tensor,
    grid: Sequence[float],
    settings: Annealing,
    seed: int = 0,
    progress: bool | None = None,
) -> VarianceChoice:
    """The observation variance with the highest annealed log-likelihood of validation images.

    Raises CapabilityError if the grid is empty or the generator has no prior or decoder.
    """
    if len(grid) == 0:
        raise CapabilityError("the grid of variances is empty; np.logspace(-3, 0, 7) covers pixels in [0, 1]")
    ordered = sorted({float(variance) for variance in grid})
    scores = []
    for variance in ordered:
        observed = GaussianObservation(generator, variance)
        found = annealed_log_likelihood(observed, valid, settings, seed, progress=progress)
        scores.append(found.estimates.mean())
    best = max(range(len(ordered)), key=scores.__getitem__)
    return VarianceChoice(ordered[best], tuple(ordered), tuple(scores), best in (0, len(ordered) - 1))


def check_capability(model: Any) -> None:
    """Refuse a model that cannot be annealed, with the estimator that works instead."""
    if isinstance(model, (HasObservationModel, GaussianObservation)):
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


# Chains


@dataclass
class _Chains:
    """Where the chains of one block of points are: all that has to be saved to go on."""

    z: Tensor
    log_lik: Tensor
    log_prior: Tensor
    grad_lik: Tensor
    grad_prior: Tensor
    log_weight: Tensor
    acceptance: Tensor
    done: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """Everything as tensors on the CPU."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: torch.as_tensor(value).cpu() for key, value in named.items()}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], device: torch.device) -> Self:
        """The inverse of `tensors`."""
        rest = {key: value.to(device) for key, value in tensors.items() if key != "done"}
        return cls(**rest, done=int(tensors["done"]))


def _anneal(
    model: Any,
    x: Tensor,
    posterior: Tensor | None,
    settings: Annealing,
    seed: int,
    store: BlockStore | None,
    progress: bool | None,
) -> AnnealedEstimates:
    """Both directions: up from the prior, or down from `posterior` draws ``[n, latent]``."""
    values, sizes, acceptance = [], [], []
    blocks = range(0, len(x), settings.block_points)
    total = len(blocks) * settings.distributions
    disable = None if progress is None else not progress
    title = "AIS" if posterior is None else "reverse AIS"
    with tqdm(total=total, desc=title, unit="transition", delay=2.0, disable=disable, leave=False) as bar:
        for index, start in enumerate(blocks):
            rows = slice(start, start + settings.block_points)
            block = _Block(model, x[rows], start, settings, seed)
            chains = block.run(None if posterior is None else posterior[rows], store, index, bar)
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


class _Block:
    """The chains of a few points: ``z [chains, points, latent]``."""

    def __init__(self, model: Any, x: Tensor, first: int, settings: Annealing, seed: int) -> None:
        self.model, self.x, self.first, self.settings, self.seed = model, x, first, settings, seed

    def run(self, posterior: Tensor | None, store: BlockStore | None, index: int, bar: tqdm[Any]) -> _Chains:
        """Anneal upwards (or from `posterior` downwards), going on from what `store` holds."""
        call = self._call(down=posterior is not None)
        saved = store.get(index) if store is not None else None
        if saved is None or not torch.equal(saved.pop("call"), call):
            with _frozen(self.model):
                steps = self._pilot()
                chains = self._start(posterior)
        else:
            steps = saved.pop("steps").to(self.x.device)
            chains = _Chains.of(saved, self.x.device)
        bar.update(chains.done)
        schedule = sigmoid_schedule(self.settings.distributions)
        with _frozen(self.model):
            while chains.done < self.settings.distributions:
                before = chains.done
                self._advance(chains, schedule, steps, down=posterior is not None)
                bar.update(chains.done - before)
                if store is not None:
                    store.put(index, chains.tensors() | {"steps": steps.cpu(), "call": call})
        return chains

    def _call(self, *, down: bool) -> Tensor:
        """All that says which chains these are, but for the model and the images."""
        counts = [getattr(self.settings, item.name) for item in fields(self.settings)]
        numbers = [self.seed, self.first, len(self.x), int(down), *counts]
        return torch.tensor(numbers, dtype=torch.float64)

    def _advance(self, chains: _Chains, schedule: Sequence[float], steps: Tensor, *, down: bool) -> None:
        """As many transitions as share one draw of noise."""
        total = self.settings.distributions
        part = chains.done // NOISE_STEPS
        purpose = "down" if down else "up"
        momenta, uniforms = self._noise(
            purpose, part, self.settings.chains, min(NOISE_STEPS, total - chains.done)
        )
        for momentum, uniform in zip(momenta, uniforms, strict=True):
            t = chains.done + 1
            if down:
                # On the way back the t-th transition leaves b_{T-t+1} invariant; its end point is weighed.
                at = total - t + 1
                self._transition(chains, schedule[at], steps[at - 1], momentum, uniform)
                chains.log_weight += (schedule[at - 1] - schedule[at]) * chains.log_lik.double()
            else:
                chains.log_weight += (schedule[t] - schedule[t - 1]) * chains.log_lik.double()
                self._transition(chains, schedule[t], steps[t - 1], momentum, uniform)
            chains.done = t

    def _start(self, posterior: Tensor | None, chains: int | None = None, purpose: str = "start") -> _Chains:
        count = self.settings.chains if chains is None else chains
        if posterior is not None:
            z = posterior.detach().expand(count, *posterior.shape).clone()
        else:
            generators = [self._generator(i, purpose) for i in range(len(self.x))]
            z = torch.stack([_prior(self.model, count, generator) for generator in generators], dim=1)
        weight = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
        return _Chains(z, *self._densities(z), weight, torch.zeros_like(weight[0]))

    def _densities(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log p(x|z), log p(z) and their gradients in z."""
        z = z.detach().requires_grad_()
        with torch.enable_grad():
            log_lik, log_prior = self.model.decoder_log_prob(self.x, z), self.model.prior_log_prob(z)
            (grad_lik,) = torch.autograd.grad(log_lik.sum(), z)
            (grad_prior,) = torch.autograd.grad(log_prior.sum(), z)
        return log_lik.detach(), log_prior.detach(), grad_lik, grad_prior

    def _transition(
        self, chains: _Chains, b: float, step: Tensor, momentum: Tensor, uniform: Tensor
    ) -> Tensor:
        """One Hamiltonian transition that leaves p(z) p(x|z)^b invariant; acceptance probabilities.

        Neal 2011, section 3.2. The densities of where the chains stand are kept, so that a transition costs
        just `leapfrog_steps` forward and backward passes. A trajectory that leaves the floats is rejected.
        """
        z, p = chains.z, momentum
        gradient = torch.add(chains.grad_prior, chains.grad_lik, alpha=b)
        densities = (chains.log_lik, chains.log_prior, chains.grad_lik, chains.grad_prior)
        half = 0.5 * step
        p = torch.addcmul(p, half, gradient)
        for leap in range(self.settings.leapfrog_steps):
            z = torch.addcmul(z, step, p)
            densities = self._densities(z)
            gradient = torch.add(densities[3], densities[2], alpha=b)
            last = leap == self.settings.leapfrog_steps - 1
            p = torch.addcmul(p, half if last else step, gradient)
        kinetic = 0.5 * (momentum.square().sum(-1) - p.square().sum(-1)).double()
        potential = (densities[1] - chains.log_prior).double() + b * (densities[0] - chains.log_lik).double()
        probability = torch.nan_to_num(torch.exp((kinetic + potential).clamp(max=0.0)), nan=0.0)
        self._move(chains, uniform < probability, z, densities)
        chains.acceptance += probability.mean(0)
        return probability

    @staticmethod
    def _move(chains: _Chains, taken: Tensor, z: Tensor, densities: tuple[Tensor, ...]) -> None:
        wide = taken.unsqueeze(-1)
        chains.z = torch.where(wide, z, chains.z)
        chains.log_lik = torch.where(taken, densities[0], chains.log_lik)
        chains.log_prior = torch.where(taken, densities[1], chains.log_prior)
        chains.grad_lik = torch.where(wide, densities[2], chains.grad_lik)
        chains.grad_prior = torch.where(wide, densities[3], chains.grad_prior)

    def _pilot(self) -> Tensor:
        """Step sizes for each transition and point, ``[distributions, points, 1]``.

        Chains of their own adapt them to the target acceptance on a shorter schedule; log step sizes are
        then smoothed over neighbouring distributions and interpolated.
        """
        settings, points = self.settings, len(self.x)
        length = max(SHORTEST_PILOT, math.ceil(settings.pilot_share * settings.distributions))
        schedule = [0.0] * SETTLING + sigmoid_schedule(length)[1:]
        chains = self._start(None, settings.pilot_chains, "pilot start")
        log_step = torch.full((points, 1), math.log(FIRST_STEP), dtype=torch.float64, device=self.x.device)
        trace = []
        for t, b in enumerate(schedule):
            part, offset = divmod(t, NOISE_STEPS)
            if offset == 0:
                momenta, uniforms = self._noise("pilot", part, settings.pilot_chains, NOISE_STEPS)
            trace.append(log_step)
            step = log_step.exp().to(chains.z.dtype)
            probability = self._transition(chains, b, step, momenta[offset], uniforms[offset]).mean(0)
            log_step = log_step + GAIN * (probability - settings.target_acceptance).unsqueeze(-1)
            log_step = log_step.clamp(math.log(LEAST_STEP), math.log(LARGEST_STEP))
        smooth = _smoothed(torch.stack([*trace, log_step])[SETTLING:].squeeze(-1), max(1, length // 20))
        return _interpolated(smooth, settings.distributions).exp().unsqueeze(-1).to(chains.z.dtype)

    def _noise(self, purpose: str, part: int, chains: int, steps: int) -> tuple[Tensor, Tensor]:
        """Momenta ``[steps, chains, points, latent]`` and uniforms (without the last axis) of one part."""
        momenta, uniforms = [], []
        like = _prior(self.model, 1, self._generator(0, "shape"))
        for i in range(len(self.x)):
            generator = self._generator(i, purpose, part)
            shape = (NOISE_STEPS, chains, like.shape[-1])
            momenta.append(torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype))
            uniforms.append(
                torch.rand(shape[:2], generator=generator, device=like.device, dtype=torch.float64)
            )
        return torch.stack(momenta, 2)[:steps], torch.stack(uniforms, 2)[:steps]

    def _generator(self, point: int, purpose: str, part: int = 0) -> torch.Generator:
        return _generator(self.model, self.seed, self.first + point, purpose, part, device=self.x.device)


_PURPOSES = ("start", "up", "down", "pilot start", "pilot", "simulate", "observe", "shape")


def _generator(
    model: Any, seed: int, point: int, purpose: str, part: int = 0, device: torch.device | None = None
) -> torch.Generator:
    """The generator of one purpose for one point; SeedSequence keeps neighbours independent."""
    entropy = np.random.SeedSequence([seed, point, _PURPOSES.index(purpose), part]).generate_state(
        1, np.uint64
    )
    return torch.Generator(device or _device(model)).manual_seed(int(entropy[0] >> np.uint64(1)))


def _doubled(model: Any) -> Any:
    """The model in float64, a copy if it is not.

    In float32, rounding that depends on how many rows go through the decoder now and then turns a rejected
    move into an accepted one: hundredths of a nat. On a CPU convolutions of small images become
    matrices, since PyTorch's float64 ones are slow there.
    """
    if isinstance(model, GaussianObservation):
        return GaussianObservation(_doubled(model.generator), model.variance)
    single = isinstance(model, nn.Module) and any(
        tensor.dtype == torch.float32 for tensor in (*model.parameters(), *model.buffers())
    )
    if not single:
        return model
    doubled = copy.deepcopy(model).double()
    for part in list(doubled.modules()) if _device(model).type == "cpu" else ():
        if isinstance(part, HasMatrixForm):
            part.use_matrices()
    return doubled


def _device(model: Any) -> torch.device:
    module = model.generator if isinstance(model, GaussianObservation) else model
    tensors = [*module.parameters(), *module.buffers()] if isinstance(module, nn.Module) else []
    return tensors[0].device if tensors else torch.device("cpu")


def _prior(model: Any, n: int, generator: torch.Generator) -> Tensor:
    with torch.no_grad():
        return model.prior_sample(n, generator).detach()


@contextmanager
def _frozen(model: Any) -> Iterator[None]:
    """Parameters without gradients for a while: only those in z are wanted."""
    module = model.generator if isinstance(model, GaussianObservation) else model
    thawed = [p for p in module.parameters() if p.requires_grad] if isinstance(module, nn.Module) else []
    for parameter in thawed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in thawed:
            parameter.requires_grad_(True)


def _smoothed(values: Tensor, half: int) -> Tensor:
    """Moving average over `2 half + 1` rows, narrower at both ends."""
    sums = torch.cat([torch.zeros_like(values[:1]), values.cumsum(0)])
    rows = torch.arange(len(values), device=values.device)
    low, high = (rows - half).clamp(min=0), (rows + half + 1).clamp(max=len(values))
    return (sums[high] - sums[low]) / (high - low).unsqueeze(-1)


def _interpolated(values: Tensor, count: int) -> Tensor:
    """Rows `values [m, n]` at evenly spread positions, linearly interpolated to ``[count, n]``."""
    positions = torch.linspace(0, len(values) - 1, count, dtype=torch.float64, device=values.device)
    low = positions.floor().long().clamp(max=max(len(values) - 2, 0))
    high = (low + 1).clamp(max=len(values) - 1)
    share = (positions - low).unsqueeze(-1)
    return values[low] * (1 - share) + values[high] * share


def cheaper(settings: Annealing, distributions: int, chains: int) -> Annealing:
    """The same annealing with fewer distributions and chains, for a choice between settings."""
    return replace(
        settings,
        distributions=min(settings.distributions, distributions),
        chains=min(settings.chains, chains),
    )
