"""The theory of the adversarial game where both densities are known (Goodfellow et al. 2014, section 4).

A discriminator is trained on draws of p_data and p_G, mixtures of Gaussians in one and two dimensions, and
held against D* = p_data / (p_data + p_G): its mean absolute error over (p_data + p_G)/2, and its value
against 2 JSD - log 4, both by quadrature. What keeps a discriminator from D* is shown one at a time, in one
dimension: too few draws (of which it then makes too much), too narrow a network, too few steps.

How much a discriminator tells the generator is measured for p_data = N(0, 1) and p_G = N(m, 1), while it
trains: the gradient in m of the minimax loss and of the non-saturating one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Curve, Finding, Panel
from dgmbench.controls.gans.known_densities import Game, Mixture
from dgmbench.models.parts.mlp import mlp
from dgmbench.results import Record
from dgmbench.settings.block import Distinct
from dgmbench.statistics import Interval, student_interval
from dgmbench.training.seeding import generator_for, initialising

DATA = {
    1: Mixture((0.6, 0.4), ((-1.0,), (1.5,)), (0.5, 0.7)),
    2: Mixture((0.4, 0.3, 0.3), ((-1.2, 0.0), (1.0, 1.0), (1.0, -1.0)), (0.5, 0.6, 0.6)),
}
GENERATED = {1: Mixture((1.0,), ((0.0,),), (1.2,)), 2: Mixture((1.0,), ((0.0, 0.0),), (1.3,))}
SLOPES = ("minimax", "non_saturating")
# What of a source of error is varied: its unit on the axis.
SOURCES = {"draws": "draws of either density", "units": "units of each layer", "steps": "steps"}
# Points of the plotted discriminators.
PLOTTED = 161


class GANTheorySettings(ControlSettings):
    """The discriminator, its training, and what it is kept short of."""

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
class _Found:
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


class GANTheory(Control[GANTheorySettings]):
    """Trained discriminators against the optimal one."""

    Settings = GANTheorySettings
    title = "GANs: the trained discriminator and the optimal one"
    claim = (
        "Between known densities a trained discriminator comes to D* = p_data/(p_data + p_G) and its value "
        "to 2 JSD - log 4, which is -log 4 where p_G = p_data; too few draws, too narrow a network and too "
        "few steps each keep it away. The stronger it is for distant densities, the less it tells the "
        "generator under the minimax loss, in the end next to nothing, unlike under the non-saturating one."
    )
    source = (
        "Goodfellow et al. 2014, proposition 1, theorem 1 and section 3; Arjovsky & Bottou 2017, theorem 2.4"
    )

    def run(self, context: Context) -> Finding:
        """Train everything, `repetitions` times."""
        context.lap()
        found = _Found()
        for repetition in range(self.settings.repetitions):
            for dims in (1, 2):
                self._free(context, found, dims, repetition)
            self._short(context, found, repetition)
            self._shifted(context, found, repetition)
        panels = [self._discriminators(found), *self._error_panels(found), self._slope_panel(found)]
        return Finding(judge(list(self._parts(found))), self._sentence(found), self._records(context, found),
                       panels)  # fmt: skip

    # Trainings

    def _free(self, context: Context, found: _Found, dims: int, repetition: int) -> None:
        """Kept short of nothing; with p_G as it is, and with p_G = p_data."""
        for name, generated in ((f"{dims}d", GENERATED[dims]), (f"{dims}d_equal", DATA[dims])):
            game = Game.of(DATA[dims], generated)
            looks = self.settings.looks if name == "1d" else []
            for step, network in self._train(context, game, name, repetition, looks=looks):
                if step == self.settings.steps:
                    self._measure(found, name, game, network)
                    if name == "1d" and repetition == 0:
                        found.plotted = _plotted(game, network)
                if name == "1d":
                    self._measure(found, f"steps_{step}", game, network)

    def _short(self, context: Context, found: _Found, repetition: int) -> None:
        """Of draws, then of units."""
        game = Game.of(DATA[1], GENERATED[1])
        for n in self.settings.draws:
            noise = generator_for("control", context.control, context.seed, "draws", n, repetition)
            kept = game.data.sample(n, noise), game.generated.sample(n, noise)
            for _, network in self._train(context, game, f"draws_{n}", repetition, kept=kept):
                self._measure(found, f"draws_{n}", game, network)
                found.values[f"draws_{n}", "game_value_training"].append(_value_of(network, *kept))
        for units in self.settings.units:
            for _, network in self._train(context, game, f"units_{units}", repetition, width=units):
                self._measure(found, f"units_{units}", game, network)

    def _shifted(self, context: Context, found: _Found, repetition: int) -> None:
        """The generator's gradient while the discriminator trains, and at the optimum."""
        game = self._shift_game()
        for step, network in self._train(context, game, "shift", repetition, looks=self.settings.looks):
            for name, size in game.generator_slopes(partial(_logits, network)).items():
                found.values[f"shift_steps_{step}", f"generator_gradient_{name}"].append(size)

    def _shift_game(self) -> Game:
        half = 0.5 * self.settings.shift
        return Game.of(Mixture((1.0,), ((-half,),), (1.0,)), Mixture((1.0,), ((half,),), (1.0,)))

    def _train(
        self,
        context: Context,
        game: Game,
        name: str,
        repetition: int,
        *,
        width: int | None = None,
        kept: tuple[Tensor, Tensor] | None = None,
        looks: Sequence[int] = (),
    ) -> Iterator[tuple[int, nn.Module]]:
        """Steps taken and the network, after each of `looks` and at the end; `kept` are all its draws."""
        settings = self.settings
        parts = ("control", context.control, context.seed, name, repetition)
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

    def _measure(self, found: _Found, subject: str, game: Game, network: nn.Module) -> None:
        with torch.no_grad():
            logits = _logits(network, game.points)
        found.optima[subject] = game.optimum()
        found.values[subject, "discriminator_error"].append(game.error(logits))
        found.values[subject, "game_value"].append(game.value(logits))
        found.values[subject, "game_value_error"].append(abs(game.value(logits) - game.optimum()))

    # What comes of it

    def _subjects(self, source: str) -> list[str]:
        """The subjects in which a source of error shrinks, the free training last."""
        settings = self.settings
        values = {"draws": settings.draws, "units": settings.units, "steps": self._looks()}[source]
        limited = [f"{source}_{value}" for value in sorted(values)]
        return [*limited, "1d"]

    def _looks(self) -> list[int]:
        """Steps before the last after which networks are looked at."""
        return sorted({look for look in self.settings.looks if look < self.settings.steps})

    def _parts(self, found: _Found) -> Iterator[Interval]:
        """All that has to be above zero."""
        for name in ("1d", "2d", "1d_equal", "2d_equal"):
            for metric in ("discriminator_error", "game_value_error"):
                error = found.interval(name, metric)
                yield error.below(self.settings.tolerance)
        for source in SOURCES:
            first, *_, last = self._subjects(source)
            yield found.difference(first, last)
        yield self._slope_ratio(found)
        yield self._slope_loss(found)

    def _slope_loss(self, found: _Found) -> Interval:
        """log of the minimax gradient at the first look over that at the end of the shifted training."""
        steps = min(self.settings.looks), self.settings.steps
        sizes = [found.values[f"shift_steps_{step}", "generator_gradient_minimax"] for step in steps]
        return student_interval([math.log(first / last) for first, last in zip(*sizes, strict=True)])

    def _slope_ratio(self, found: _Found) -> Interval:
        """log of the non-saturating gradient over the minimax one, at the end of the shifted training."""
        last = f"shift_steps_{self.settings.steps}"
        sizes = [found.values[last, f"generator_gradient_{name}"] for name in SLOPES]
        return student_interval([math.log(calm / sharp) for sharp, calm in zip(*sizes, strict=True)])

    def _sentence(self, found: _Found) -> str:
        told = [self._told(found, dims) for dims in (1, 2)]
        firsts = [self._subjects(source)[0] for source in SOURCES]
        worst = "; ".join(
            f"{first.replace('_', ' ')}: {found.interval(first, 'discriminator_error').mean:.3f}"
            for first in firsts
        )
        own, real = (found.interval(firsts[0], name).mean for name in ("game_value_training", "game_value"))
        ratio = self._slope_ratio(found)
        times, low, high = (f"{math.exp(value):,.0f}" for value in (ratio.mean, ratio.low, ratio.high))
        fall = self._slope_loss(found)
        falls = [f"{math.exp(value):.1f}" for value in (fall.mean, fall.low, fall.high)]
        return " ".join(told) + (
            f" Kept short, it is farther away ({worst}); with the fewest draws it takes its value for "
            f"{own:.2f} and it is {real:.2f}. For densities {self.settings.shift:g} deviations apart the "
            f"generator's minimax gradient falls {falls[0]} times (95 % over repetitions: {falls[1]} to "
            f"{falls[2]}) from step {min(self.settings.looks)} to step {self.settings.steps} of the "
            "discriminator, and the "
            f"non-saturating one ends {times} times (95 % over repetitions: {low} to {high}) as large."
        )

    def _told(self, found: _Found, dims: int) -> str:
        name = f"{dims}d"
        error, value = (found.interval(name, metric) for metric in ("discriminator_error", "game_value"))
        equal = found.interval(f"{name}_equal", "game_value")
        return (
            f"In {dims}-D the trained D is {error.mean:.4f} ± {error.half:.4f} from D* on average, its value "
            f"{value.mean:.4f} against {found.optima[name]:.4f}, and {equal.mean:.4f} where p_G = p_data "
            f"(-log 4 = {-math.log(4):.4f})."
        )

    def _records(self, context: Context, found: _Found) -> list[Record]:
        seconds = context.lap() / sum(map(len, found.values.values()))
        rows = [
            context.record(
                subject, metric, value, n=1, unit="nats" if metric.startswith("game_value") else "1",
                kind="estimate", split="train", seed=context.seed + repetition, seconds=seconds,
            )
            for (subject, metric), values in found.values.items()
            for repetition, value in enumerate(values)
        ]  # fmt: skip

        def exact(subject: str, metric: str, value: float, unit: str) -> Record:
            return context.record(subject, metric, value, n=1, unit=unit, kind="exact", split="train")

        for name in ("1d", "2d", "1d_equal", "2d_equal"):
            rows.append(exact(name, "game_value_optimum", found.optima[name], "nats"))
        game = self._shift_game()
        best = game.generator_slopes(lambda x: game.data.log_prob(x) - game.generated.log_prob(x))
        for name, size in best.items():
            rows.append(exact("shift_optimum", f"generator_gradient_{name}", size, "1"))
        return rows

    def _discriminators(self, found: _Found) -> Panel:
        return Panel("D in one dimension", "x", "D(x)", found.plotted, {"1/2": 0.5})

    def _error_panels(self, found: _Found) -> Iterator[Panel]:
        for source, axis in SOURCES.items():
            subjects = self._subjects(source)[:-1]
            intervals = [found.interval(subject, "discriminator_error") for subject in subjects]
            counts = [float(subject.partition("_")[2]) for subject in subjects]
            free = found.interval("1d", "discriminator_error").mean
            levels = {"kept short of nothing": free, "tolerance": self.settings.tolerance}
            curve = Curve.of("mean, 95 % over repetitions", counts, intervals)
            yield Panel(f"Too few {source}", axis, "mean |D - D*|", [curve], levels, log_x=True)

    def _slope_panel(self, found: _Found) -> Panel:
        steps, curves = [*self._looks(), self.settings.steps], []
        for name in SLOPES:
            metric = f"generator_gradient_{name}"
            intervals = [found.interval(f"shift_steps_{step}", metric) for step in steps]
            curves.append(Curve.of(name.replace("_", "-"), [float(step) for step in steps], intervals))
        return Panel("D too weak, D too strong", "discriminator's steps", "size of the generator's gradient",
                     curves, log_x=True)  # fmt: skip


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
