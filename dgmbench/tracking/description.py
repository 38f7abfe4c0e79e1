"""What an experiment says of itself: how to compare its runs, then the small table of the report.

The full tables are longer than a description may be, so that they would be cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dgmbench.metrics import WAYS
from dgmbench.reporting.headlines import HEADLINES

HOW_TO = """\
**How to compare.** A run whose tag `level` is `model` is an entry of the pipeline. Its metrics are means over
its seeds; `half_width/<name>` is half of the 95 % interval over trainings. Its children, `level` `seed`, are
the trainings. Two models differ where their intervals separate. Compare within one `view`: binary and gray
likelihoods are of different data. Search for `tags.level = 'model' and tags.dgmbench.superseded = 'false'`
to see current entries alone, tick those of interest, and choose Compare. The run whose `level` is `report`
holds the page and its figures.
"""
MORE = (
    "What else was measured, and the figures: artifacts of the run `report of <pipeline>`, in `index.html`.\n"
)


def note(reports_dir: Path, dataset: str) -> str:
    """The description of a data set's experiment; without a table where there is no report."""
    path = Path(reports_dir) / "tables" / f"{dataset}-answer.md"
    parts = [HOW_TO, _columns()]
    if path.exists():
        parts += [*_tables(path.read_text(encoding="utf-8")), MORE]
    return "\n".join(parts)


def _tables(answer: str) -> Iterator[str]:
    """Of each section of an answer: its heading, its first table, and what the signs in it mean."""
    for section in re.split(r"^(?=## )", answer, flags=re.MULTILINE):
        parts = section.strip().split("\n\n")
        place = next((i for i, part in enumerate(parts) if part.startswith("|")), None)
        if place is not None:
            signs = [part for part in parts[place + 1 : place + 2] if part[0] not in "|-#"]
            yield "\n\n".join([*parts[: place + 1], *signs, ""])


def _columns() -> str:
    lines = [f"- `{h.key}`: {h.label} ({WAYS[h.better]})" for h in HEADLINES]
    return "\n".join(["Headline metrics have names without a slash:", "", *lines, ""])
