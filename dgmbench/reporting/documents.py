"""Tables of reports inside documents: what a run wrote, copied between two marks.

A document holds `<!-- table PATH -->` or `<!-- cells PATH -->`, a table and `<!-- end -->`. PATH is a file of
a report's `tables/`, from the root of the repository. `table` shows the first table of the file, `cells` the
rows and columns that the document's own table has, from all tables of the file. In the place of a PATH,
`metrics` and `controls` are what the code declares. `make documents` copies them anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.errors import DgmbenchError
from dgmbench.files import write_text
from dgmbench.reporting.catalogues import controls_table, metrics_table
from dgmbench.reporting.markdown import line as line_of

CATALOGUES = {"metrics": metrics_table, "controls": controls_table}
MARKED = re.compile(
    r"(?P<start><!-- (?P<what>table|cells) (?P<path>\S+) -->\n)(?P<table>.*?)(?P<end><!-- end -->)", re.DOTALL
)


def with_tables(text: str, root: Path) -> str:
    """The text of a document with its tables as the reports under `root` have them now.

    Raises:
        DgmbenchError: for a file that is not there, holds no table, or lacks a row or a column.
    """

    def copied(found: re.Match[str]) -> str:
        name, path = found["path"], root / found["path"]
        if name in CATALOGUES:
            new = CATALOGUES[name]()
        else:
            new = first_table(path) if found["what"] == "table" else with_cells(found["table"], path)
        return f"{found['start']}\n{new}\n\n{found['end']}"

    return MARKED.sub(copied, text)


def with_cells(table: str, path: Path) -> str:
    """A Markdown table with its cells as the tables of a file have them, by the names of rows and columns.

    Raises:
        DgmbenchError: for a file that is not there, or lacks a row or a column.
    """
    head, rule, *rows = [line for line in table.splitlines() if line.startswith("|")]
    known: dict[tuple[str, str], str] = {}
    columns: list[str] = []
    for first, *others in (_split(line) for line in _lines_of(path) if line.startswith("|")):
        if first == _split(head)[0]:
            columns = others
        known |= {(first, column): cell for column, cell in zip(columns, others, strict=False)}
    names = _split(head)[1:]
    lines = []
    for name in (_split(row)[0] for row in rows):
        missing = [column for column in names if (name, column) not in known]
        # A model without a number has no row in some tables of a file.
        if len(missing) == len(names) or not {column for _, column in known}.issuperset(names):
            raise DgmbenchError(f"{path}: no cell of {name} under {', '.join(missing)}")
        lines.append(line_of([name, *(known.get((name, column), "–") for column in names)]))
    return "\n".join([head, rule, *lines])


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _lines_of(path: Path) -> list[str]:
    if not path.is_file():
        raise DgmbenchError(f"{path}: no such file; run its pipeline, which writes it")
    return path.read_text(encoding="utf-8").splitlines()


def first_table(path: Path) -> str:
    """The first Markdown table of a file.

    Raises:
        DgmbenchError: for a file that is not there or holds none.
    """
    lines: list[str] = []
    for line in _lines_of(path):
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    if not lines:
        raise DgmbenchError(f"{path} holds no table")
    return "\n".join(lines)


def main() -> None:
    """Copy the tables of the current reports into the documents that the command line names."""
    for name in sys.argv[1:]:
        path = Path(name)
        write_text(path, with_tables(path.read_text(encoding="utf-8"), Path()))


if __name__ == "__main__":
    guarded(main)
