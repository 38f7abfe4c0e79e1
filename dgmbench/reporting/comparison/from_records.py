"""From records to tables: one per (data set, view), with intervals and the kind of every likelihood.

Views and units never share a column. Parts of controls and the classifier are no models and have no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dgmbench.claims.inversions import inversion_note
from dgmbench.claims.metric_trust import planted_copies, trust
from dgmbench.claims.orders import order_notes
from dgmbench.metrics import declared
from dgmbench.metrics.catalogue import place
from dgmbench.metrics.likelihood import EXACT, with_most_draws
from dgmbench.reporting.comparison.cells import Cell, Column, SeedPoints, headline_metric, summarised
from dgmbench.reporting.comparison.copy_notes import copy_notes
from dgmbench.reporting.comparison.failed import finished
from dgmbench.reporting.comparison.footnotes import classifier_notes, footnotes
from dgmbench.reporting.comparison.paired import mark_best, name_bounds
from dgmbench.reporting.comparison.published import fits, references
from dgmbench.reporting.comparison.table import Row, Table
from dgmbench.reporting.records import (
    CLASSIFIER,
    RunPoints,
    headline_records,
    is_compared,
    points_of,
)
from dgmbench.reporting.words import VIEWS, view_words


def comparison(
    frame: pd.DataFrame,
    dataset: str,
    view: str,
    models: Sequence[str] | None = None,
    manifest: Mapping[str, Any] | None = None,
    orders: Sequence[Mapping[str, Any]] = (),
    points: RunPoints | None = None,
) -> Table:
    """The table of one data set and view; rows in the order of `models` (default: as in `frame`).

    Cells are means over the seeds that finished; a row says how many of its seeds failed. Without the data
    set's manifest the heading does not name the binarisation, and the likelihood over most images counts as
    one over all of them. orders: those of the settings, each judged in a remark. points: values by test
    image; without them models are compared as if they had been scored on test images of their own.
    """
    part = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & is_compared(frame["model"])]
    part = headline_records(part)
    names = _names(part, models)
    planted = planted_copies(frame, dataset)
    columns = [replace(c, trust=trust(planted, c.metric).verdict) for c in _columns(part)]
    test_images = _test_images(part, manifest)
    rows = [
        _row(
            part[part["model"] == model], model, columns, test_images, points_of(points or {}, dataset, model)
        )
        for model in names
    ]
    for column in columns:
        mark_best(column, rows)
        if column.tightest:
            name_bounds(column, rows)
    for row in rows:
        row.published = [r for r in references(dataset, view, row.model) if fits(r, columns)]
    table = Table(dataset, view, columns, rows, view_words(view, manifest), test_images)
    table.remarks = [note for note in [inversion_note(table), *order_notes(table, orders)] if note]
    judges = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & (frame["model"] == CLASSIFIER)]
    notes = footnotes(table, part) + classifier_notes(table, judges)
    table.footnotes = notes + copy_notes(columns, part, planted)
    return table


def _names(part: pd.DataFrame, models: Sequence[str] | None) -> list[str]:
    """The models with records, each followed by its further ways of sampling, `<model>/<way>`."""
    there = list(dict.fromkeys(part["model"]))
    if models is None:
        return there
    return [name for model in models for name in there if name == model or name.startswith(f"{model}/")]


def comparisons(
    frame: pd.DataFrame,
    models: Sequence[str] | None = None,
    manifests: Mapping[str, Mapping[str, Any]] | None = None,
    orders: Sequence[Mapping[str, Any]] = (),
    points: RunPoints | None = None,
) -> list[Table]:
    """All tables of a merged frame: data sets in its order, then views in theirs."""
    known = manifests or {}
    names = list(dict.fromkeys(frame.loc[is_compared(frame["model"]), "dataset"]))
    tables = [
        comparison(frame, d, v, models, known.get(d), orders, points)
        for d in names
        for v in VIEWS
        if ((frame["dataset"] == d) & (frame["view"] == v)).any()
    ]
    return [table for table in tables if table.rows]


def _test_images(part: pd.DataFrame, manifest: Mapping[str, Any] | None) -> int:
    if manifest is not None:
        return int(manifest["splits"]["test"])
    averaged = part.loc[[declared(str(metric)).likelihood for metric in part["metric"]], "n"]
    return int(averaged.max()) if len(averaged) else 0


def _columns(part: pd.DataFrame) -> list[Column]:
    """The columns that a view's records fill, likelihoods first.

    Likelihoods other than the tightest are given in nats only: bits/dim are the same numbers rescaled.
    Importance sampling with fewer draws and what was chosen on validation images are left to results.csv,
    errors by number of labels to a table of their own.
    """
    pairs = {(str(m), str(u)) for m, u in zip(part["metric"], part["unit"], strict=True)}
    apart = {metric for metric, _ in pairs if declared(metric).hidden or declared(metric).by_labels}
    kept = set(with_most_draws(metric for metric, _ in pairs if metric not in apart))
    pairs = {(metric, unit) for metric, unit in pairs if metric in kept}
    bounded = {unit for metric, unit in pairs if declared(metric).tightness is not None}
    tightest = [Column(EXACT.name, u, True) for u in ("nats", "bits_per_dim") if u in bounded]
    own = [
        Column(metric, unit)
        for metric, unit in pairs
        if metric != EXACT.name and not (declared(metric).likelihood and unit == "bits_per_dim")
    ]
    return tightest + sorted(own, key=lambda c: (place(c.metric), c.unit))


def _row(
    records: pd.DataFrame, model: str, columns: Sequence[Column], test_images: int, points: SeedPoints
) -> Row:
    kept, note = finished(records)
    found: dict[tuple[str, str], Cell] = {}
    for (metric, unit), own in kept.groupby(["metric", "unit"], sort=False):
        cell = summarised(own, points)
        cell.partial = declared(cell.metric).likelihood and (cell.images or 0) < test_images
        found[str(metric), str(unit)] = cell
    row = Row(model, note=note)
    for (metric, unit), cell in found.items():
        if declared(metric).tightness is not None:
            row.bounds.setdefault(unit, []).append(cell)
    for column in columns:
        headline = headline_metric(kept[kept["unit"] == column.unit]) if column.tightest else None
        chosen = found.get((headline or column.metric, column.unit))
        if chosen is not None:
            # The headline is a cell of its own: it may be the best where the same bound's column has none.
            row.cells[column.key] = replace(chosen)
    return row
