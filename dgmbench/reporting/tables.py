"""The comparison: one table per (data set, view), with seed intervals and the kind of every likelihood.

Views and units never share a column. The interval of a mean over n seeds is the two-sided 95 % Student t
interval, mean ± t(0.975, n - 1) s / sqrt(n), which speaks about retraining with another seed. With one
seed there is no such interval; the cell then shows the standard error over test points, as `(se 0.40)`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from dgmbench.evaluation.statistics import mean_and_interval
from dgmbench.files import write_text
from dgmbench.reporting import vocabulary as words
from dgmbench.reporting.load import CLASSIFIER, merge_results
from dgmbench.reporting.published import Reference, references

__all__ = ["Cell", "Column", "Row", "Table", "comparison", "comparisons", "merge_results", "write_tables"]

CONFIDENCE = 0.95
_NOT_SHOWN = {"diverged", "parzen_bandwidth"}
# Below this share of the mean, a spread is the rounding of the mean of equal values.
_ROUND_OFF = 1e-12
_DEFAULT_DECIMALS = {"nats": 2, "bits_per_dim": 3, "percent": 2, "seconds": 1, "images_per_second": 0}


@dataclass(frozen=True)
class Column:
    """A metric in one unit; `tightest` marks the column that takes each model's best bound."""

    metric: str
    unit: str
    tightest: bool = False

    @property
    def key(self) -> str:
        """Name in CSV headings, e.g. `elbo [nats]`."""
        return f"{self.metric} [{self.unit}]"

    @property
    def direction(self) -> words.Direction:
        """Which way is better."""
        return words.direction(self.metric, self.unit)

    @property
    def title(self) -> str:
        """Name for readers with an arrow towards better, without unit."""
        arrow = {"higher": " ↑", "lower": " ↓", "one": " → 1", "none": ""}[self.direction]
        bits = self.tightest and self.unit == "bits_per_dim"
        return ("bits/dim" if bits else words.label(self.metric)) + arrow

    @property
    def unit_words(self) -> str:
        """The unit in parentheses; empty where it is in the title or there is none."""
        unit = words.UNIT_WORDS[self.unit]
        return f"({unit})" if unit and not self.title.startswith(unit) else ""

    @property
    def heading(self) -> str:
        """Title and unit in one line."""
        return f"{self.title} {self.unit_words}".rstrip()


@dataclass
class Cell:
    """One model's value in one column: mean over `n` seeds, half-width of its interval (None if n < 2)."""

    metric: str
    unit: str
    kind: str
    mean: float
    half_width: float | None
    std_error: float | None
    n: int
    best: bool = False

    @property
    def text(self) -> str:
        """`= −86.76 ± 0.30`, or for one seed `= −86.76 (se 0.40)`; the kind mark on likelihoods only."""
        mark = words.kind_mark(self.kind, self.unit) + " " if words.is_likelihood(self.metric) else ""
        if self.metric == "parameters" and not self.half_width:
            return f"{self.mean:,.0f}"
        if self.half_width is None:
            return mark + _one_seed_text(self.mean, self.std_error, self.unit)
        digits = decimals(self.half_width, self.unit)
        half = number(self.half_width, digits) if self.half_width else "0"
        return f"{mark}{number(self.mean, digits)} ± {half}"


@dataclass
class Row:
    """A model with its cells by column key, and what is to be said about it (diverged seeds)."""

    model: str
    cells: dict[str, Cell] = field(default_factory=dict)
    note: str = ""
    published: list[Reference] = field(default_factory=list)


