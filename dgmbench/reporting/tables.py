"""The comparison: one table per (data set, view), with seed intervals and the kind of every likelihood.

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

from dgmbench.files import write_text
from dgmbench.reporting import vocabulary as words
from dgmbench.reporting.cells import Cell, Column, headline_metric, mark_best, number, summarised
from dgmbench.reporting.copy_notes import copy_notes, fails, planted_copies
from dgmbench.reporting.footnotes import classifier_notes, footnotes
from dgmbench.reporting.inversions import inversion_note
from dgmbench.reporting.load import CLASSIFIER, FAILURES, is_compared
from dgmbench.reporting.orders import order_notes
from dgmbench.reporting.published import Reference, references


@dataclass
class Row:
    """A model with its cells by column key, and what is to be said about it (failed seeds)."""

    model: str
    cells: dict[str, Cell] = field(default_factory=dict)
    note: str = ""
    published: list[Reference] = field(default_factory=list)


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
        topics = {words.topic(reference.metric) for reference in self.references}
        found = []
        for title in words.topics():
            own = [column for column in self.columns if words.topic(column.metric) == title]
            parts = [own[start : start + WIDEST] for start in range(0, len(own), WIDEST)]
            for place, columns in enumerate(parts):
                name = title if place == 0 else f"{title} ({place + 1})"
                found.append(Section(name, columns, place == 0 and title in topics))
        return found

    def published_text(self, row: Row, section: Section | None = None) -> str:
        """The published cell of a row (or of a section of it), e.g. `≥ −86.76 nats [1]`; empty without."""
        numbers = {id(r): i for i, r in enumerate(self.references, start=1)}
        shown = [r for r in row.published if section is None or words.topic(r.metric) == section.title]
        return "; ".join(f"{reference_text(r)} [{numbers[id(r)]}]" for r in shown)

    def to_markdown(self) -> str:
        """GitHub Markdown: a table for each section, remarks as paragraphs, then footnotes as a list."""
        tables = [part for section in self.sections for part in self._markdown_section(section)]
        notes = "\n".join(f"- {_escape(note)}" for note in [*self._view_note(), *self.footnotes])
        remarks = [_escape(remark) for remark in self.remarks]
        return "\n\n".join([*tables, "## Notes", *remarks, notes]) + "\n"

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
        """Numbers for programs: per column mean, half-width, kind, seeds; `repr` floats, empty if absent."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        parts = ("", " half_width_95", " std_error", " kind", " metric", " seeds", " images")
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
) -> Table:
    """The table of one data set and view; rows in the order of `models` (default: as in `frame`).

    Cells are means over the seeds that finished; a row says how many of its seeds failed. Without the data
    set's manifest the heading does not name the binarisation, and the likelihood over most images counts as
    one over all of them. orders: those of the settings, each judged in a remark.
    """
    part = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & is_compared(frame["model"])]
    part = words.headline_records(part)
    names = _names(part, models)
    planted = planted_copies(frame, dataset)
    columns = [replace(c, failing=fails(planted, c.metric)) for c in _columns(part)]
    test_images = _test_images(part, manifest)
    rows = [_row(part[part["model"] == model], model, columns, test_images) for model in names]
    for column in columns:
        mark_best(column, [row.cells[column.key] for row in rows if column.key in row.cells])
    for row in rows:
        row.published = [r for r in references(dataset, view, row.model) if _fits(r, columns)]
    table = Table(dataset, view, columns, rows, words.view_words(view, manifest), test_images)
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
) -> list[Table]:
    """All tables of a merged frame: data sets in its order, `binary` before `gray`."""
    known = manifests or {}
    names = list(dict.fromkeys(frame.loc[is_compared(frame["model"]), "dataset"]))
    tables = [
        comparison(frame, d, v, models, known.get(d), orders) for d in names for v in ("binary", "gray")
    ]
    return [table for table in tables if table.rows]


def _test_images(part: pd.DataFrame, manifest: Mapping[str, Any] | None) -> int:
    if manifest is not None:
        return int(manifest["splits"]["test"])
    averaged = part.loc[[words.is_likelihood(str(metric)) for metric in part["metric"]], "n"]
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
    draws = [k for metric, _ in pairs if (k := words.importance_draws(metric)) is not None]
    fewer = {f"log_likelihood_is_{k}" for k in draws if k < max(draws)}
    pairs = {(metric, unit) for metric, unit in pairs if metric not in fewer and not words.is_hidden(metric)}
    bounded = {unit for metric, unit in pairs if words.tightness(metric) is not None}
    tightest = [Column("log_likelihood", u, True) for u in ("nats", "bits_per_dim") if u in bounded]
    own = [
        Column(metric, unit)
        for metric, unit in pairs
        if metric != "log_likelihood" and not (words.is_likelihood(metric) and unit == "bits_per_dim")
    ]
    return tightest + sorted(own, key=lambda c: (words.order(c.metric), c.unit))


def _row(records: pd.DataFrame, model: str, columns: Sequence[Column], test_images: int) -> Row:
    seeds = set(records["seed"])
    failed = {
        kind: set(records.loc[(records["metric"] == kind) & (records["value"] > 0), "seed"])
        for kind in FAILURES
    }
    note = ", ".join(f"{len(which)} of {len(seeds)} seeds {kind}" for kind, which in failed.items() if which)
    finished = records[~records["seed"].isin(set().union(*failed.values()))]
    cells = {column.key: cell for column in columns if (cell := _cell(finished, column, test_images))}
    return Row(model, cells, note)


def _cell(records: pd.DataFrame, column: Column, test_images: int) -> Cell | None:
    in_unit = records[records["unit"] == column.unit]
    metric = headline_metric(in_unit) if column.tightest else column.metric
    chosen = in_unit[in_unit["metric"] == metric]
    if chosen.empty:
        return None
    cell = summarised(chosen)
    cell.partial = words.is_likelihood(cell.metric) and (cell.images or 0) < test_images
    return cell


def reference_text(reference: Reference) -> str:
    """A published value with kind mark, metric (unless the log-likelihood) and unit."""
    digits = max(1, len(repr(reference.value).partition(".")[2]))
    digits = max(2, digits) if reference.uncertainty is None else (0 if reference.value > 100 else 1)
    likelihood = words.is_likelihood(reference.metric)
    mark = words.kind_mark(reference.kind, reference.unit) + " " if likelihood else ""
    name = "" if reference.metric == "log_likelihood" else words.label(reference.metric) + " "
    spread = "" if reference.uncertainty is None else f" ± {reference.uncertainty:.{digits}f}"
    unit = words.UNIT_WORDS[reference.unit]
    return f"{name}{mark}{number(reference.value, digits)}{spread}" + (f" {unit}" if unit else "")


def _fits(reference: Reference, columns: Sequence[Column]) -> bool:
    """Whether a published figure has a column of its metric and unit to be read against."""
    return any((c.metric, c.unit) == (reference.metric, reference.unit) for c in columns)


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
        return [""] * 7
    optional = ["" if v is None else repr(v) for v in (cell.half_width, cell.std_error)]
    return [repr(cell.mean), *optional, cell.kind, cell.metric, str(cell.n), str(cell.images)]
