"""The picture of classes: shares are means over seeds, test images first, further ways have rows too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from dgmbench.reporting.figures import classes as class_figures


def leave(folder: Path, seed: int, generated: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"classes-{seed}.npz", generated=np.array(generated), real=np.array([10, 30]))


def runs_of(*names: tuple[str, int]) -> list[Any]:
    return [SimpleNamespace(dataset="d", model=model, seed=seed) for model, seed in names]


def test_shares_are_means_over_seeds_with_a_row_for_each_way(tmp_path: Path) -> None:
    leave(tmp_path / "d" / "ae", 0, [1, 3])
    leave(tmp_path / "d" / "ae", 1, [30, 10])
    leave(tmp_path / "d" / "ae" / "prior", 0, [0, 5])
    shares = class_figures.class_shares(runs_of(("ae", 0), ("ae", 1), ("gan", 0)), tmp_path)
    assert {name: row.tolist() for name, row in shares.items()} == {
        "test images": [0.25, 0.75],
        "ae": [0.5, 0.5],
        "ae/prior": [0.0, 1.0],
    }


def test_the_figure_is_told_in_words_and_equal_numbers_give_equal_bytes(tmp_path: Path) -> None:
    leave(tmp_path / "d" / "gan", 0, [40, 0])
    (picture,) = class_figures.draw(runs_of(("gan", 0)), "d", "gray", tmp_path, tmp_path)
    assert picture.alt.endswith("test images 25, 75; gan 100, 0") and picture.role == "classes"
    before = picture.path.read_bytes()
    class_figures.draw(runs_of(("gan", 0)), "d", "gray", tmp_path, tmp_path)
    assert picture.path.read_bytes() == before


def test_without_counts_there_is_no_figure(tmp_path: Path) -> None:
    assert class_figures.draw(runs_of(("gan", 0)), "d", "gray", tmp_path, tmp_path) == []
