"""The table of one data set and view, its rows and sections, and how it is written as Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dgmbench.files import write_text
from dgmbench.metrics import Topic, declared
from dgmbench.reporting import markdown
from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.reporting.comparison.published import reference_text
from dgmbench.reporting.comparison.reference import Reference
from dgmbench.reporting.words import escaped, of_examples


@dataclass
class Row:
    """A model with its cells by column key, and a note on it (failed seeds).

    bounds: all its likelihoods by unit (Parzen's is none), those that have no column included. is_probe: its
    errors are those of a probe of the model's features. entries: of the settings whose runs it is of, where
    its name does not say.
    """

    model: str
    cells: dict[str, Cell] = field(default_factory=dict)
    note: str = ""
    published: list[Reference] = field(default_factory=list)
    bounds: dict[str, list[Cell]] = field(default_factory=dict)
    is_probe: bool = False
    entries: tuple[str, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The entries of the settings whose runs it is of."""
        return self.entries or (self.model.partition("/")[0],)


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


# The name of the table of errors by number of labels, in the place of a view's.
LABELS = "labels"
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
    def title(self) -> str:
        """What the contents of a page call it."""
        return "error by labels" if self.view == LABELS else f"{self.view} view"

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

    def rows_of(self, section: Section) -> list[Row]:
        """The rows of a section: models with a number in it, and those that have none anywhere (failures)."""
        keys = {column.key for column in section.columns}
        return [
            row
            for row in self.rows
            if not row.cells
            or keys & row.cells.keys()
            or (section.published and self.published_text(row, section))
        ]

    def published_text(self, row: Row, section: Section | None = None) -> str:
        """The published cell of a row (or of a section of it), e.g. `≥ −86.76 nats [1]`; empty without."""
        numbers = {id(r): i for i, r in enumerate(self.references, start=1)}
        shown = [r for r in row.published if section is None or declared(r.metric).topic == section.title]
        return "; ".join(f"{reference_text(r)} [{numbers[id(r)]}]" for r in shown)

    def to_markdown(self) -> str:
        """GitHub Markdown: a table for each section, remarks as paragraphs, then footnotes as a list."""
        tables = [part for section in self.sections for part in self._markdown_section(section)]
        notes = "\n".join(f"- {escaped(note)}" for note in [*self._view_note(), *self.footnotes])
        remarks = [escaped(remark) for remark in self.remarks]
        text = "\n\n".join([escaped(LEGEND), *tables, "## Notes", *remarks, notes]) + "\n"
        return of_examples(text, self.view)

    def _markdown_section(self, section: Section) -> list[str]:
        headings = ["model", *(c.heading for c in section.columns)] + ["published"] * section.published
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
        lines += [self._markdown_row(row, section) for row in self.rows_of(section)]
        table = markdown.table(lines)
        return [f"## {section.title}", table]

    def _view_note(self) -> list[str]:
        """How the view came about, where there is more to say than its name."""
        said = ":" in self.view_words
        return [self.view_words[0].upper() + self.view_words[1:] + "."] if said else []

    def _markdown_row(self, row: Row, section: Section) -> list[str]:
        name = f"{escaped(row.model)} ({row.note})" if row.note else escaped(row.model)
        cells = [_bold(row.cells.get(column.key)) for column in section.columns]
        return [name, *cells] + [escaped(self.published_text(row, section))] * section.published

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


def write_tables(tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write `<dataset>-<view>.csv` and `.md` into `folder`; returns the paths."""
    paths = []
    for table in tables:
        stem = Path(folder) / f"{table.dataset}-{table.view}"
        for suffix, text in ((".csv", table.to_csv()), (".md", table.to_markdown())):
            write_text(stem.with_name(stem.name + suffix), text)
            paths.append(stem.with_name(stem.name + suffix))
    return paths


def _bold(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    text = escaped(cell.text)
    return f"**{text}**" if cell.best else text


def _csv_cells(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * 8
    half, error, combined = (
        "" if v is None else repr(v) for v in (cell.half_width, cell.std_error, cell.combined)
    )
    return [repr(cell.mean), half, error, cell.kind, cell.metric, str(cell.n), str(cell.images), combined]
