"""What an experiment says of itself: how to compare its runs, then the tables of the report."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from dgmbench.reporting.headlines import HEADLINES
from dgmbench.terms import ViewName

_LIMIT = 20_000
_ARROWS = {"higher": "larger is better", "lower": "smaller is better", "one": "1 is best", "none": ""}
HOW_TO = """\
**How to compare.** A run whose tag `level` is `model` is an entry of the pipeline. Its metrics are means over
its seeds; `half_width/<name>` is half of the 95 % interval over trainings. Its children, `level` `seed`, are
the trainings. Two models differ where their intervals separate. Compare within one `view`: binary and gray
likelihoods are of different data. Search for `tags.level = 'model' and tags.dgmbench.superseded = 'false'`
to see current entries alone, tick those of interest, and choose Compare. The run whose `level` is `report`
holds the page and its figures.
"""


def note(reports_dir: Path, dataset: str) -> str:
    """The description of a data set's experiment; without tables where there is no report."""
    tables = [
        f"### {dataset}, {view} view\n\n{path.read_text(encoding='utf-8')}"
        for view in get_args(ViewName)
        if (path := Path(reports_dir) / "tables" / f"{dataset}-{view}.md").exists()
    ]
    text = "\n".join([HOW_TO, _columns(), *tables])
    return text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…"


def _columns() -> str:
    lines = [f"- `{h.key}`: {h.label} ({_ARROWS[h.better]})" for h in HEADLINES]
    return "\n".join(["Headline metrics have names without a slash:", "", *lines, ""])
