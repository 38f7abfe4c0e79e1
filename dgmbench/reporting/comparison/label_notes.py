"""Footnotes of the table of errors by labels: label sets, validation images, settings, published figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.comparison.published_errors import watches_test_errors

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Table

ALL = "all"
# The entry behind each cell of a row, by the row's name and the number of labels.
Members = dict[str, dict[str, str]]
# Of entries, as their runs have them.
Settings = Mapping[str, Mapping[str, Any]]
# What may differ between the entries of a row: numbers of labels, and how much is measured.
_OF_A_COLUMN = ("labels", "labelled_batch", "measures")
_PUBLISHED = (
    "Published figures of M2, M1+M2 and the semi-supervised GAN: the authors' code reports the test error in "
    "every epoch and chooses nothing on validation images, so their settings may have been chosen on test "
    "errors. Here test images are predicted once, after every choice."
)


def size(count: str) -> float:
    """Of a number of labels or `all`, to sort by."""
    return float("inf") if count == ALL else int(count)


def in_words(counts: Iterable[str]) -> str:
    """`20, 50 labels`."""
    return f"{', '.join(sorted(counts, key=size))} labels"


def label_notes(table: Table, members: Members, settings: Settings, valid: int | None) -> list[str]:
    """All of them. members: of the rows; valid: the size of the validation split, None where not known."""
    methods = {row.model: members[row.model] for row in table.rows if not row.is_probe}
    own = [entry for entries in methods.values() for entry in entries.values()]
    return [
        _label_sets(table),
        "Semi-supervised methods see all training images; labelled ones are among them, once more without "
        "their label.",
        _validation({name: settings[name] for name in own if name in settings}, valid)
        + " A probe's penalty or k is chosen on as many as the probe has labels, or on the largest balanced "
        "number there is." * any(row.is_probe for row in table.rows),
        *(note for row, entries in methods.items() for note in _mixed(row, entries, settings)),
        *([_PUBLISHED] if watches_test_errors(table.references) else []),
    ]


def _label_sets(table: Table) -> str:
    drawn = (
        "Each seed has a label set of its own, class-balanced and the same for all methods; a smaller set is "
        "part of a larger one. So the interval over trainings is over label sets too"
    )
    whole = any(column.metric.endswith(f"_{ALL}") for column in table.columns)
    but = ", but for all labels, which are the same for every seed" if whole else ""
    return f"Percent of test images in the wrong class. {drawn}{but}."


def _validation(settings: Settings, valid: int | None) -> str:
    """How many validation images are labelled, which choices are made on."""
    names: dict[str, list[str]] = {}
    for entry, own in settings.items():
        count = own.get("valid_labels")
        every = ALL if valid is None else f"all {valid:,}"
        names.setdefault(every if count is None else f"{count:,}", []).append(entry)
    chosen = "Epochs and settings are chosen on labelled validation images, never on test images"
    if not names:
        return f"{chosen}."
    counts = ", ".join(f"{count} ({', '.join(own)})" for count, own in names.items())
    said = next(iter(names)) if len(names) == 1 else counts
    return f"{chosen}. Labelled validation images: {said}, beside the labels that a column counts."


def _mixed(method: str, entries: Mapping[str, str], settings: Settings) -> list[str]:
    """That the entries of a row differ in more than their labels, and in what."""
    known = {n: dict(_flat(settings[entry])) for n, entry in entries.items() if entry in settings}
    keys = {key for own in known.values() for key in own if key not in _OF_A_COLUMN}
    differing = sorted(key for key in keys if len({repr(own.get(key)) for own in known.values()}) > 1)
    if not differing:
        return []
    groups: dict[str, list[str]] = {}
    for count, own in sorted(known.items(), key=lambda item: size(item[0])):
        groups.setdefault(repr([own.get(key) for key in differing]), []).append(count)
    apart = " and ".join(map(in_words, groups.values()))
    return [f"Settings of {method} differ between {apart}: {', '.join(differing)}."]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with those of blocks as `training.epochs`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
