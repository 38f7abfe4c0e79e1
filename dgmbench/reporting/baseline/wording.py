"""Findings for a terminal, a CI log, and the comment of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from dgmbench.reporting.baseline.regression import NEW, Finding, regressions

_HEAD = ("", "data set", "model", "metric", "before", "now", "allowed", "intervals", "what")
INTERVALS = (
    "intervals: the change over what seeds, the classifier and rounding explain; beyond ±1 it counts; "
    "where 1 is best, of the distance to 1"
)
NOTHING = "No metric differs from the baseline beyond its tolerance."
# A comment of a pull request may have 65,536 characters.
_MOST_ROWS = 200


def format_findings(findings: Sequence[Finding], unit: str = "regression") -> str:
    """A plain-text table of findings, one a line, the largest change first within its kind."""
    if not findings:
        return NOTHING
    rows = [_HEAD, *(_cells(finding) for finding in _ordered(findings))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD) - 1)]
    lines = [
        "  ".join([*(c.ljust(w) for c, w in zip(row[:-1], widths, strict=True)), row[-1]]).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, INTERVALS, f"{_count(regressions(findings), unit)}."])


def hidden_words(shown: Sequence[Finding], hidden: int) -> str:
    """What to say of changes within tolerance that are not shown."""
    beyond = any(finding.severity != "within" for finding in shown)
    more = "more " if any(finding.severity == "within" for finding in shown) else ""
    changes = f"{hidden} {more}change{'' if hidden == 1 else 's'} within"
    return changes if beyond else f"nothing beyond tolerance; {changes}"


def markdown(findings: Sequence[Finding], title: str, hidden: int = 0) -> str:
    """The same for a pull request: what counts in a table, what is within tolerance folded away.

    hidden: how many more changes within tolerance there are, which are counted but not listed.
    """
    counting = [finding for finding in findings if finding.severity != "within"]
    within = [finding for finding in findings if finding.severity == "within"]
    worse = regressions(findings)
    better = [finding for finding in findings if finding.severity == "better"]
    verdict = f"**{_count(worse, 'regression')}**, {_count(better, 'improvement')} beyond tolerance"
    count = len(within) + hidden
    parts = [f"### {title}", verdict + f", {count} change{'' if count == 1 else 's'} within."]
    if counting:
        parts.append(_table(counting))
    if within:
        rest = f": headlines, {hidden} more are not listed" if hidden else ""
        summary = f"<summary>Within tolerance{rest}</summary>"
        parts.append(f"<details>{summary}\n\n{_table(within)}\n\n</details>")
    return "\n\n".join([*parts, f"{INTERVALS[0].upper()}{INTERVALS[1:]}.\n"])


def _table(findings: Sequence[Finding]) -> str:
    head = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * 4 + " ---: |" * 4 + " --- |"]
    ordered = _ordered(findings)
    shown = ordered[:_MOST_ROWS]
    lines = ["| " + " | ".join(_escaped(cell) for cell in _cells(finding)) + " |" for finding in shown]
    rest = len(ordered) - len(shown)
    return "\n".join([*head, *lines]) + (f"\n\nand {rest} more" if rest else "")


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Largest change first within each kind; a model's new metrics in one line."""
    kinds = list(dict.fromkeys(finding.severity for finding in findings))
    new: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        if _is_new(finding):
            new.setdefault((finding.dataset, finding.model), []).append(finding.metric)
    kept = [finding for finding in findings if not _is_new(finding)]
    kept += [Finding("note", *model, "–", _new(metrics)) for model, metrics in new.items()]
    return sorted(kept, key=lambda f: (kinds.index(f.severity), -abs(f.intervals or 0.0)))


def _is_new(finding: Finding) -> bool:
    return finding.message == NEW and finding.metric != "–"


def _new(metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - 3} more" if len(metrics) > 3 else ""
    return f"new: {', '.join(metrics[:3])}{more}"


def _cells(finding: Finding) -> tuple[str, ...]:
    numbers = (finding.baseline, finding.current, finding.tolerance)
    shown = ["–" if value is None else f"{value:z.6g}" for value in numbers]
    intervals = "–" if finding.intervals is None else f"{finding.intervals:+z.2f}"
    place = (finding.severity.upper(), finding.dataset, finding.model, finding.metric)
    return (*place, *shown, intervals, finding.message)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")


def _count(findings: Sequence[Finding], unit: str) -> str:
    return f"{len(findings)} {unit}{'' if len(findings) == 1 else 's'}"
