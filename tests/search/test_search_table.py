from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from dgmbench.search.rows import Row
from dgmbench.search.settings import SearchSettings
from dgmbench.search.table import choice_of, write_search

RATE = "training.learning_rate"
SEARCH = SearchSettings.model_validate(
    {"pipeline": "p", "dataset": "digits", "trials": 3, "confirming_seeds": [1, 2], "trial_seed": 0}
    | {"entries": {"vae": {"epochs": 10, "space": {RATE: {"low": 1e-4, "high": 1e-1, "log": True}}}}}
)


def row(step: str, rate: float, seed: int, value: float | None, **changes: Any) -> Row:
    plain: dict[str, Any] = {
        "entry": "vae", "step": step, "number": 0, "seed": seed, "epochs": 10, "committed": rate == 1e-3,
        "settings": {RATE: rate}, "value": value, "status": "completed" if value is not None else "stopped",
        "best_epoch": 9, "rungs": {0: 1.0}, "cpu_seconds": 2.0, "commit": "c" * 40,
    }  # fmt: skip
    return Row(**(plain | changes))


ROWS = [
    row("trial", 1e-3, 0, 25.0),
    row("trial", 2e-3, 0, 20.0, number=1),
    row("trial", 3e-3, 0, 19.0, number=2),
    row("trial", 9e-3, 0, None, number=3),
    *(row("confirm", 1e-3, seed, 25.0) for seed in (1, 2)),
    *(row("confirm", 2e-3, seed, 21.0, number=1) for seed in (1, 2)),
    *(row("confirm", 3e-3, seed, 21.5) for seed in (1, 2)),  # the best of all three seeds
    *(row("longer", 2e-3, seed, 18.0, epochs=40, best_epoch=33) for seed in (1, 2)),
]


def test_a_choice_is_the_least_mean_over_seeds() -> None:
    choice = choice_of(SEARCH, "vae", ROWS)
    assert choice.settings == {RATE: 2e-3}
    assert choice.number == 1
    assert choice.chosen == 21.0  # of the seeds that did not select it
    assert choice.committed == 25.0
    assert (choice.longer, choice.longer_epochs, choice.longer_best_epochs) == (18.0, 40, [33, 33])
    assert (choice.trials, choice.stopped, choice.seeds) == (4, 1, 2)
    assert choice.cpu_seconds == 2.0 * len(ROWS)


def test_the_table_marks_what_differs_from_the_committed_settings(tmp_path: Path) -> None:
    write_search(SEARCH, {"vae": ROWS}, tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "**learning_rate 0.002**" in page
    assert f"Trainings: {len(ROWS)} by commit cccccccccc." in page
    assert "25 | **21 ± 0** | 18 (40: 3 better)" in page
    assert (tmp_path / "search.png").stat().st_size > 1000
    with open(tmp_path / "trials.csv", encoding="utf-8") as handle:
        lines = list(csv.DictReader(handle))
    assert len(lines) == len(ROWS)
    assert json.loads(lines[1]["settings"]) == {RATE: 2e-3}
    assert lines[3]["value"] == ""
    chosen = json.loads((tmp_path / "chosen.json").read_text(encoding="utf-8"))
    assert chosen["vae"]["settings"] == {RATE: 2e-3}
