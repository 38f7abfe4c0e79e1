"""Relations as words and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.files import write_text
from dgmbench.reporting import markdown
from dgmbench.reporting.relations.ranks import Correlation
from dgmbench.reporting.relations.relations import NOTE, Relation, Relations
from dgmbench.reporting.words import escaped

HEADS = (
    "scores",
    "ρ over models",
    "p over models",
    "models",
    "ρ over seeds",
    "p over seeds",
    "models (seeds)",
)
GAP = "–"


def to_markdown(found: Relations) -> str:
    """A line for each pair of scores."""
    lines = [HEADS, ("---", *["---:"] * (len(HEADS) - 1)), *(cells(row) for row in found.rows)]
    return f"{markdown.table(lines)}\n\n{escaped(NOTE)}\n"


def write_relations(found: Sequence[Relations], folder: Path) -> list[Path]:
    """Write `<data set>-<view>-relations.md` into `folder`; returns the paths."""
    paths = []
    for each in found:
        path = folder / f"{each.dataset}-{each.view}-relations.md"
        write_text(path, to_markdown(each))
        paths.append(path)
    return paths


def cells(row: Relation) -> tuple[str, ...]:
    """A line's cells: both scores, then each correlation with its p-value and what it is over."""
    models, seeds = row.over_models, row.over_seeds
    return (
        names(row),
        rho_text(models),
        p_text(models),
        str(row.models),
        rho_text(seeds),
        p_text(seeds),
        GAP if seeds is None else f"{seeds.groups} ({seeds.n})",
    )


def names(row: Relation) -> str:
    """Both scores."""
    return f"{row.first}, {row.second}"


def rho_text(found: Correlation | None) -> str:
    """`0.62 (0.10 to 0.87)`, the interval where there is one."""
    if found is None:
        return GAP
    if found.low is None or found.high is None:
        return _signed(found.rho)
    return f"{_signed(found.rho)} ({_signed(found.low)} to {_signed(found.high)})"


def p_text(found: Correlation | None) -> str:
    """Two significant digits, or that it is below 0.001."""
    if found is None:
        return GAP
    return "<0.001" if found.p < 0.001 else f"{found.p:.2g}"


def _signed(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")
