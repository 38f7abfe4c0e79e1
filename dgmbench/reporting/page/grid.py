"""A table of the page: what one template draws, and what sorts, filters and goes to CSV in the browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Head:
    """A column: title, unit below it, what it means (shown on hovering), and whether it is text.

    metric, unit_name: those of its numbers' records, where it has any.
    """

    title: str
    unit: str = ""
    help: str = ""
    is_text: bool = False
    metric: str = ""
    unit_name: str = ""


@dataclass(frozen=True)
class Entry:
    """What stands in a cell.

    text: as shown. spread: half an interval, after it. value, half: both in full, for sorting and CSV. title:
    shown on hovering. note: small, after it. below: small, on a line of its own. css: its class. href: what
    the text leads to. metric: of the number where it is not its column's. is_code: a hash or name of a file.
    facts: names and values that are not shown, columns of their own in CSV.
    """

    text: str
    spread: str = ""
    value: float | None = None
    half: float | None = None
    title: str = ""
    note: str = ""
    below: str = ""
    css: str = ""
    href: str = ""
    metric: str = ""
    is_code: bool = False
    facts: tuple[tuple[str, str], ...] = ()


GAP = Entry("–", css="gap")


@dataclass(frozen=True)
class Line:
    """A row: its identifier in the page (empty for none), its heading and its other cells."""

    head: Entry
    entries: Sequence[Entry]
    anchor: str = ""


@dataclass(frozen=True)
class Grid:
    """A table. name: of its CSV file. label: what a screen reader calls it."""

    name: str
    label: str
    heads: Sequence[Head]
    lines: Sequence[Line]

    @property
    def meanings(self) -> list[tuple[str, str]]:
        """What the columns mean: title and text of those that say so on hovering."""
        return [(head.title, head.help) for head in self.heads if head.help]


def anchor(*parts: object) -> str:
    """An identifier of a place in the page; different parts give different ones."""
    return "-".join(re.sub(r"[^\w.]", lambda found: f"_{ord(found[0]):x}_", str(part)) for part in parts)


def run_anchor(dataset: str, model: str, seed: int | str) -> str:
    """The place of a run among those that the numbers come from."""
    return anchor("run", dataset, model, seed)
