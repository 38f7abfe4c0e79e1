"""The comparison: one table per (data set, view), with intervals and the kind of every likelihood.

Views and units never share a column. Parts of controls and the classifier are no models and have no row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.claims.inversions import inversion_note
from dgmbench.claims.metric_trust import planted_copies, trust
from dgmbench.claims.orders import order_notes
from dgmbench.files import write_text
from dgmbench.metrics import Topic, declared
from dgmbench.metrics.catalogue import place
from dgmbench.metrics.likelihood import EXACT, with_most_draws
from dgmbench.reporting.comparison.cells import Cell, Column, SeedPoints, headline_metric, summarised
from dgmbench.reporting.comparison.copy_notes import copy_notes
from dgmbench.reporting.comparison.footnotes import classifier_notes, footnotes
from dgmbench.reporting.comparison.paired import mark_best, name_bounds
from dgmbench.reporting.comparison.published import Reference, fits, reference_text, references
from dgmbench.reporting.records import CLASSIFIER, FAILURES, RunPoints, headline_records, is_compared
from dgmbench.reporting.words import view_words


@dataclass
class Row:
    """A model with its cells by column key, and what is to be said about it (failed seeds).

    bounds: all its likelihoods by unit (Parzen's is none), those that have no column included.
    """

    model: str
    cells: dict[str, Cell] = field(default_factory=dict)
    note: str = ""
    published: list[Reference] = field(default_factory=list)
    bounds: dict[str, list[Cell]] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Columns of one topic, a table of their own over the same rows; published: a column of those figures."""

    title: str
    columns: list[Column]
    published: bool = False

    @property
    def anchor(self) -> str:
        """Its title as part of an identifier."""
        return self.title.lower().replace(" ", "-").replace("(", "").replace(")", "")


# Columns of a section at most; a topic with more has several.
WIDEST = 9
LEGEND = (
    "a ± b (c): b is over trainings (seeds) and test images together, c over trainings alone. "
    "a ± c: over trainings alone. All are halves of 95 % intervals."
)
COMBINED = " half_width_95_with_images"


@dataclass
class Table:
    """The comparison of all models of one view on one data set.

    view_words: the view with its binarisation. test_images: size of the test split. remarks: sentences that
    the numbers call for; footnotes: how to read them.
    """

    dataset: str
    view: str
    columns: list[Column]
    rows: list[Row]
    view_words: str
    test_images: int
    remarks: list[str] = field(default_factory=list)
    footnotes: list[str] = field(default_factory=list)

    @property
    def references(self) -> list[Reference]:
        """Published figures shown, in order of appearance; the n-th carries mark `[n]`."""
        return [reference for row in self.rows for reference in row.published]

    @property
    def sections(self) -> list[Section]:
        """The columns by topic: narrow tables of all rows, for readers."""
        topics = {declared(reference.metric).topic for reference in self.references}
        found = []
        for title in Topic:
            own = [column for column in self.columns if declared(column.metric).topic == title]
            parts = [own[start : start + WIDEST] for start in range(0, len(own), WIDEST)]
            for part, columns in enumerate(parts):
                name = str(title) if part == 0 else f"{title} ({part + 1})"
                found.append(Section(name, columns, part == 0 and title in topics))
        return found

    def published_text(self, row: Row, section: Section | None = None) -> str:
        """The published cell of a row (or of a section of it), e.g. `≥ −86.76 nats [1]`; empty without."""
        numbers = {id(r): i for i, r in enumerate(self.references, start=1)}
        shown = [r for r in row.published if section is None or declared(r.metric).topic == section.title]
        return "; ".join(f"{reference_text(r)} [{numbers[id(r)]}]" for r in shown)

    def to_markdown(self) -> str:
        """GitHub Markdown: a table for each section, remarks as paragraphs, then footnotes as a list."""
        tables = [part for section in self.sections for part in self._markdown_section(section)]
        notes = "\n".join(f"- {_escape(note)}" for note in [*self._view_note(), *self.footnotes])
        remarks = [_escape(remark) for remark in self.remarks]
        return "\n\n".join([_escape(LEGEND), *tables, "## Notes", *remarks, notes]) + "\n"

    def _markdown_section(self, section: Section) -> list[str]:
        headings = ["model", *(c.heading for c in section.columns)] + ["published"] * section.published
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
        lines += [self._markdown_row(row, section) for row in self.rows]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        return [f"## {section.title}", table]

    def _view_note(self) -> list[str]:
        """How the view came about, where there is more to say than its name."""
        said = ":" in self.view_words
        return [self.view_words[0].upper() + self.view_words[1:] + "."] if said else []

    def _markdown_row(self, row: Row, section: Section) -> list[str]:
        name = f"{_escape(row.model)} ({row.note})" if row.note else _escape(row.model)
        cells = [_bold(row.cells.get(column.key)) for column in section.columns]
        return [name, *cells] + [_escape(self.published_text(row, section))] * section.published

    def to_csv(self) -> str:
        """Numbers for programs, per column; `repr` floats, empty if absent.

        Mean, half-width over trainings, standard error over test images, kind, metric, seeds, images, and
        half-width over trainings and test images.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        parts = ("", " half_width_95", " std_error", " kind", " metric", " seeds", " images", COMBINED)
        writer.writerow(
            ["model", "note", *(c.key + part for c in self.columns for part in parts), "published"]
        )
        for row in self.rows:
            cells = [value for c in self.columns for value in _csv_cells(row.cells.get(c.key))]
            writer.writerow([row.model, row.note, *cells, self.published_text(row)])
        return out.getvalue()


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
        _row(part[part["model"] == model], model, columns, test_images, _own(points or {}, dataset, model))
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


def _own(points: RunPoints, dataset: str, model: str) -> SeedPoints:
    return {seed: own for (d, m, seed), own in points.items() if (d, m) == (dataset, model)}


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
    """All tables of a merged frame: data sets in its order, `binary` before `gray`."""
    known = manifests or {}
    names = list(dict.fromkeys(frame.loc[is_compared(frame["model"]), "dataset"]))
    tables = [
        comparison(frame, d, v, models, known.get(d), orders, points)
        for d in names
        for v in ("binary", "gray")
    ]
    return [table for table in tables if table.rows]


def _test_images(part: pd.DataFrame, manifest: Mapping[str, Any] | None) -> int:
    if manifest is not None:
        return int(manifest["splits"]["test"])
    averaged = part.loc[[declared(str(metric)).likelihood for metric in part["metric"]], "n"]
    return int(averaged.max()) if len(averaged) else 0


def write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write `<dataset>-<view>.csv` and `.md` into `folder`; returns the paths."""
    paths = []
    for table in tables:
        stem = Path(folder) / f"{table.dataset}-{table.view}"
        for suffix, text in ((".csv", table.to_csv()), (".md", table.to_markdown())):
            write_text(stem.with_name(stem.name + suffix), text)
            paths.append(stem.with_name(stem.name + suffix))
    return paths


def _columns(part: pd.DataFrame) -> list[Column]:
    """The columns that a view's records fill, likelihoods first.

    Likelihoods other than the tightest are given in nats only: bits/dim are the same numbers rescaled.
    Importance sampling with fewer draws and what was chosen on validation images are left to results.csv.
    """
    pairs = {(str(m), str(u)) for m, u in zip(part["metric"], part["unit"], strict=True)}
    kept = set(with_most_draws(metric for metric, _ in pairs if not declared(metric).hidden))
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
    seeds = set(records["seed"])
    failed = {
        kind: set(records.loc[(records["metric"] == kind) & (records["value"] > 0), "seed"])
        for kind in FAILURES
    }
    note = ", ".join(f"{len(which)} of {len(seeds)} seeds {kind}" for kind, which in failed.items() if which)
    finished = records[~records["seed"].isin(set().union(*failed.values()))]
    found: dict[tuple[str, str], Cell] = {}
    for (metric, unit), own in finished.groupby(["metric", "unit"], sort=False):
        cell = summarised(own, points)
        cell.partial = declared(cell.metric).likelihood and (cell.images or 0) < test_images
        found[str(metric), str(unit)] = cell
    row = Row(model, note=note)
    for (metric, unit), cell in found.items():
        if declared(metric).tightness is not None:
            row.bounds.setdefault(unit, []).append(cell)
    for column in columns:
        headline = headline_metric(finished[finished["unit"] == column.unit]) if column.tightest else None
        chosen = found.get((headline or column.metric, column.unit))
        if chosen is not None:
            # The headline is a cell of its own: it may be the best where the same bound's column has none.
            row.cells[column.key] = replace(chosen)
    return row


def _bold(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    text = _escape(cell.text)
    return f"**{text}**" if cell.best else text


def _escape(text: str) -> str:
    """Keep a heuristic's `*` and any `|` from being read as Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


def _csv_cells(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * 8
    half, error, combined = (
        "" if v is None else repr(v) for v in (cell.half_width, cell.std_error, cell.combined)
    )
    return [repr(cell.mean), half, error, cell.kind, cell.metric, str(cell.n), str(cell.images), combined]
