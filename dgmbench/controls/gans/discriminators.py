"""Discriminators trained on draws of two known densities, and what is measured of each.

The densities are mixtures of Gaussians in one and two dimensions. In one dimension the training is limited
in one way at a time: too few draws, too narrow a network, too few steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from dgmbench.controls.control import Context, ControlSettings, Curve
from dgmbench.controls.gans.known_densities import Game, Mixture
from dgmbench.models.parts.mlp import mlp
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, student_interval
from dgmbench.training.seeding import generator_for, initialising

DATA = {
    1: Mixture((0.6, 0.4), ((-1.0,), (1.5,)), (0.5, 0.7)),
    2: Mixture((0.4, 0.3, 0.3), ((-1.2, 0.0), (1.0, 1.0), (1.0, -1.0)), (0.5, 0.6, 0.6)),
}
GENERATED = {1: Mixture((1.0,), ((0.0,),), (1.2,)), 2: Mixture((1.0,), ((0.0, 0.0),), (1.3,))}
# Points of the plotted discriminators.
PLOTTED = 161


class GANTheorySettings(ControlSettings):
    """The discriminator, its training, and the limits that are tried."""

    width: PositiveInt = Field(64, description="units of each of two hidden layers")
    steps: PositiveInt = Field(1500, description="of Adam, its step size falling to 0 by a cosine")
    batch_size: PositiveInt = Field(512, description="fresh draws of either density in a step")
    learning_rate: PositiveFloat = Field(5e-3, description="step size at the start")
    draws: Distinct[PositiveInt] = Field([30, 300, 3000], min_length=1, description="where they are limited")
    units: Distinct[PositiveInt] = Field([1, 2, 4], min_length=1, description="where they are limited")
    looks: Distinct[PositiveInt] = Field(
        [3, 10, 30, 100, 300, 1000], min_length=1, description="steps after which to look"
    )
    # Quadrature ends at 8 deviations.
    shift: PositiveFloat = Field(6.0, le=8, description="m, in deviations")
    repetitions: int = Field(3, ge=2, description="trainings of everything")
    tolerance: PositiveFloat = Field(0.02, description="of errors of D, and of values in nats")

    @model_validator(mode="after")
    def _looks_before_the_end(self) -> Self:
        if min(self.looks) >= self.steps:
            raise ValueError(f"'looks' has none before the last of {self.steps} steps; 1 works")
        return self


Values = dict[tuple[str, str], list[float]]


@dataclass
class Found:
    """Values by (subject, metric), one for each repetition, and the discriminators to be plotted."""

    values: Values = field(default_factory=lambda: defaultdict(list))
    optima: dict[str, float] = field(default_factory=dict)
    plotted: list[Curve] = field(default_factory=list)

    def interval(self, subject: str, metric: str) -> Interval:
        """Mean and interval over repetitions."""
        return student_interval(self.values[subject, metric])

    def difference(self, first: str, second: str, metric: str = "discriminator_error") -> Interval:
        """Of two subjects, repetition by repetition."""
        pairs = zip(self.values[first, metric], self.values[second, metric], strict=True)
        return student_interval([a - b for a, b in pairs])


class Trainings:
    """All trainings of the control, `repetitions` times.

    Args:
        settings: how the discriminators are trained, and their limits.
        context: gives the seeds.
    """

    def __init__(self, settings: GANTheorySettings, context: Context) -> None:
        self.settings, self.context, self.found = settings, context, Found()

    def run(self) -> Found:
        """Train everything."""
        for repetition in range(self.settings.repetitions):
            for dims in (1, 2):
                self._free(dims, repetition)
            self._limited(repetition)
            self._shifted(repetition)
        return self.found

    def _free(self, dims: int, repetition: int) -> None:
        """Without limits; with p_G as it is, and with p_G = p_data."""
        for name, generated in ((f"{dims}d", GENERATED[dims]), (f"{dims}d_equal", DATA[dims])):
            game = Game.of(DATA[dims], generated)
            looks = self.settings.looks if name == "1d" else []
            for step, network in self._train(game, name, repetition, looks=looks):
                if step == self.settings.steps:
                    self._measure(name, game, network)
                    if name == "1d" and repetition == 0:
                        self.found.plotted = _plotted(game, network)
                if name == "1d":
                    self._measure(f"steps_{step}", game, network)

    def _limited(self, repetition: int) -> None:
        """With few draws, then with few units."""
        game = Game.of(DATA[1], GENERATED[1])
        for n in self.settings.draws:
            noise = generator_for("control", self.context.control, self.context.seed, "draws", n, repetition)
            kept = game.data.sample(n, noise), game.generated.sample(n, noise)
            for _, network in self._train(game, f"draws_{n}", repetition, kept=kept):
                self._measure(f"draws_{n}", game, network)
                self.found.values[f"draws_{n}", "game_value_training"].append(_value_of(network, *kept))
        for units in self.settings.units:
            for _, network in self._train(game, f"units_{units}", repetition, width=units):
                self._measure(f"units_{units}", game, network)

    def _shifted(self, repetition: int) -> None:
        """The generator's gradient while the discriminator trains, and at the optimum."""
        game = shift_game(self.settings)
        for step, network in self._train(game, "shift", repetition, looks=self.settings.looks):
            for name, size in game.generator_slopes(partial(_logits, network)).items():
                self.found.values[f"shift_steps_{step}", f"generator_gradient_{name}"].append(size)

    def _train(
        self,
        game: Game,
        name: str,
        repetition: int,
        *,
        width: int | None = None,
        kept: tuple[Tensor, Tensor] | None = None,
        looks: Sequence[int] = (),
    ) -> Iterator[tuple[int, nn.Module]]:
        """Steps taken and the network, after each of `looks` and at the end; `kept`: all its draws."""
        settings = self.settings
        parts = ("control", self.context.control, self.context.seed, name, repetition)
        width = width or settings.width
        with initialising(*parts):
            network = nn.Sequential(mlp([game.data.dims, width, width], "relu"), nn.Linear(width, 1))
        noise = generator_for(*parts)
        optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
        for step in range(1, settings.steps + 1):
            optimiser.zero_grad(set_to_none=True)
            (-_objective(network, *self._batch(game, kept, noise))).backward()
            optimiser.step()
            schedule.step()
            if step in looks or step == settings.steps:
                yield step, network

    def _batch(
        self, game: Game, kept: tuple[Tensor, Tensor] | None, noise: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        size = self.settings.batch_size
        if kept is None:
            return game.data.sample(size, noise), game.generated.sample(size, noise)
        rows = [torch.randint(len(draws), (size,), generator=noise) for draws in kept]
        return kept[0][rows[0]], kept[1][rows[1]]

    def _measure(self, subject: str, game: Game, network: nn.Module) -> None:
        with torch.no_grad():
            logits = _logits(network, game.points)
        self.found.optima[subject] = game.optimum()
        self.found.values[subject, "discriminator_error"].append(game.error(logits))
        self.found.values[subject, "game_value"].append(game.value(logits))
        self.found.values[subject, "game_value_error"].append(abs(game.value(logits) - game.optimum()))


def shift_game(settings: GANTheorySettings) -> Game:
    """Two Gaussians of deviation 1, `shift` apart."""
    half = 0.5 * settings.shift
    return Game.of(Mixture((1.0,), ((-half,),), (1.0,)), Mixture((1.0,), ((half,),), (1.0,)))


def _objective(network: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """V on draws of both densities, in nats."""
    return -F.softplus(-network(real)).mean() - F.softplus(network(fake)).mean()


def _value_of(network: nn.Module, real: Tensor, fake: Tensor) -> float:
    with torch.no_grad():
        return float(_objective(network, real, fake))


def _logits(network: nn.Module, points: Tensor) -> Tensor:
    """s(x) in float64, ``[g]``."""
    return network(points.float()).squeeze(1).double()


def _plotted(game: Game, network: nn.Module) -> list[Curve]:
    points = torch.linspace(-4, 4, PLOTTED, dtype=torch.float64)[:, None]
    with torch.no_grad():
        trained = torch.sigmoid(_logits(network, points)).tolist()
    data, generated = game.data.log_prob(points), game.generated.log_prob(points)
    columns: Mapping[str, list[float]] = {
        "D*": torch.sigmoid(data - generated).tolist(),
        "trained": trained,
        "p_data": data.exp().tolist(),
        "p_G": generated.exp().tolist(),
    }
    return [Curve(name, points[:, 0].tolist(), values) for name, values in columns.items()]
