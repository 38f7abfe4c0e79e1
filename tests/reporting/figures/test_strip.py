"""The strip: one entry for each family, test data first, whole pixels, as low as it may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgmbench.claims.evidence import representatives
from dgmbench.data.schema import image_schema
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.strip import GAP, HEIGHT, NAMES, WIDTH, label, sheet_of, shown_of, strip
from dgmbench.reporting.run_files import Run

RNG = np.random.default_rng(0)


def run(root: Path, model: str, family: str, seed: int = 0, status: str = "completed", side: int = 8) -> Run:
    folder = root / "runs" / "d" / model
    folder.mkdir(parents=True, exist_ok=True)
    if status == "completed":
        images = RNG.integers(0, 17, (60, 1, side, side)).astype(np.uint8)
        np.save(folder / f"samples-{seed}.npy", images)
    return Run("d", model, seed, {"view": "gray", "status": status, "settings": {"family": family}}, folder)


def manifest(root: Path, side: int = 8) -> dict[str, Any]:
    (root / "d").mkdir(exist_ok=True)
    np.save(root / "d" / "test.npy", RNG.integers(0, 17, (60, 1, side, side)).astype(np.uint8))
    return {"name": "d", "schema": image_schema((1, side, side), 17).to_json(), "arrays": {"test.npy": ""}}


def test_the_first_entry_of_each_family_stands_for_it_as_in_the_answer(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "gan", "gan", 0, "diverged"),
        run(tmp_path, "gan", "gan", 1),
        run(tmp_path, "gan_hinge", "gan"),
        run(tmp_path, "mlp", "mlp", 0, "diverged"),
        run(tmp_path, "mlp_wide", "mlp"),
        run(tmp_path, "vae", "vae"),
    ]
    found = shown_of(runs)
    # No variant takes the place of the perceptron, which left no samples.
    assert {family: (each.model, each.seed) for family, (each, _) in found.items()} == {
        "gan": ("gan", 1),
        "vae": ("vae", 0),
    }
    families = {each.model: each.info["settings"]["family"] for each in runs}
    assert {f: each.model for f, (each, _) in found.items()}.items() <= representatives(
        families, families
    ).items()


@pytest.mark.parametrize(
    ("family", "width", "said"),
    [("ssgan", 16, "semi-supervised\nGAN"), ("ssgan", 9, "ssgan"), ("vae", 6, "VAE"), ("m1_m2", 6, "M1+M2"),
     ("test data", 6, "test\ndata"), ("diagonal_bilstm", 16, "Diagonal BiLSTM")],
)  # fmt: skip
def test_labels_are_the_answer_s_words_where_they_fit(family: str, width: int, said: str) -> None:
    assert label(family, width) == said


def test_test_data_stands_first_and_every_pixel_is_whole(tmp_path: Path) -> None:
    runs = [run(tmp_path, "vae", "vae"), run(tmp_path, "pixelcnn", "pixelcnn")]
    (picture,) = strip(runs, manifest(tmp_path), tmp_path, tmp_path)
    assert (picture.role, picture.model) == ("strip", None)
    assert picture.alt.index("test data") < picture.alt.index("VAE (vae)") < picture.alt.index("PixelCNN")
    shown = np.asarray(Image.open(picture.path).convert("L"))
    each = (WIDTH - 2 * GAP) // 3
    for place, images in enumerate((np.load(tmp_path / "d" / "test.npy"), runs[0].samples())):
        assert images is not None
        sheet = sheet_of(images, 17, each, HEIGHT - NAMES)[..., 0]
        left = place * (max(each, sheet.shape[1]) + GAP)
        assert (shown[NAMES : NAMES + len(sheet), left : left + sheet.shape[1]] == sheet).all()


@pytest.mark.parametrize(("families", "side"), [(1, 8), (11, 8), (15, 28), (6, 32)])
def test_the_strip_is_low_and_as_wide_as_a_page(families: int, side: int, tmp_path: Path) -> None:
    runs = [run(tmp_path, f"m{i}", f"family_{i}", side=side) for i in range(families)]
    (picture,) = strip(runs, manifest(tmp_path, side), tmp_path, tmp_path)
    width, height = Image.open(picture.path).size
    assert 1150 <= width <= WIDTH
    assert height <= HEIGHT


def test_a_family_shows_three_rows_of_three_where_they_fit() -> None:
    images = np.zeros((60, 1, 8, 8), np.uint8)
    sheet = sheet_of(images, 17, 100, 110)
    factor = 3
    assert sheet.shape[:2] == (factor * (3 * 9 + pictures.GAP), factor * (3 * 9 + pictures.GAP))


def test_without_samples_there_is_no_strip(tmp_path: Path) -> None:
    assert strip([run(tmp_path, "mlp", "mlp", 0, "diverged")], manifest(tmp_path), tmp_path, tmp_path) == []
