"""What a search leaves: every training as CSV, what was chosen as JSON and Markdown, and a picture."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dgmbench.files import replacing, write_json, write_text
from dgmbench.search.figure import draw_search
from dgmbench.search.rows import Row, chosen_key, key_of, scores_by_settings
from dgmbench.search.settings import SearchSettings
from dgmbench.search.study import STEPS

OBJECTIVES = {
    "loss": "validation bound ↓ (nats)",
    "error": "validation error ↓ (%)",
    "fid_domain": "validation FID (domain) ↓",
}


@dataclass(frozen=True)
class Choice:
    """What the search says of an entry; scores are on validation images, means over the confirming seeds.

    Args:
        settings: the chosen ones by dotted key.
        number: of the trial that drew them; trial 0 is of the settings that the pipeline had.
        before: those settings.
        committed: their score, at the search's length of training.
        chosen: score of `settings`, over the same seeds.
        seeds: how many those are.
        longer: score after `longer_epochs`; None for a closed form, or while it is not trained.
    """

    entry: str
    objective: str
    settings: dict[str, Any]
    number: int
    before: dict[str, Any]
    epochs: int | None
    committed: float
    chosen: float
    spread: float
    seeds: int
    best_epochs: list[int]
    longer_epochs: int | None
    longer: float | None
    longer_best_epochs: list[int]
    trials: int
    stopped: int
    cpu_seconds: float
    cpu_seconds_of_one: float


def choice_of(search: SearchSettings, entry: str, rows: list[Row]) -> Choice:
    """The choice of an entry, from all its trainings."""
    scores, best = scores_by_settings(rows), chosen_key(rows)
    trained = [row for row in rows if key_of(row.settings) == best and row.value is not None]
    steps = {step: [row for row in trained if row.step == step] for step in STEPS}
    short, long = steps["confirm"], steps["longer"]
    committed = next(row for row in rows if row.committed)
    return Choice(
        entry=entry,
        objective=search.entries[entry].objective,
        settings=short[0].settings,
        number=steps["trial"][0].number,
        before=committed.settings,
        epochs=search.entries[entry].epochs,
        committed=statistics.fmean(scores[key_of(committed.settings)]),
        chosen=statistics.fmean(scores[best]),
        spread=statistics.stdev(scores[best]),
        seeds=len(scores[best]),
        best_epochs=[row.best_epoch for row in short if row.best_epoch is not None],
        longer_epochs=long[0].epochs if long else None,
        longer=statistics.fmean(row.value for row in long if row.value is not None) if long else None,
        longer_best_epochs=[row.best_epoch for row in long if row.best_epoch is not None],
        trials=sum(row.step == "trial" for row in rows),
        stopped=sum(row.status == "stopped" for row in rows),
        cpu_seconds=sum(row.cpu_seconds for row in rows),
        cpu_seconds_of_one=statistics.fmean(row.cpu_seconds for row in short),
    )


def write_search(search: SearchSettings, rows: dict[str, list[Row]], folder: Path) -> None:
    """Write `trials.csv`, `chosen.json`, `README.md` and `search.png` to `folder`."""
    choices = [choice_of(search, entry, rows[entry]) for entry in search.entries]
    everything = [row for own in rows.values() for row in own]
    write_trials(folder / "trials.csv", everything)
    write_json(folder / "chosen.json", {choice.entry: asdict(choice) for choice in choices})
    write_text(folder / "README.md", _page(search, everything, choices))
    draw_search(search, rows, choices, folder / "search.png")


def write_trials(path: Path, rows: list[Row]) -> None:
    """One line a training; settings and rungs as JSON."""
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            plain = asdict(row) | {"settings": json.dumps(row.settings), "rungs": json.dumps(row.rungs)}
            writer.writerow(plain)


def _page(search: SearchSettings, rows: list[Row], choices: list[Choice]) -> str:
    hours = sum(choice.cpu_seconds for choice in choices) / 3600
    others = len(search.confirming_seeds)
    seeds = ", ".join(map(str, (search.trial_seed, *search.confirming_seeds)))
    code = _code(rows)
    head = f"""# The search behind the settings of `{search.pipeline}`

{search.trials} trials of every entry: the committed settings, then {search.startup - 1} at random, then
draws of the tree-structured Parzen estimator. A trial below the median at a quarter or half of its length is
stopped, if its score is a loss. The best {search.confirmed} and the committed settings are trained from
{others} more seeds. The least mean over these is chosen, and trained for {search.longer} times as long. All
scores are on validation images. The seeds, {seeds}, are not among those that are reported.
In all it took {hours:.1f} CPU hours. {code}

Scores are means over the {others} seeds, ± their standard deviation. *committed* are the settings that the
pipeline had, at the length of training in *epochs*; **bold** settings differ from them, and *italic* ones lie
at an end of what was searched. Nats compare within a row only: each entry is scored by its own bound (exact
likelihood, ELBO or L_k).

"""
    columns = (
        "entry", "score", "committed", "chosen", "longer (epochs: change)", "epochs", "best epochs",
        "trials (stopped)", "CPU s of one", "chosen settings",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "| --- | --- |" + " ---: |" * 7 + " --- |"]
    lines += [f"| {' | '.join(_cells(search, choice))} |" for choice in choices]
    return head + "\n".join(lines) + "\n\n![Scores of all trials by step size](search.png)\n"


def _code(rows: list[Row]) -> str:
    """Which commits trained how many of the rows."""
    counts = Counter(row.commit for row in rows)
    parts = [
        f"{count} by {f'commit {commit[:10]}' if commit else 'code of no commit'}"
        for commit, count in counts.items()
    ]
    return f"Trainings: {', '.join(parts)}."


def _cells(search: SearchSettings, choice: Choice) -> list[str]:
    return [
        choice.entry,
        OBJECTIVES[choice.objective],
        f"{choice.committed:.4g}" if math.isfinite(choice.committed) else "failed",
        f"**{choice.chosen:.4g} ± {choice.spread:.2g}**",
        _longer(choice),
        str(choice.epochs or "–"),
        ", ".join(map(str, choice.best_epochs)) or "–",
        f"{choice.trials} ({choice.stopped})",
        f"{choice.cpu_seconds_of_one:.0f}",
        _changes(search, choice),
    ]


def _longer(choice: Choice) -> str:
    if choice.longer is None:
        return "–"
    gain = choice.chosen - choice.longer
    change = f"{abs(gain):.2g} {'better' if gain > 0 else 'worse'}" if gain else "the same"
    return f"{choice.longer:.4g} ({choice.longer_epochs}: {change})"


def _changes(search: SearchSettings, choice: Choice) -> str:
    """The chosen settings, bold where they differ from the pipeline's, italic at an end of the space."""
    if not choice.settings:
        return "none to search"
    parts = []
    for key, value in choice.settings.items():
        text = f"{key.removeprefix('training.')} {value}"
        ends = search.entries[choice.entry].space[key].is_end(value)
        mark = "**" * (choice.before[key] != value) + "*" * ends
        parts.append(f"{mark}{text}{mark}")
    return ", ".join(parts)