@dataclass
class Table:
    """The comparison of all models of one view on one data set."""

    dataset: str
    view: str
    columns: list[Column]
    rows: list[Row]
    footnotes: list[str] = field(default_factory=list)

    @property
    def references(self) -> list[Reference]:
        """Published figures shown, in order of appearance; the n-th carries mark `[n]`."""
        return [reference for row in self.rows for reference in row.published]

    def published_text(self, row: Row) -> str:
        """The published cell of a row, e.g. `≥ −86.76 nats [1]`; empty when there is none."""
        numbers = {id(r): i for i, r in enumerate(self.references, start=1)}
        return "; ".join(f"{reference_text(r)} [{numbers[id(r)]}]" for r in row.published)

    def to_markdown(self) -> str:
        """GitHub Markdown: the table, then its footnotes as a list."""
        headings = ["model", *(c.heading for c in self.columns)] + ["published"] * bool(self.references)
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
        lines += [self._markdown_row(row) for row in self.rows]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
        notes = "\n".join(f"- {_escape(note)}" for note in self.footnotes)
        return f"{table}\n\n{notes}\n"

    def _markdown_row(self, row: Row) -> list[str]:
        name = f"{_escape(row.model)} ({row.note})" if row.note else _escape(row.model)
        cells = [_bold(row.cells.get(column.key)) for column in self.columns]
        return [name, *cells] + [_escape(self.published_text(row))] * bool(self.references)

    def to_csv(self) -> str:
        """Numbers for programs: per column mean, half-width, kind, seeds; `repr` floats, empty if absent."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        parts = ("", " half_width_95", " std_error", " kind", " metric", " seeds")
        writer.writerow(
            ["model", "note", *(c.key + part for c in self.columns for part in parts), "published"]
        )
        for row in self.rows:
            cells = [value for c in self.columns for value in _csv_cells(row.cells.get(c.key))]
            writer.writerow([row.model, row.note, *cells, self.published_text(row)])
        return out.getvalue()


def comparison(frame: pd.DataFrame, dataset: str, view: str, models: Sequence[str] | None = None) -> Table:
    """The table of one data set and view; rows in the order of `models` (default: as in `frame`).

    Cells are means over the seeds that finished; a row says how many of its seeds diverged.
    """
    part = frame[(frame["dataset"] == dataset) & (frame["view"] == view) & (frame["model"] != CLASSIFIER)]
    part = words.headline_records(part)
    names = [m for m in (models or list(dict.fromkeys(part["model"]))) if (part["model"] == m).any()]
    columns = _columns(part)
    rows = [_row(part[part["model"] == model], model, columns) for model in names]
    for column in columns:
        mark_best(column, [row.cells[column.key] for row in rows if column.key in row.cells])
    for row in rows:
        row.published = [r for r in references(dataset, view, row.model) if _fits(r, columns)]
    table = Table(dataset, view, columns, rows)
    table.footnotes = _footnotes(table)
    return table


def comparisons(frame: pd.DataFrame, models: Sequence[str] | None = None) -> list[Table]:
    """All tables of a merged frame: data sets in its order, `binary` before `gray`."""
    shown = frame[frame["model"] != CLASSIFIER]
    pairs = [(d, v) for d in dict.fromkeys(shown["dataset"]) for v in ("binary", "gray")]
    tables = [comparison(frame, dataset, view, models) for dataset, view in pairs]
    return [table for table in tables if table.rows]


def write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write `<dataset>-<view>.csv` and `.md` into `folder`; returns the paths."""
    paths = []
    for table in tables:
        stem = Path(folder) / f"{table.dataset}-{table.view}"
        for suffix, text in ((".csv", table.to_csv()), (".md", table.to_markdown())):
            write_text(stem.with_name(stem.name + suffix), text)
            paths.append(stem.with_name(stem.name + suffix))
    return paths


