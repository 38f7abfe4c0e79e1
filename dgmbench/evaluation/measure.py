"""What a measure is: its function, what it applies to, and what its result depends on.

    @measure(needs=(HasLogProb,), reads=("dequantisation_draws",))
    def exact(subject, folder):
        yield subject.record(...)

A measure is a function of a `Subject` and a folder for its files; it yields records. A measure of samples
alone takes any `Judged`: `score` and the controls ask it of images that they are given. To add one: a file
with such a function, and a line in `dgmbench.evaluation.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dgmbench.data.schema import Schema
from dgmbench.evaluation.judged import Judged
from dgmbench.models.capabilities import CanSample
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings
from dgmbench.terms import ViewName

IMAGES: tuple[ViewName, ...] = ("binary", "gray", "color")
EVERY_VIEW: tuple[ViewName, ...] = get_args(ViewName)
# What every measure may read: seeds, and how the work is done, not what of.
COMMON = ("seed", "batch_size", "store", "scored_samples")
# Of those, what a result depends on.
FOLLOWED = ("seed", "batch_size")

Run = Callable[[Any, Path], Iterator[Record]]
Capability = type | tuple[type, ...]


@dataclass(frozen=True)
class Measure:
    """One measurement of a run.

    Args:
        run: yields records; writes what pictures need into the folder.
        needs: protocols of `dgmbench.models.capabilities` that the model must have, all of them; a tuple
            among them means any one of its members.
        lacks: protocols that the model must not have, any of them.
        views: the views that it applies to.
        labels: whether the data set must have labels (those of the domain classifier included).
        classifier: whether it uses the domain classifier if there is one, as one with `labels` may.
        samples: whether it scores samples alone, whatever drew them. It is then run once for every way of
            sampling.
        reads: keys of `evaluation` in the settings that the result depends on.
        after: measures whose answers this one compares with (`Subject.kept`).
        first_seed: whether one run of an entry is enough, the first that was completed (pictures).
        title: what messages call it; its name where there is none.
        cheap: whether running it again costs less than storing its result.
    """

    run: Run
    needs: tuple[Capability, ...] = ()
    lacks: tuple[Capability, ...] = ()
    views: tuple[ViewName, ...] = IMAGES
    labels: bool = False
    classifier: bool = False
    samples: bool = False
    reads: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cheap: bool = False
    first_seed: bool = False
    title: str = ""

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.run.__name__

    @property
    def words(self) -> str:
        """What messages call it."""
        return self.title or self.name

    @property
    def space(self) -> Literal["domain", "inception", "own"]:
        """Whose features it sees images in: the domain classifier's, the Inception network's, or none."""
        if self.labels:
            return "domain"
        return "inception" if "inception" in self.reads else "own"

    @property
    def module(self) -> str:
        """Where its function is: the root of the code that its result depends on."""
        return self.run.__module__

    def applies_to(self, schema: Schema, view: ViewName, model: object | None) -> bool:
        """Whether it fits a model of this view and data set; None: samples without their model."""
        fits = view in self.views and (schema.classes is not None or not self.labels)
        if model is None:
            return fits and self.samples and not self.needs
        needs = (CanSample, *self.needs) if self.samples else self.needs
        able = all(isinstance(model, capability) for capability in needs)
        return fits and able and not any(isinstance(model, capability) for capability in self.lacks)

    def settings_in_force(self, settings: EvaluationSettings) -> dict[str, Any]:
        """What it reads of the settings, as JSON values."""
        values = settings.model_dump(mode="json")
        return {key: values[key] for key in (*FOLLOWED, *self.reads)}

    def __call__(self, subject: Judged, folder: Path) -> Iterator[Record]:
        """Ask; only the declared settings can be read meanwhile."""
        settings = subject.settings
        subject.settings = DeclaredSettings(settings, self)  # type: ignore[assignment]
        try:
            yield from self.run(subject, folder)
        finally:
            subject.settings = settings


class DeclaredSettings:
    """Evaluation settings of which a measure sees what it declares.

    Raises AttributeError for anything else: a setting that is read without being declared would change an
    answer that is remembered.
    """

    def __init__(self, settings: EvaluationSettings, measure: Measure) -> None:
        # A measure that asks another reads the other's settings.
        own: Any = settings
        self._settings = own._settings if isinstance(settings, DeclaredSettings) else own
        self._measure = measure

    def __getattr__(self, name: str) -> Any:
        measure = self._measure
        if name not in (*COMMON, *measure.reads):
            raise AttributeError(f"measure '{measure.name}' reads evaluation.{name} and does not declare it")
        return getattr(self._settings, name)


def measure(**declaration: Any) -> Callable[[Run], Measure]:
    """Make a measure of a function; see `Measure` for what is declared."""
    return lambda run: Measure(run, **declaration)
