"""python -m dgmbench diff and history: reports of two revisions, and of all."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dgmbench.settings import PARAMS, read_params

DIFF = "what changed in a committed report between two revisions"
HISTORY = "a figure of headline metrics over the revisions that changed them"


def add_parsers(commands: Any) -> None:
    """Add both commands to the parser of `python -m dgmbench`."""
    diff = commands.add_parser("diff", help=DIFF, description=f"{DIFF[0].upper()}{DIFF[1:]}.")
    diff.add_argument("before", metavar="REV", help="a revision of git")
    diff.add_argument("after", metavar="REV2", nargs="?", help="another (default: the working tree)")
    diff.add_argument(
        "--everything", action="store_true", help="also what is within tolerance and no headline"
    )
    diff.add_argument("--markdown", type=Path, metavar="FILE", help="write a table for a pull request too")
    history = commands.add_parser("history", help=HISTORY, description=f"{HISTORY[0].upper()}{HISTORY[1:]}.")
    history.add_argument("--models", nargs="+", default=[], metavar="NAME", help="only these")
    history.add_argument("--out", type=Path, help="a PNG file (default: reports/PIPELINE/history.png)")
    for parser in (diff, history):
        parser.add_argument("--pipeline", help="of the report (default: that of params.yaml)")


def diff_command(arguments: argparse.Namespace) -> None:
    """Print what changed; nothing fails, however much it is."""
    from dgmbench.files import write_text
    from dgmbench.reporting.baseline.revisions import difference, only_headlines, results_at
    from dgmbench.reporting.baseline.wording import format_findings, hidden_words, markdown

    pipeline = _pipeline(arguments)
    before, after = arguments.before, arguments.after
    found = difference(pipeline, before, after)
    shown = found if arguments.everything else only_headlines(found, results_at(after, pipeline))
    hidden = len(found) - len(shown)
    title = f"{pipeline}: from {before} to {after or 'the working tree'}"
    if shown:
        print(format_findings(shown))
    elif not hidden:
        print(f"{title}: no number differs")
    if hidden:
        print(f"{title}: {hidden_words(shown, hidden)} (`--everything`)")
    if arguments.markdown is not None:
        write_text(arguments.markdown, markdown(shown, title, hidden))


def history_command(arguments: argparse.Namespace) -> None:
    """Draw the figure; a revision whose report cannot be read today is said and left out."""
    from dgmbench.errors import SettingsError
    from dgmbench.reporting.baseline.revisions import history, results_at
    from dgmbench.reporting.figures.history import draw_history, lines_of
    from dgmbench.reporting.headlines import headlines

    pipeline = _pipeline(arguments)
    names, found = [], []
    for revision in history(pipeline):
        try:
            found.append(list(headlines(results_at(revision.name, pipeline))))
            names.append(f"{revision.name} {revision.date}")
        except SettingsError as error:
            print(f"left out: {error}")
    lines = lines_of(found, arguments.models)
    if not lines:
        raise SettingsError("no revision has a headline metric of these models")
    out = arguments.out or Path("reports") / pipeline / "history.png"
    draw_history(lines, names, out)
    print(f"{out}: {len(names)} revisions")


def _pipeline(arguments: argparse.Namespace) -> str:
    return str(arguments.pipeline or read_params(PARAMS).pipeline)
