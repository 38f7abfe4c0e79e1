"""Footnotes of a comparison table: how to read its numbers, which images they cover, how AIS was run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dgmbench.metrics import declared
from dgmbench.metrics.metric import FLOOR
from dgmbench.reporting.comparison.cells import PARTIAL, Cell, Column
from dgmbench.reporting.comparison.failed import failure_notes
from dgmbench.reporting.comparison.interval_notes import interval_notes
from dgmbench.reporting.comparison.reference import HOW_READ
from dgmbench.reporting.words import KIND_MARKS, KIND_WORDS

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Row, Table

AIS = "log_likelihood_ais"
# Widths of the feature spaces, as in `dgmbench.evaluation`, which reports do not import.
FEATURES = {"domain": 64, "inception": 2048}
# Differences of two estimates on the same images, and the estimate that annealing is compared with there.
_DIFFERENCES = {"ais_gain": "IS", "ais_error": "the exact value"}


def footnotes(table: Table, records: pd.DataFrame) -> list[str]:
    """All footnotes of a table, given the records behind it."""
    cells = [cell for row in table.rows for cell in row.cells.values()]
    notes = [
        f"{KIND_MARKS[kind]} {KIND_WORDS[kind]}."
        for kind in KIND_MARKS
        if any(cell.kind == kind and declared(cell.metric).likelihood for cell in cells)
    ]
    notes += coverage_notes(table) + annealing_notes(table, records) + distance_notes(table, records)
    notes += interval_notes(table) + failure_notes(table.rows)
    return notes + published_notes(table)


def published_notes(table: Table) -> list[str]:
    """Source and protocol of every published figure of a table."""
    notes = []
    for index, reference in enumerate(table.references, start=1):
        source = reference.source + HOW_READ[reference.flag]
        notes.append(f"[{index}] Published: {source}. Protocol: {reference.protocol}.")
    return notes


# How many images


def coverage_notes(table: Table) -> list[str]:
    """For each likelihood column of fewer images than the test split: how many, and what to compare."""
    notes = _headline_coverage(table)
    for column in table.columns:
        partial = [cell for _, cell in _cells(table, column) if cell.partial]
        if partial and not column.tightest:
            count = _range(cell.images or 0 for cell in partial)
            covered = f"{PARTIAL} {column.label}: {count} of {table.test_images:,} test images"
            notes.append(f"{covered}, drawn by the data seed; {_comparable(table, column)}.")
    return notes


def _headline_coverage(table: Table) -> list[str]:
    """Of the column that takes each model's best figure, the models that have none over all images."""
    column = next((c for c in table.columns if c.tightest), None)
    if column is None:
        return []
    shown = _cells(table, column)
    said = [f"{row.model} ({declared(cell.metric).label}, {cell.images:,})" for row, cell in shown
            if cell.partial]  # fmt: skip
    if not said:
        return []
    apart = "; not of the same images as the other models'" if len(said) < len(shown) else ""
    covered = f"{column.label} of fewer than the {table.test_images:,} test images"
    return [f"{PARTIAL} {covered}: {', '.join(said)}{apart}."]


def _comparable(table: Table, column: Column) -> str:
    if column.metric != AIS:
        return "not to be compared with columns that cover all of them"
    shown = {c.metric: c.label for c in table.columns}
    ways = [f"{other} through '{shown[metric]}'" for metric, other in _DIFFERENCES.items() if metric in shown]
    if not ways:
        return "not to be compared with the columns beside it"
    return f"compare it with {' and with '.join(ways)}, not with the columns beside it"


# Annealing


def annealing_notes(table: Table, records: pd.DataFrame) -> list[str]:
    """Notes on AIS: added noise, simulated images, acceptance, missing gaps."""
    annealed = [row for row in table.rows if any(cell.metric == AIS for cell in row.cells.values())]
    notes = [note for row in annealed for note in _noise_note(row.model, records)]
    gaps = [row for row in annealed if "bdmc_gap [nats]" in row.cells]
    if gaps:
        count = _range(row.cells["bdmc_gap [nats]"].images or 0 for row in gaps)
        notes.append(
            f"{declared('bdmc_gap').label}: on {count} images simulated from each model, not on test images."
        )
    without = [row.model for row in annealed if row not in gaps]
    if without:
        notes.append(f"AIS without a BDMC gap, so that nothing says how loose it is: {', '.join(without)}.")
    return notes + _acceptance_note(annealed, records)


def _noise_note(model: str, records: pd.DataFrame) -> list[str]:
    variances = _values(records, model, "observation_variance")
    if not variances:
        return []
    each = ", ".join(f"{value:.3g}" for value in sorted(set(variances)))
    return [
        f"AIS of {model} is of its generator plus Gaussian noise, its variance ({each}; pixels in [0, 1]) "
        "chosen on validation images."
    ]


def _acceptance_note(rows: Sequence[Row], records: pd.DataFrame) -> list[str]:
    rates = {row.model: _values(records, row.model, "ais_acceptance") for row in rows}
    said = [f"{model} {100 * sum(v) / len(v):.0f} %" for model, v in rates.items() if v]
    return [f"AIS accepted this share of its moves: {', '.join(said)}."] if said else []


# Distances in feature spaces