def half_width(values: Sequence[float], confidence: float = CONFIDENCE) -> float | None:
    """Half-width of the Student t interval of a mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    if float(np.std(np.asarray(values), ddof=1)) <= _ROUND_OFF * abs(float(np.mean(values))):
        return 0.0
    return mean_and_interval(values, confidence)[1]


def mark_best(column: Column, cells: Sequence[Cell]) -> None:
    """Set `best` on the leading cell if its interval is clear of every other model's.

    A cell without an interval (one seed) blocks the mark: nothing is known about its spread.
    """
    if column.direction not in ("higher", "lower") or len(cells) < 2:
        return
    sign = 1 if column.direction == "higher" else -1
    leader = max(cells, key=lambda cell: sign * cell.mean)
    leader.best = all(_clear(leader, cell, sign) for cell in cells if cell is not leader)


def _clear(leader: Cell, other: Cell, sign: int) -> bool:
    if leader.half_width is None or other.half_width is None:
        return False
    return sign * (leader.mean - other.mean) > leader.half_width + other.half_width


def _columns(part: pd.DataFrame) -> list[Column]:
    """The columns that a view's records fill, likelihoods first.

    Likelihoods other than the tightest are given in nats only: bits/dim are the same numbers rescaled.
    Importance sampling with fewer draws and the Parzen bandwidth are left to results.csv.
    """
    pairs = {(str(m), str(u)) for m, u in zip(part["metric"], part["unit"], strict=True)}
    draws = [k for metric, _ in pairs if (k := words.importance_draws(metric)) is not None]
    fewer = {f"log_likelihood_is_{k}" for k in draws if k < max(draws)}
    pairs = {(metric, unit) for metric, unit in pairs if metric not in _NOT_SHOWN | fewer}
    bounded = {unit for metric, unit in pairs if words.tightness(metric) is not None}
    tightest = [Column("log_likelihood", u, True) for u in ("nats", "bits_per_dim") if u in bounded]
    own = [
        Column(metric, unit)
        for metric, unit in pairs
        if metric != "log_likelihood" and not (words.is_likelihood(metric) and unit == "bits_per_dim")
    ]
    return tightest + sorted(own, key=lambda c: (words.order(c.metric), c.unit))


def _row(records: pd.DataFrame, model: str, columns: Sequence[Column]) -> Row:
    diverged = set(records.loc[(records["metric"] == "diverged") & (records["value"] > 0), "seed"])
    seeds = set(records["seed"])
    note = f"{len(diverged)} of {len(seeds)} seeds diverged" if diverged else ""
    finished = records[~records["seed"].isin(diverged)]
    cells = {column.key: cell for column in columns if (cell := _cell(finished, column))}
    return Row(model, cells, note)


def _cell(records: pd.DataFrame, column: Column) -> Cell | None:
    in_unit = records[records["unit"] == column.unit]
    metric = _tightest_metric(in_unit) if column.tightest else column.metric
    chosen = in_unit[in_unit["metric"] == metric]
    if metric is None or chosen.empty:
        return None
    kinds = list(dict.fromkeys(chosen["kind"]))
    if len(kinds) > 1:
        raise ValueError(f"{metric}: seeds disagree on its kind ({', '.join(kinds)})")
    values = [float(value) for value in chosen["value"]]
    std_error = float(chosen["std_error"].iloc[0]) if len(values) == 1 else math.nan
    return Cell(
        metric=metric,
        unit=column.unit,
        kind=kinds[0],
        mean=float(np.mean(values)),
        half_width=half_width(values),
        std_error=None if math.isnan(std_error) else std_error,
        n=len(values),
    )


def _tightest_metric(records: pd.DataFrame) -> str | None:
    """The tightest likelihood that most seeds have (a bound that one seed alone has is no comparison)."""
    counts = records.groupby("metric")["seed"].nunique()
    ranks = {str(m): (int(n), rank) for m, n in counts.items() if (rank := words.tightness(str(m)))}
    return max(ranks, key=lambda metric: ranks[metric]) if ranks else None


def decimals(spread: float, unit: str) -> int:
    """Decimals that show two significant digits of a spread (at most four); the unit's default for zero.

    Negative for spreads of 100 and more: so many digits before the point are noise.
    """
    if not spread or not math.isfinite(spread):
        return _DEFAULT_DECIMALS.get(unit, 3)
    return min(4, 1 - math.floor(math.log10(spread)))


def number(value: float, digits: int) -> str:
    """A rounded number with a true minus sign, which neither wraps nor reads as a hyphen."""
    return f"{round(value, digits):,.{max(0, digits)}f}".replace("-", "−")


def _one_seed_text(mean: float, std_error: float | None, unit: str) -> str:
    if std_error is None:
        return f"{number(mean, decimals(0.0, unit))} (1 seed)"
    digits = decimals(std_error, unit)
    return f"{number(mean, digits)} (se {number(std_error, digits)})"


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


def _footnotes(table: Table) -> list[str]:
    cells = [cell for row in table.rows for cell in row.cells.values()]
    notes = [
        f"{_kind_sign(kind)} {words.KIND_WORDS[kind]}." for kind in words.KIND_MARKS if _used(cells, kind)
    ]
    if any(cell.half_width is not None for cell in cells):
        notes.append("mean ± half-width of the 95 % Student t interval over seeds.")
    if any(cell.half_width is None for cell in cells):
        notes.append("(se …): one seed only; the standard error over test points, silent about other seeds.")
    notes.append(
        "Bold: best in its column, with an interval that overlaps no other model's. Where a rival shows only "
        "a lower bound, its true likelihood may be higher."
    )
    if any(row.note for row in table.rows):
        notes.append("Diverged seeds are left out of the means, which flatters the model.")
    for index, reference in enumerate(table.references, start=1):
        quoted = " (as quoted by a later source)" if reference.flag == "V2" else ""
        notes.append(f"[{index}] Published: {reference.source}{quoted}. Protocol: {reference.protocol}.")
    return notes


def _used(cells: Sequence[Cell], kind: str) -> bool:
    return any(cell.kind == kind and words.is_likelihood(cell.metric) for cell in cells)


def _kind_sign(kind: str) -> str:
    return words.KIND_MARKS[kind]


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
        return [""] * 6
    optional = ["" if v is None else repr(v) for v in (cell.half_width, cell.std_error)]
    return [repr(cell.mean), *optional, cell.kind, cell.metric, str(cell.n)]
