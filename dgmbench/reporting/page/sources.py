"""The runs that the numbers come from, as a grid of the page: a row of a table leads to one of these."""

from __future__ import annotations

from collections.abc import Sequence

from dgmbench.reporting.page.facts import provenance
from dgmbench.reporting.page.grid import Entry, Grid, Head, Line, run_anchor
from dgmbench.reporting.run_files import Run

_HASHES = ("fingerprint", "settings", "data", "code", "commit")
_NUMBERS = ("seed", "training", "steps")
_SHOWN = 10
_HELP = {
    "fingerprint": "of all that the run is made from: settings, seed, data and code",
    "settings": "SHA-256 of the settings of model and training",
    "data": "SHA-256 of the data set's arrays",
    "code": "SHA-256 of the code that trained it",
    "commit": "of the repository",
}


def runs_grid(runs: Sequence[Run]) -> Grid | None:
    """A line for each run; None without any."""
    if not runs:
        return None
    names = list(provenance(runs[0]))
    heads = [Head(name, help=_HELP.get(name, ""), is_text=name not in _NUMBERS) for name in names]
    return Grid("runs", "Runs and their fingerprints", heads, [_line(run) for run in runs])


def _line(run: Run) -> Line:
    values = provenance(run)
    model = values.pop("model")
    entries = [_entry(name, value, run) for name, value in values.items()]
    return Line(Entry(model), entries, run_anchor(run.dataset, run.model, run.seed))


def _entry(name: str, value: str, run: Run) -> Entry:
    if name in _HASHES:
        return Entry(value[:_SHOWN], title=value, is_code=True)
    numbers = {"seed": run.seed, "training": run.info.get("training_seconds"), "steps": run.info.get("steps")}
    if name in numbers:
        return Entry(value, value=numbers[name] or 0)
    return Entry(value)
