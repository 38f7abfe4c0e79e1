"""Tables of reports inside documents: what a run wrote, copied between two marks.

A document holds `<!-- table PATH -->`, a table and `<!-- end -->`. PATH is a file of a report's `tables/`,
from the root of the repository; its first table is shown. `make documents` copies them anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.errors import DgmbenchError
from dgmbench.files import write_text

MARKED = re.compile(r"(<!-- table (?P<path>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str, root: Path) -> str:
    """The text of a document with its tables as the reports under `root` have them now.

    Raises:
        DgmbenchError: for a file that is not there or holds no table.
    """
    return MARKED.sub(lambda found: f"{found[1]}\n{first_table(root / found['path'])}\n\n{found[3]}", text)


def first_table(path: Path) -> str:
    """The first Markdown table of a file.

    Raises:
        DgmbenchError: for a file that is not there or holds none.
    """
    if not path.is_file():
        raise DgmbenchError(f"{path}: no such file; run its pipeline, which writes it")
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
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
