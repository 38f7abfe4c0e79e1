"""Words of the small table, on the page and in Markdown: headings, units, marks, published figures."""

from __future__ import annotations

from dgmbench.claims.evidence import TASK
from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.answer.answer import Answer, Family
from dgmbench.reporting.answer.aspects import DOWNSTREAM, Aspect
from dgmbench.reporting.comparison.cells import FAILING, PARTIAL, Column
from dgmbench.reporting.comparison.published import reference_text
from dgmbench.reporting.comparison.reference import Reference
from dgmbench.reporting.comparison.short import TIMES, factor
from dgmbench.reporting.words import kind_mark


def heading(column: Column, aspect: Aspect) -> str:
    """The aspect with an arrow towards better; marked where a control shows that the metric fails."""
    return column.marked(aspect.name)


def unit(column: Column, aspect: Aspect) -> str:
    """What the numbers are: the unit of a likelihood or cost, else the metric."""
    if aspect is DOWNSTREAM:
        return f"{UNITS[column.unit]}, {TASK} labels"
    return UNITS[column.unit] or declared(column.metric).label


def is_marked(family: Family, aspect: Aspect) -> bool:
    """Whether a number stands out as better than every other family's."""
    standing = family.standings.get(aspect.name)
    return standing is not None and standing.is_best


def signs(answer: Answer) -> str:
    """What the signs beside the numbers mean, as far as there are any."""
    cells = [cell for family in answer.families for cell in family.cells.values()]
    likelihoods = [cell for cell in cells if declared(cell.metric).likelihood]
    marks = {kind_mark(c.metric, c.kind, c.unit): c.kind.replace("_", " ") for c in likelihoods}
    said = [f"{mark} {words}" for mark, words in marks.items()]
    said += [f"{PARTIAL} over fewer test images"] * any(cell.partial for cell in cells)
    said += [f"{FAILING} fails a control"] * any(column.failing for column in answer.columns.values())
    said += ["every number is of one seed"] * answer.has_one_seed
    timings = [cell for cell in cells if declared(cell.metric).timing]
    known = any(cell.widest is not None for cell in cells if cell not in timings)
    said += ["± half of a 95 % interval"] * known
    said += [f"{TIMES} the same of the logarithm, as a factor"] * any(factor(cell) for cell in timings)
    return ", ".join(said)


def beside(reference: Reference, column: Column) -> str:
    """A published figure in a column: without what the head says, its unit and (but for bounds) metric."""
    text, metric = reference_text(reference), declared(reference.metric)
    if not metric.likelihood:
        text = text.removeprefix(f"{metric.label} ")
    return text.removesuffix(f" {UNITS[column.unit]}") if reference.unit == column.unit else text


def published(reference: Reference) -> str:
    """A published figure and where it is from."""
    return f"{reference_text(reference)} ({reference.source})"
