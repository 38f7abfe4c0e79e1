"""The answers of a data set as a page of Markdown: a small table and sentences for each view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.reporting import markdown
from dgmbench.reporting.answer.answer import RULE, Answer, Family
from dgmbench.reporting.answer.aspects import Aspect
from dgmbench.reporting.answer.sentences import said_of
from dgmbench.reporting.answer.words import heading, is_marked, published, signs, unit
from dgmbench.reporting.comparison.short import remarks, short
from dgmbench.reporting.words import escaped

PUBLISHED = "published"


def to_markdown(answers: Sequence[Answer]) -> str:
    """A section for each view."""
    parts = [part for answer in answers for part in _section(answer)]
    return "\n\n".join([*parts, escaped(RULE)]) + "\n"


def write_answers(answers: Sequence[Answer], folder: Path) -> list[Path]:
    """Write `<data set>-answer.md` into `folder`; returns the paths."""
    return markdown.write_pages(answers, "answer", to_markdown, folder)


def table(answer: Answer) -> str:
    """The small table; a column of published figures where there are any."""
    aspects = answer.aspects
    has_published = any(family.published for family in answer.families)
    heads = ["family", *(_head(answer, aspect) for aspect in aspects), *[PUBLISHED] * has_published]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    for family in answer.families:
        name = f"{family.name} ({family.row.note})" if family.row.note else family.name
        cells = [_cell(family, aspect) for aspect in aspects]
        lines.append([escaped(name), *cells, *[_published(family)] * has_published])
    return markdown.table(lines)


def _section(answer: Answer) -> list[str]:
    said = [f"- **{escaped(f.name)}** {escaped(said_of(f, answer))}" for f in answer.families]
    return [f"## {answer.view} view", table(answer), escaped(f"{signs(answer)}."), "\n".join(said)]


def _head(answer: Answer, aspect: Aspect) -> str:
    words = unit(answer.columns[aspect.name], aspect)
    return escaped(f"{heading(answer.columns[aspect.name], aspect)}, {words}")


def _cell(family: Family, aspect: Aspect) -> str:
    cell = family.cells.get(aspect.name)
    if cell is None:
        return "–"
    text = escaped(" ".join(part for part in (short(cell), remarks(cell)) if part))
    return f"**{text}**" if is_marked(family, aspect) else text


def _published(family: Family) -> str:
    shown = [published(reference) for own in family.published.values() for reference in own]
    return escaped("; ".join(shown)) or "–"
