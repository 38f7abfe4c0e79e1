"""Committed reports at revisions of git: what changed between two, and all that changed one."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dgmbench.errors import DgmbenchError, SettingsError
from dgmbench.reporting.baseline.files import read_results
from dgmbench.reporting.baseline.regression import Finding, compare, make_baseline
from dgmbench.reporting.headlines import HEADLINES, headlines


@dataclass(frozen=True)
class Revision:
    """A commit that changed a report: its abbreviated name, its date (ISO) and its subject."""

    name: str
    date: str
    subject: str


def results_path(pipeline: str) -> Path:
    """Where a report keeps its records."""
    return Path("reports") / pipeline / "results.csv"


def results_at(revision: str | None, pipeline: str) -> pd.DataFrame:
    """The headline records of a report at a revision; None: of the working tree.

    Raises:
        SettingsError: if there is no such revision or no report there, or it cannot be read today.
    """
    path = results_path(pipeline)
    if revision is None:
        return read_results(path)
    _git(
        "rev-parse",
        "--quiet",
        "--verify",
        f"{revision}^{{commit}}",
        said=f"there is no revision '{revision}'",
    )
    text = _git("show", f"{revision}:./{path.as_posix()}", said=f"there is no {path} at {revision}")
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / path.name
        aside.write_text(text, encoding="utf-8")
        try:
            return read_results(aside)
        except DgmbenchError as error:
            said = str(error).partition("; ")[0].replace(str(aside), "it")
            raise SettingsError(f"{path} at {revision} cannot be read: {said}") from error


def difference(pipeline: str, before: str, after: str | None = None) -> list[Finding]:
    """What changed in a report between two revisions (default: to the working tree), worst kinds first."""
    return compare(results_at(after, pipeline), make_baseline(results_at(before, pipeline)), within=True)


def only_headlines(findings: Sequence[Finding], frame: pd.DataFrame) -> list[Finding]:
    """Without what is within tolerance, but for headline metrics."""
    metrics = {
        (own.dataset, own.model, cell.metric)
        for own in headlines(frame)
        for key, cell in own.cells.items()
        if key in _COMPARED
    }
    return [f for f in findings if f.severity != "within" or (f.dataset, f.model, f.metric) in metrics]


def history(pipeline: str) -> list[Revision]:
    """The commits that changed a report's records, oldest first.

    Raises:
        SettingsError: if there is none.
    """
    path = results_path(pipeline)
    said = "there is no git repository here, which has the revisions"
    text = _git("log", "--reverse", "--format=%h%x09%cs%x09%s", "--", str(path), said=said)
    found = [Revision(*line.split("\t", 2)) for line in text.splitlines()]
    if not found:
        raise SettingsError(f"no revision has a {path}")
    return found


# Timings are not compared: they differ between two runs of one commit.
_COMPARED = {headline.key for headline in HEADLINES if headline.unit not in ("seconds", "images_per_second")}


def _git(*arguments: str, said: str) -> str:
    """What git prints; `SettingsError` with `said` where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise SettingsError(said + (f" (git: {reason[-1]})" if reason else ""))
    return done.stdout
