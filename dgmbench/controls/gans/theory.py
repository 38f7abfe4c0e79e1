"""The theory of the adversarial game where both densities are known (Goodfellow et al. 2014, section 4).

A discriminator is trained on draws of p_data and p_G, mixtures of Gaussians in one and two dimensions, and
compared with D* = p_data / (p_data + p_G): its mean absolute error over (p_data + p_G)/2, and its value
with 2 JSD - log 4, both by quadrature. What keeps a discriminator from D* is shown one at a time, in one
dimension: too few draws (which it overfits), too narrow a network, too few steps.

The generator's gradient is measured for p_data = N(0, 1) and p_G = N(m, 1), while the discriminator
trains: the gradient in m of the minimax loss and of the non-saturating one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, Curve, Finding, Panel
from dgmbench.controls.gans.discriminators import Found, GANTheorySettings, Trainings, shift_game
from dgmbench.results import Record
from dgmbench.statistics import Interval, student_interval

SLOPES = ("minimax", "non_saturating")
# What of a source of error is varied: its unit on the axis.
SOURCES = {"draws": "draws of either density", "units": "units of each layer", "steps": "steps"}


class GANTheory(Control[GANTheorySettings]):
    """Trained discriminators against the optimal one."""

    Settings = GANTheorySettings
    title = "GANs: the trained discriminator and the optimal one"
    claim = (
        "Between known densities a trained discriminator comes to D* = p_data/(p_data + p_G) and its value "
        "to 2 JSD - log 4, which is -log 4 where p_G = p_data; too few draws, too narrow a network and too "
        "few steps each keep it away. The stronger it is for distant densities, the smaller the generator's "
        "gradient is under the minimax loss, in the end next to 0, but not under the non-saturating one."
    )
    source = (
        "Goodfellow et al. 2014, proposition 1, theorem 1 and section 3; Arjovsky & Bottou 2017, theorem 2.4"
    )

    def run(self, context: Context) -> Finding:
        """Train everything, `repetitions` times."""
        context.lap()
        found = Trainings(self.settings, context).run()
        panels = [self._discriminators(found), *self._error_panels(found), self._slope_panel(found)]
        return Finding(judge(list(self._parts(found))), self._sentence(found), self._records(context, found),
                       panels)  # fmt: skip

    def _subjects(self, source: str) -> list[str]:
        """The subjects in which a source of error shrinks, the free training last."""
        settings = self.settings
        values = {"draws": settings.draws, "units": settings.units, "steps": self._looks()}[source]
        limited = [f"{source}_{value}" for value in sorted(values)]
        return [*limited, "1d"]

    def _looks(self) -> list[int]:
        """Steps before the last after which networks are looked at."""
        return sorted({look for look in self.settings.looks if look < self.settings.steps})

    def _parts(self, found: Found) -> Iterator[Interval]:
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

    def _slope_loss(self, found: Found) -> Interval:
        """log of the minimax gradient at the first look over that at the end of the shifted training."""
        steps = min(self.settings.looks), self.settings.steps
        sizes = [found.values[f"shift_steps_{step}", "generator_gradient_minimax"] for step in steps]
        return student_interval([math.log(first / last) for first, last in zip(*sizes, strict=True)])

    def _slope_ratio(self, found: Found) -> Interval:
        """log of the non-saturating gradient over the minimax one, at the end of the shifted training."""
        last = f"shift_steps_{self.settings.steps}"
        sizes = [found.values[last, f"generator_gradient_{name}"] for name in SLOPES]
        return student_interval([math.log(calm / sharp) for sharp, calm in zip(*sizes, strict=True)])

    def _sentence(self, found: Found) -> str:
        distances = [self._distance_words(found, dims) for dims in (1, 2)]
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
        return " ".join(distances) + (
            f" With too few it is farther away ({worst}); with the fewest draws it takes its value for "
            f"{own:.2f} and it is {real:.2f}. For densities {self.settings.shift:g} deviations apart the "
            f"generator's minimax gradient falls {falls[0]} times (95 % over repetitions: {falls[1]} to "
            f"{falls[2]}) from step {min(self.settings.looks)} to step {self.settings.steps} of the "
            "discriminator, and the "
            f"non-saturating one ends {times} times (95 % over repetitions: {low} to {high}) as large."
        )

    def _distance_words(self, found: Found, dims: int) -> str:
        name = f"{dims}d"
        error, value = (found.interval(name, metric) for metric in ("discriminator_error", "game_value"))
        equal = found.interval(f"{name}_equal", "game_value")
        return (
            f"In {dims}-D the trained D is {error.mean:.4f} ± {error.half:.4f} from D* on average, its value "
            f"{value.mean:.4f} against {found.optima[name]:.4f}, and {equal.mean:.4f} where p_G = p_data "
            f"(-log 4 = {-math.log(4):.4f})."
        )

    def _records(self, context: Context, found: Found) -> list[Record]:
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
        game = shift_game(self.settings)
        best = game.generator_slopes(lambda x: game.data.log_prob(x) - game.generated.log_prob(x))
        for name, size in best.items():
            rows.append(exact("shift_optimum", f"generator_gradient_{name}", size, "1"))
        return rows

    def _discriminators(self, found: Found) -> Panel:
        return Panel("D in one dimension", "x", "D(x)", found.plotted, {"1/2": 0.5})

    def _error_panels(self, found: Found) -> Iterator[Panel]:
        for source, axis in SOURCES.items():
            subjects = self._subjects(source)[:-1]
            intervals = [found.interval(subject, "discriminator_error") for subject in subjects]
            counts = [float(subject.partition("_")[2]) for subject in subjects]
            free = found.interval("1d", "discriminator_error").mean
            levels = {"without limits": free, "tolerance": self.settings.tolerance}
            curve = Curve.of("mean, 95 % over repetitions", counts, intervals)
            yield Panel(f"Too few {source}", axis, "mean |D - D*|", [curve], levels, log_x=True, log_y=True)

    def _slope_panel(self, found: Found) -> Panel:
        steps, curves = [*self._looks(), self.settings.steps], []
        for name in SLOPES:
            metric = f"generator_gradient_{name}"
            intervals = [found.interval(f"shift_steps_{step}", metric) for step in steps]
            curves.append(Curve.of(name.replace("_", "-"), [float(step) for step in steps], intervals))
        return Panel("D too weak, D too strong", "discriminator's steps", "size of the generator's gradient",
                     curves, log_x=True, log_y=True)  # fmt: skip
