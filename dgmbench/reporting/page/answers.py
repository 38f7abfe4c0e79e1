"""The answer on a data set and view as part of the page: sentences, a strip of samples, a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dgmbench.metrics import declared
from dgmbench.reporting.answer.answer import RULE, Answer, Family
from dgmbench.reporting.answer.aspects import Aspect
from dgmbench.reporting.answer.sentences import said_of
from dgmbench.reporting.answer.words import beside, heading, is_marked, published, signs, unit
from dgmbench.reporting.comparison.short import ONE_SEED
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.page.grid import GAP, Entry, Grid, Head, Line, anchor
from dgmbench.reporting.page.images import groups
from dgmbench.reporting.page.shown import entry_of
from dgmbench.reporting.page.topics import Runs

# An arrow stays with its word.
NO_BREAK = "\u00a0"


def answer_view(answer: Answer, pictures: Sequence[Picture], runs: Runs) -> dict[str, Any]:
    """What a template draws of an answer."""
    own = [p for p in pictures if (p.dataset, p.view) == (answer.dataset, answer.view)]
    return {
        "view": answer.view,
        "sentences": [
            {"name": family.name, "href": f"#{_place(answer, family)}", "said": said_of(family, answer)}
            for family in answer.families
        ],
        "strips": groups(own, "answer", answer.dataset, answer.view),
        "grid": _grid(answer, runs),
        "signs": signs(answer),
        "rule": RULE,
    }


def _grid(answer: Answer, runs: Runs) -> Grid:
    heads = [Head("family", is_text=True), *(_head(answer, aspect) for aspect in answer.aspects)]
    name = f"{answer.dataset}-{answer.view}-answer"
    lines = [_line(answer, family, runs) for family in answer.families]
    return Grid(name, f"Families, {answer.dataset}, {answer.view} view", heads, lines)


def _head(answer: Answer, aspect: Aspect) -> Head:
    column = answer.columns[aspect.name]
    metric = declared(column.metric)
    return Head(
        heading(column, aspect).replace(" ", NO_BREAK),
        unit(column, aspect),
        metric.text,
        metric=column.metric,
        unit_name=column.unit,
    )


def _line(answer: Answer, family: Family, runs: Runs) -> Line:
    row = family.row
    note = " ".join(part for part in (row.model if row.model != family.name else "", row.note) if part)
    href = runs.href(answer.dataset, *row.trained)
    head = Entry(family.name, note=note, href=href, title=f"runs of {row.model}" if href else "")
    entries = [_entry(answer, family, aspect) for aspect in answer.aspects]
    return Line(head, entries, _place(answer, family))


def _entry(answer: Answer, family: Family, aspect: Aspect) -> Entry:
    """A number, with what others report below it."""
    found = entry_of(family.cells.get(aspect.name), answer.columns[aspect.name])
    others = family.published.get(aspect.name, [])
    said = "; ".join(beside(reference, answer.columns[aspect.name]) for reference in others)
    sources = "; ".join(f"{published(reference)}, {reference.protocol}" for reference in others)
    return replace(
        found,
        # What is true of every number is said once, below the table.
        note=found.note.removeprefix(ONE_SEED).strip() if answer.has_one_seed else found.note,
        css=" ".join(part for part in (found.css if found is GAP else "", _best(family, aspect)) if part),
        below=f"published {said}" if said else "",
        title=". Published: ".join(part for part in (found.title, sources) if part),
    )


def _best(family: Family, aspect: Aspect) -> str:
    return "best" if is_marked(family, aspect) else ""


def _place(answer: Answer, family: Family) -> str:
    return anchor("answer", answer.dataset, answer.view, family.row.model)
