"""Figures of memorisation: the images shown pixel by pixel, whatever a run left, the same bytes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricate import fabricate, images
from PIL import Image

from dgmbench.reporting.figures.neighbours import draw, neighbour_figure
from dgmbench.reporting.figures.pictures import row_sheet
from dgmbench.reporting.run_files import Run, first_finished, load_manifests, load_neighbours, load_runs


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("invented")
    return root, fabricate(root, seeds=(0,), diverged=())


def run_of(invented: tuple[Path, dict[str, Any]], model: str = "ppca") -> Run:
    return load_runs(invented[0] / "runs", ["digits"], [model], [0])[0]


def with_shifts_and_features(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    more = {"shifted": images(rng, 8, 17), "shifted_distances": rng.uniform(0, 1, 8)}
    features = {f"domain_{side}_distances": rng.normal(5, 1, 90) for side in ("generated", "heldout")}
    return content | more | features


def test_a_row_for_each_kind_of_image() -> None:
    rng = np.random.default_rng(0)
    rows = [images(rng, 5, 17) for _ in range(3)]
    sheet = row_sheet(rows, 17, 4, 10 * (4 * 9 + 1))
    assert sheet.shape == (10 * (3 * 9 + 1), 10 * (4 * 9 + 1), 3)
    for r, row in enumerate(rows):
        for c in range(4):
            top, left = 10 * (9 * r + 1), 10 * (9 * c + 1)
            shown = sheet[top : top + 80 : 10, left : left + 80 : 10, 0]
            np.testing.assert_array_equal(shown, np.round(row[c, 0] * (255 / 16)))


def test_all_three_rows_and_both_spaces_are_drawn(
    invented: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    run = run_of(invented)
    plain = load_neighbours(invented[0] / "results", run)
    assert plain is not None
    neighbour_figure(run, plain, 17, tmp_path / "plain.png")
    neighbour_figure(run, with_shifts_and_features(plain), 17, tmp_path / "full.png")
    small, large = (Image.open(tmp_path / f"{name}.png") for name in ("plain", "full"))
    assert large.size[0] == small.size[0] and large.size[1] > small.size[1] + 60
    neighbour_figure(run, with_shifts_and_features(plain), 17, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "full.png").read_bytes()


def test_distances_in_features_are_read_and_spoken(
    invented: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = invented[0]
    run = run_of(invented, "vae_gray")
    folder = root / "results" / "digits" / "vae_gray"
    np.savez(
        folder / "neighbours-domain-0.npz", generated_distances=np.full(9, 5.0), heldout_distances=np.ones(9)
    )
    manifest = load_manifests(root / "data", ["digits"])["digits"]
    (picture,) = draw([run], manifest, root / "results", tmp_path)
    assert picture.path.exists() and picture.role == "neighbours"
    assert "generated (mean 5.00) and held-out images (mean 1.00) in features" in picture.alt


def test_a_run_without_neighbours_has_no_figure(
    invented: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    runs = first_finished([run_of(invented)])
    manifest = load_manifests(invented[0] / "data", ["digits"])["digits"]
    assert draw(runs, manifest, tmp_path, tmp_path) == []
