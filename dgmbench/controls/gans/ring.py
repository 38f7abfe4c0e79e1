"""Which modes of a ring of Gaussians a generator finds, by objective and by how far it moves ahead.

p_data is an even mixture of narrow Gaussians on a circle (Metz et al. 2017, section 3.1). A mode counts as
found if at least a tenth of its due share of samples lies within three of its deviations; the share of all
samples that lies so near to any mode is called high in quality (Srivastava et al. 2017, section 4.1).

`ahead` is the non-saturating game in which the generator moves many times for each move of the
discriminator: Goodfellow et al. 2014 warn that it then maps too many z to one x ("the Helvetica scenario").
Every game lasts the same number of generator moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Curve, Finding, Panel, Sheet
from dgmbench.models.adversarial.objectives import (
    OBJECTIVES,
    Objective,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from dgmbench.models.parts.mlp import mlp
from dgmbench.results import Record
from dgmbench.settings.block import FirstSeed
from dgmbench.statistics import Interval, student_interval
from dgmbench.training.seeding import generator_for, initialising

AHEAD, IN_TURN = "ahead", "non_saturating"
# A found mode has so much of its due share; a sample near a mode is so many deviations away at most.
DUE, NEAR = 0.1, 3.0
# Pixels of a picture of samples, and half its side in radii.
PIXELS, SIDE = 56, 1.5


class GANRingSettings(ControlSettings):
    """The ring, the two networks and their training."""

    modes: int = Field(8, ge=2, description="Gaussians on the circle")
    radius: PositiveFloat = Field(2.0, description="of the circle")
    deviation: PositiveFloat = Field(0.02, description="of each Gaussian")
    latent_dim: PositiveInt = Field(2, description="dimensions of z")
    width: PositiveInt = Field(128, description="units of both hidden layers of either network")
    moves: PositiveInt = Field(2000, description="of the generator")
    ahead: int = Field(5, ge=2, description="generator moves for each discriminator move in `ahead`")
    batch_size: PositiveInt = Field(256, description="draws of a step")
    learning_rate: PositiveFloat = Field(1e-3, description="Adam's step size, falling to 0 in a line")
    gradient_penalty: PositiveFloat = Field(1.0, description="wasserstein_gp: weight of the penalty")
    samples: int = Field(5000, ge=100, description="of each trained generator, for its score")
    repetitions: int = Field(3, ge=2, description="trainings of each")
    # 0 to 2 were seen when the claim and `ahead` were settled on; these were not.
    first_seed: FirstSeed = Field(10, description="the seed of the first training, counted up from there")


@dataclass(frozen=True)
class _Score:
    """Of one trained generator: modes found, share of high quality, and its samples, [n, 2]."""

    modes: int
    quality: float
    samples: Tensor


class GANRing(Control[GANRingSettings]):
    """Mode dropping where every mode is known."""

    Settings = GANRingSettings
    title = "GANs: modes of a ring of Gaussians"
    claim = (
        "In turn with its discriminator a generator finds most modes of a ring of Gaussians; one that moves "
        "ahead of it drops modes."
    )
    source = (
        "Goodfellow et al. 2014, section 6 (the Helvetica scenario); Metz et al. 2017, section 3.1 (the ring)"
    )

    def run(self, context: Context) -> Finding:
        """Play every game `repetitions` times."""
        context.lap()
        games = (*OBJECTIVES, AHEAD)
        found: dict[str, list[_Score]] = {game: [] for game in games}
        records: list[Record] = []
        first = self.settings.first_seed
        for repetition in range(first, first + self.settings.repetitions):
            for game in games:
                score = self._play(context, game, repetition)
                found[game].append(score)
                records += self._records(context, game, score, repetition)
        modes, quality = (
            {
                game: student_interval([getattr(score, part) for score in scores])
                for game, scores in found.items()
            }
            for part in ("modes", "quality")
        )
        pairs = zip(found[IN_TURN], found[AHEAD], strict=True)
        drops = student_interval([in_turn.modes - ahead.modes for in_turn, ahead in pairs])
        outcome = judge([drops, modes[IN_TURN].less(self.settings.modes / 2)])
        panels = [_panel("Modes found", "modes", modes), _panel("Near a mode", "share of samples", quality)]
        plane = self._sheet({game: found[game][0].samples for game in games})
        return Finding(outcome, self._sentence(modes, quality), records, panels, [plane])

    def _play(self, context: Context, game: str, repetition: int) -> _Score:
        objective: Objective = next((name for name in OBJECTIVES if name == game), "non_saturating")
        parts = ("control", context.control, context.seed, game, repetition)
        settings = self.settings
        with initialising(*parts):
            generator = _network(settings.latent_dim, 2, settings.width, "relu")
            discriminator = _network(2, 1, settings.width, "leaky_relu", spectral=objective == "hinge")
        noise = generator_for(*parts)
        optimisers = [
            torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.5, 0.999), fused=True)
            for network in (discriminator, generator)
        ]
        for move in range(settings.moves):
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = settings.learning_rate * (1 - move / settings.moves)
            if game != AHEAD or move % settings.ahead == 0:
                _descend(optimisers[0], self._discriminator_loss(objective, discriminator, generator, noise))
            fake = discriminator(generator(self._latents(settings.batch_size, noise))).squeeze(1)
            _descend(optimisers[1], generator_loss(objective, fake))
        with torch.no_grad():
            return self._score(generator(self._latents(settings.samples, noise)))

    def _discriminator_loss(
        self, objective: Objective, discriminator: nn.Module, generator: nn.Module, noise: torch.Generator
    ) -> Tensor:
        size = self.settings.batch_size
        real = self.real(size, noise)
        with torch.no_grad():
            fake = generator(self._latents(size, noise))
        verdicts = discriminator(torch.cat([real, fake])).squeeze(1)
        loss = discriminator_loss(objective, verdicts[:size], verdicts[size:])
        if objective != "wasserstein_gp":
            return loss
        penalty = gradient_penalty(lambda x: discriminator(x).squeeze(1), real, fake, noise)
        return loss + self.settings.gradient_penalty * penalty

    def _latents(self, n: int, noise: torch.Generator) -> Tensor:
        return torch.randn((n, self.settings.latent_dim), generator=noise)

    def centres(self) -> Tensor:
        """``[modes, 2]``."""
        angles = 2 * math.pi * torch.arange(self.settings.modes) / self.settings.modes
        return self.settings.radius * torch.stack([angles.cos(), angles.sin()], 1)

    def real(self, n: int, noise: torch.Generator) -> Tensor:
        """``[n, 2]`` draws of p_data."""
        chosen = torch.randint(self.settings.modes, (n,), generator=noise)
        return self.centres()[chosen] + self.settings.deviation * torch.randn((n, 2), generator=noise)

    def _score(self, samples: Tensor) -> _Score:
        distances, nearest = torch.cdist(samples, self.centres()).min(1)
        near = distances <= NEAR * self.settings.deviation
        counts = torch.bincount(nearest[near], minlength=self.settings.modes)
        due = len(samples) / self.settings.modes
        return _Score(int((counts >= DUE * due).sum()), float(near.float().mean()), samples)

    def _records(self, context: Context, game: str, score: _Score, repetition: int) -> Iterator[Record]:
        measured = {"modes_found": float(score.modes), "high_quality_share": score.quality}
        for metric, value in measured.items():
            yield context.record(
                game, metric, value, n=self.settings.samples, unit="1", kind="estimate", split="train",
                seed=context.seed + repetition, seconds=context.lap(),
            )  # fmt: skip

    def _sentence(self, modes: dict[str, Interval], quality: dict[str, Interval]) -> str:
        each = ", ".join(
            f"{_title(game)} {modes[game].mean:.1f} ± {modes[game].half:.1f} "
            f"({100 * quality[game].mean:.0f} % of samples near one)"
            for game in OBJECTIVES
        )
        return (
            f"Of {self.settings.modes} modes are found: {each}. A generator that makes {self.settings.ahead} "
            f"non-saturating moves to each of the discriminator finds {modes[AHEAD].mean:.1f} ± "
            f"{modes[AHEAD].half:.1f} ({100 * quality[AHEAD].mean:.0f} % near one)."
        )

    def _sheet(self, samples: dict[str, Tensor]) -> Sheet:
        """The plane for each game, a pixel as bright as samples are in it."""
        edge = SIDE * self.settings.radius
        edges = np.linspace(-edge, edge, PIXELS + 1)
        pictures = []
        for points in samples.values():
            x, y = points.numpy().T
            counts, _, _ = np.histogram2d(y, x, (edges, edges))
            pictures.append((255 * np.sqrt(counts / max(counts.max(), 1.0)))[::-1].astype(np.uint8))
        names = ", ".join(map(_title, samples))
        return Sheet(f"Samples, row by row: {names}", np.stack(pictures)[:, None], 256)


def _network(inputs: int, outputs: int, width: int, activation: str, spectral: bool = False) -> nn.Module:
    network = nn.Sequential(mlp([inputs, width, width], activation), nn.Linear(width, outputs))
    if spectral:
        for module in list(network.modules()):
            if isinstance(module, nn.Linear):
                spectral_norm(module)
    return network


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _title(game: str) -> str:
    return {AHEAD: "generator ahead", IN_TURN: "non-saturating"}.get(game, game.replace("_", " "))


def _panel(title: str, axis: str, found: dict[str, Interval]) -> Panel:
    curve = Curve.of(
        "mean, 95 % over repetitions", [float(place) for place in range(len(found))], list(found.values())
    )
    return Panel(title, "", axis, [curve], x_names=[_title(game) for game in found])
