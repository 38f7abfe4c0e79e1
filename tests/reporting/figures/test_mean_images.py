"""Mean images stand beside their draws, pixel by pixel; models without them have no picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dgmbench.files import write_json
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.mean_images import mean_images
from dgmbench.reporting.run_files import Run

RNG = np.random.default_rng(0)


def run(model: str) -> Run:
    return Run("digits", model, 3, {"view": "gray", "status": "completed"}, Path("runs"))


def leave(root: Path, model: str, count: int = 36) -> dict[str, np.ndarray]:
    images = {role: RNG.integers(0, 17, (count, 1, 8, 8)).astype(np.uint8) for role in ("draws", "means")}
    folder = root / "digits" / model
    folder.mkdir(parents=True)
    np.savez(folder / "means-3.npz", **images)
    words = {"caption": "New draws.", "rows": 6, "columns": 6, "levels": 17}
    write_json(folder / "means-3.json", [words | {"role": role, "title": f"The {role}"} for role in images])
    return images


def test_draws_and_means_are_side_by_side(tmp_path: Path) -> None:
    images = leave(tmp_path, "vae_gray")
    (picture,) = mean_images([run("vae_gray"), run("gan")], tmp_path, tmp_path)
    assert (picture.role, picture.model, picture.view) == ("means", "vae_gray", "gray")
    assert "The draws: new draws." in picture.alt and "The means" in picture.caption
    shown = np.asarray(Image.open(picture.path).convert("L"))
    for role, start in (("draws", 0), ("means", shown.shape[1] // 2)):
        sheet = pictures.sample_sheet(images[role], 17)[..., 0]
        assert any(
            (shown[top : top + len(sheet), left : left + sheet.shape[1]] == sheet).all()
            for top in range(shown.shape[0] - len(sheet) + 1)
            for left in range(start, min(start + 40, shown.shape[1] - sheet.shape[1] + 1))
        ), role


def test_nothing_is_drawn_where_nothing_was_left(tmp_path: Path) -> None:
    assert mean_images([run("gan")], tmp_path, tmp_path) == []
