"""What a declaration says of a metric, and how a family of metrics is declared once for all its members."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from dgmbench.metrics.allowance import UNMEASURED, Allowance

# Which way is better: larger, smaller, nearer to 1, or no way is.
Direction = Literal["higher", "lower", "one", "none"]
# What readers see of it: beside a name, and in words.
ARROWS: Mapping[Direction, str] = {"higher": "↑", "lower": "↓", "one": "→ 1", "none": ""}
WAYS: Mapping[Direction, str] = {
    "higher": "higher is better",
    "lower": "lower is better",
    "one": "1 is ideal",
    "none": "",
}
# Every unit and its words.
UNITS: Mapping[str, str] = {
    "nats": "nats",
    "bits_per_dim": "bits/dim",
    "percent": "%",
    "seconds": "s",
    "images_per_second": "images/s",
    "1": "",
}
# Ends the name of what training images score in the place of generated ones.
FLOOR = "_floor"
_PARAMETER = re.compile(r"\{(\w+)\}")
# The parameter that stands for the name of another metric; every other one is a number.
_METRIC = "metric"


class Topic(StrEnum):
    """The tables of a comparison, in the order of a report."""

    LIKELIHOOD = "Likelihood"
    QUALITY = "Sample quality"
    INCEPTION = "Sample quality in Inception features"
    COLLAPSE = "Blur, diversity and collapse"
    MEMORISATION = "Memorisation"
    REPRESENTATION = "Representation"
    CLASSIFICATION = "Classification"
    COST = "Cost"
    CONTROL = "Controls"


@dataclass(frozen=True)
class Metric:
    """The declaration of one metric, or of a family such as ``log_likelihood_is_{draws}``.

    Args:
        name: in results.csv; a parameter in braces is a number, and ``{metric}`` another metric's name.
        label: name for readers, without unit; may use the parameters.
        unit: or all units that it is recorded in.
        better: which way is better, except in bits/dim, where it is always lower.
        topic: the table that it stands in; its place there is its place in the declaring file.
        text: what it says, in one clause; empty where the label says it all.
        hidden: left to results.csv and footnotes, e.g. what was chosen rather than measured.
        by_labels: it is in the table of errors by number of labels, not in that of its topic.
        counts: it counts things, so that no spread over seeds says by how much it may change.
        whole: it is shown as a whole number.
        timing: it differs between two runs of one commit on one machine.
        failure: a flag of a training that failed, which leaves no other record.
        likelihood: a log-likelihood of some kind, which is always shown with that kind.
        tightness: rank of a bound of the log-likelihood, larger is tighter; None for what does not bound.
        over_test_images: its standard error is over test images, which all seeds share.
        floor: training images are scored too, in the place of generated ones, as ``<name>_floor``.
        notices: cases of the control of planted copies that it has to notice (scores of quality).
        trusted_as: the metric that the control tries in its place.
        largest_first: members of the family with larger parameters come first.
        allowed: by how much it may differ between two runs of one code; `allowed_bits` in bits/dim.
        parameters: of a member of a family; see `of`.
        family: the name of that family.
    """

    name: str
    label: str
    unit: str | tuple[str, ...]
    better: Direction
    topic: Topic
    text: str
    hidden: bool = False
    by_labels: bool = False
    counts: bool = False
    whole: bool = False
    timing: bool = False
    failure: bool = False
    likelihood: bool = False
    tightness: int | None = None
    over_test_images: bool = False
    floor: bool = False
    notices: tuple[str, ...] = ()
    trusted_as: str = ""
    largest_first: bool = False
    allowed: Allowance = UNMEASURED
    allowed_bits: Allowance | None = None
    parameters: Mapping[str, int] = field(default_factory=dict, hash=False)
    family: str = ""

    def __post_init__(self) -> None:
        unknown = [unit for unit in self.units if unit not in UNITS]
        if unknown or not self.units:
            raise ValueError(f"metric {self.name}: unit {unknown or 'none'} is not one of {', '.join(UNITS)}")

    @property
    def units(self) -> tuple[str, ...]:
        """All units that it is recorded in."""
        return (self.unit,) if isinstance(self.unit, str) else self.unit

    @property
    def is_family(self) -> bool:
        """Whether the name still has parameters to be filled in."""
        return bool(_PARAMETER.search(self.name))

    def direction(self, unit: str) -> Direction:
        """Which way is better in a unit."""
        return "lower" if unit == "bits_per_dim" else self.better

    def allowance(self, unit: str) -> Allowance:
        """By how much it may differ in a unit."""
        return (self.allowed_bits or self.allowed) if unit == "bits_per_dim" else self.allowed

    def of(self, **values: int | Metric) -> Metric:
        """The member of a family: ``IS.of(draws=5000).name`` is ``log_likelihood_is_5000``.

        Raises ValueError unless `values` are the family's parameters, numbers being positive.
        """
        wanted = set(_PARAMETER.findall(self.name))
        if wanted != set(values) or any(isinstance(v, int) and v < 1 for v in values.values()):
            raise ValueError(f"the parameters of {self.name} are {sorted(wanted)}, not {values}")
        names = {key: value.name if isinstance(value, Metric) else value for key, value in values.items()}
        words = {
            key: value.label if isinstance(value, Metric) else Count(value) for key, value in values.items()
        }
        return replace(
            self,
            name=self.name.format(**names),
            label=self.label.format(**words),
            text=self.text.format(**words),
            parameters={key: value for key, value in values.items() if isinstance(value, int)},
            family=self.name,
        )

    def of_training_images(self) -> Metric:
        """The same of training images in the place of generated ones: what a perfect model would score."""
        label = f"{self.label}, floor"
        return replace(self, name=self.name + FLOOR, label=label, text="", hidden=True, floor=False,
                       counts=False, over_test_images=False)  # fmt: skip

    def member_called(self, name: str) -> dict[str, str] | None:
        """The parameters of the member with that name, as text; None if the family has no such member."""
        parts = _PARAMETER.split(self.name)
        pattern = "".join(_group(part) if place % 2 else re.escape(part) for place, part in enumerate(parts))
        found = re.fullmatch(pattern, name)
        return found.groupdict() if found and self.is_family else None


class Count(int):
    """A number that labels may write as ``{samples:short}``: 10k, 1M, 2,500."""

    def __format__(self, how: str) -> str:
        return short_count(self) if how == "short" else format(int(self), how)


def short_count(count: int) -> str:
    """`2,500`, `100k`, `1M`."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count % size == 0:
            return f"{count // size}{letter}"
    return f"{count:,}"


def _group(parameter: str) -> str:
    return f"(?P<{parameter}>{'.+' if parameter == _METRIC else '[1-9][0-9]*'})"