def classifier_notes(table: Table, classifiers: pd.DataFrame) -> list[str]:
    """How often the classifier is right in whose features the domain scores are, given its records."""
    accuracy = classifiers.loc[classifiers["metric"] == "test_accuracy"]
    labels = [c.label for c in table.columns if c.metric.startswith(("fid_domain", "kid_domain"))]
    if accuracy.empty or not labels:
        return []
    shares = sorted({f"{value:.1f}" for value in accuracy["value"]}, key=float)
    percent = shares[0] if len(shares) == 1 else f"{shares[0]} to {shares[-1]}"
    return [
        f"{', '.join(labels)}: in the features of a classifier that is right about {percent} % of the "
        f"{_range(accuracy['n'].astype(int))} {table.view} test images; it sees no difference that it was "
        "not taught to see."
    ]


def distance_notes(table: Table, records: pd.DataFrame) -> list[str]:
    """Where distances of distributions are shown: of how many images, whether these are too few, what real
    ones would score, and how far the images that there are decide."""
    metrics = {column.metric for column in table.columns}
    notes = [
        note for space in FEATURES if f"fid_{space}" in metrics for note in _distance_notes(space, records)
    ]
    histogram = "class_histogram_distance"
    floor = _all(records, f"{histogram}_floor")
    if histogram in metrics and floor:
        notes.append(
            f"{declared(histogram).label}: {_floor_words(records, histogram)} score {min(floor):.3g}."
        )
    return notes


def _distance_notes(space: str, records: pd.DataFrame) -> list[str]:
    metric = f"fid_{space}"
    name = declared(metric).label
    generated, real = (_all(records, f"n_{side}_{space}") for side in ("generated", "real"))
    if not generated or not real:
        return []
    counts = f"{_range(map(int, generated))} generated against {_range(map(int, real))} test images"
    floor = _all(records, f"{metric}_floor")
    real_ones = f"; {_floor_words(records, metric)} score {min(floor):.3g}" if floor else ""
    notes = [f"{name}: {counts}{real_ones}{_one_seed(records, [metric])}."]
    if min(generated + real) <= FEATURES[space]:
        notes.append(
            f"{name}: too few images for its {FEATURES[space]:,} features, so that covariances lack rank and "
            "the distance is too large; compare it only where the numbers of images are equal."
        )
    elif not _all(records, f"{metric}_infinity"):
        notes.append(
            f"{name}: too few images for its value without bias (FID∞), which takes four of either kind for "
            f"each of its {FEATURES[space]:,} features; compare it only where these numbers are equal."
        )
    return notes + _parts_notes(space, records)


def _parts_notes(space: str, records: pd.DataFrame) -> list[str]:
    """Of the other scores in a space: how many images, what real ones score, and errors over test images."""
    suffix = "" if space == "domain" else f"_{space}"
    notes = []
    for group in (
        [f"kid_{space}"],
        [name + suffix for name in ("precision", "recall", "density", "coverage")],
    ):
        own = records[records["metric"].isin(group)]
        if own.empty:
            continue
        there = [metric for metric in group if metric in set(own["metric"])]
        names = ", ".join(declared(metric).label for metric in there)
        either = "at most as many" if group[0].startswith("kid") else "as many"
        note = f"{names}: {_range(own['n'].astype(int))} generated against {either} test images"
        floors = [_all(records, metric + FLOOR) for metric in there]
        if all(floors):
            counts = records.loc[records["metric"].isin([m + FLOOR for m in there]), "n"].astype(int)
            scores = ", ".join(f"{floor[0]:.3g}" for floor in floors)
            note += f"; {_range(counts)} training images in place of generated ones score {scores}"
        notes.append(f"{note}{_one_seed(records, there)}.")
    return notes


def _one_seed(records: pd.DataFrame, metrics: Sequence[str]) -> str:
    """The standard errors of single seeds' values over test images, which all seeds share."""
    errors = records.loc[records["metric"].isin(metrics), "std_error"].dropna()
    return f"; standard errors of one seed's value over test images: {_span(errors)}" if len(errors) else ""


def _span(values: pd.Series[float]) -> str:
    low, high = (f"{float(value):.2g}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _floor_words(records: pd.DataFrame, metric: str) -> str:
    """The training images of a floor, and whether they are fewer than the samples."""
    own = {m: set(records.loc[records["metric"] == m, "n"].astype(int)) for m in (metric, f"{metric}_floor")}
    if own[metric] == own[f"{metric}_floor"]:
        return "as many training images in place of generated ones"
    return f"{_range(own[f'{metric}_floor'])} training images (all that there are) in place of generated ones"


def _all(records: pd.DataFrame, metric: str) -> list[float]:
    return [float(value) for value in records.loc[records["metric"] == metric, "value"]]


def _values(records: pd.DataFrame, model: str, metric: str) -> list[float]:
    own = records[(records["model"] == model) & (records["metric"] == metric)]
    return [float(value) for value in own["value"]]


# Shared


def _cells(table: Table, column: Column) -> list[tuple[Row, Cell]]:
    return [(row, row.cells[column.key]) for row in table.rows if column.key in row.cells]


def _range(counts: Iterable[int]) -> str:
    ordered = sorted(set(counts))
    return f"{ordered[0]:,}" if len(ordered) == 1 else f"{ordered[0]:,} to {ordered[-1]:,}"
