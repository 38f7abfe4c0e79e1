"""Latent figures: the very pixels that were written, every label in words, nothing where nothing was left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgmbench.errors import CheckpointError
from dgmbench.files import write_json
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.figures.latent_sheets import (
    LABEL_WIDTH,
    MARGIN,
    SHEET_WIDTH,
    completion_sheets,
    latent_sheets,
)
from dgmbench.reporting.figures.latent_units import units
from dgmbench.reporting.figures.spectra import spectra
from dgmbench.reporting.run_files import Run

RNG = np.random.default_rng(0)


def draw(runs: list[Run], results: Path, folder: Path) -> list[Picture]:
    figures = (completion_sheets, latent_sheets, units, spectra)
    return [picture for figure in figures for picture in figure(runs, results, folder)]


def run(model: str, seed: int = 0, status: str = "completed") -> Run:
    return Run("digits", model, seed, {"view": "gray", "status": status}, Path("runs") / "digits" / model)


def folder_of(root: Path, model: str) -> Path:
    folder = root / "digits" / model
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def leave_sheets(
    root: Path, model: str, seed: int = 0, shape: tuple[int, ...] = (1, 8, 8), **words: Any
) -> Any:
    sheet: dict[str, Any] = {
        "role": "arithmetic",
        "title": "Sums <&>",
        "caption": "What the sum is.",
        "rows": 2,
        "columns": 3,
        "levels": 17,
        "row_labels": ["0 to 1", "2 to 3"],
        "column_labels": ["test", "0", "1"],
    }
    sheet |= words
    images = RNG.integers(0, sheet["levels"], (sheet["rows"] * sheet["columns"], *shape)).astype(np.uint8)
    folder = folder_of(root, model)
    np.savez(folder / f"latent-{seed}.npz", **{sheet["role"]: images})
    write_json(folder / f"latent-{seed}.json", [sheet])
    return images


def leave_units(root: Path, model: str, kl: list[float] | None, variances: list[float]) -> None:
    arrays = {"variances": np.array(variances), "threshold": np.array(0.01)} | (
        {} if kl is None else {"kl": np.array(kl)}
    )
    np.savez(folder_of(root, model) / "units-0.npz", **arrays)


def leave_spectrum(root: Path, model: str, quotient: list[float], means: list[float] | None = None) -> None:
    frequency, real = np.arange(1, 5) / 8, np.array([4.0, 2.0, 1.0, 0.5])
    arrays = {"frequency": frequency, "real": real, "generated": real * quotient}
    np.savez(
        folder_of(root, model) / "spectrum-0.npz",
        **arrays,
        **({} if means is None else {"means": real * means}),
    )


# --- sheets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "columns", "shape", "levels"),
    [
        (2, 3, (1, 8, 8), 17),
        (20, 20, (1, 28, 20), 256),
        (4, 10, (1, 28, 28), 256),
        (10, 12, (3, 32, 32), 256),
    ],
)
def test_every_source_pixel_is_a_whole_number_of_pixels(
    tmp_path: Path, rows: int, columns: int, shape: tuple[int, ...], levels: int
) -> None:
    plain = {"row_labels": [], "column_labels": []}
    images = leave_sheets(tmp_path, "vae", 0, shape, rows=rows, columns=columns, levels=levels, **plain)
    (picture,) = draw([run("vae")], tmp_path, tmp_path / "figures")
    tiled = pictures.tile(pictures.to_bytes(images, levels), columns, paper=255)
    expected = pictures.enlarge(tiled, SHEET_WIDTH)
    pixels = np.asarray(Image.open(picture.path).convert("RGB"))
    top, left = 34, MARGIN
    np.testing.assert_array_equal(
        pixels[top : top + len(expected), left : left + expected.shape[1]], expected
    )
    assert Image.open(picture.path).mode == ("L" if shape[0] == 1 else "RGB")


def test_labels_are_drawn_and_told(tmp_path: Path) -> None:
    leave_sheets(tmp_path, "vae")
    (picture,) = draw([run("vae")], tmp_path, tmp_path / "figures")
    assert picture.path.name == "digits-gray-latent-arithmetic-vae.png"
    assert (picture.role, picture.model, picture.title) == ("latents", "vae", "vae: Sums <&>")
    assert picture.alt == (
        "vae, digits, gray view: Sums <&>. What the sum is. Rows: 0 to 1, 2 to 3. Columns: test, 0, 1."
    )
    labelled = np.asarray(Image.open(picture.path).convert("L")).astype(int)
    leave_sheets(tmp_path, "vae", row_labels=["", ""])
    draw([run("vae")], tmp_path, tmp_path / "figures")
    without = np.asarray(Image.open(picture.path).convert("L")).astype(int)
    label_strip = np.abs(labelled - without)[:, : LABEL_WIDTH - 4]
    assert label_strip.max() > 100


def test_no_word_is_cut_off_at_the_edge(tmp_path: Path) -> None:
    leave_sheets(tmp_path, "vae", caption="Words that say what is to be seen here at some length. " * 6)
    (picture,) = draw([run("vae")], tmp_path, tmp_path / "figures")
    pixels = np.asarray(Image.open(picture.path).convert("L"))
    for edge in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
        assert edge.min() == 255


def test_the_first_seed_with_a_sheet_is_shown_and_equal_files_give_equal_bytes(tmp_path: Path) -> None:
    leave_sheets(tmp_path, "vae", seed=1)
    leave_sheets(tmp_path, "vae", seed=2)
    leave_sheets(tmp_path, "gone", seed=0)
    runs = [run("vae", 0), run("vae", 1), run("vae", 2), run("gone", 0, "diverged"), run("pixelcnn")]
    (picture,) = draw(runs, tmp_path, tmp_path / "figures")
    (again,) = draw([run("vae", 1)], tmp_path, tmp_path / "again")
    assert picture.path.read_bytes() == again.path.read_bytes()
    (other,) = draw([run("vae", 2)], tmp_path, tmp_path / "other")
    assert picture.path.read_bytes() != other.path.read_bytes()


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert draw([run("pixelcnn")], tmp_path, tmp_path / "figures") == []


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    leave_sheets(tmp_path, "vae")
    np.savez(tmp_path / "digits" / "vae" / "latent-0.npz", another=np.zeros(3))
    with pytest.raises(
        CheckpointError, match=r"latent-0\.npz lacks arithmetic; run the evaluate stage again"
    ):
        draw([run("vae")], tmp_path, tmp_path / "figures")
    (tmp_path / "digits" / "vae" / "latent-0.npz").write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match=r"latent-0\.npz cannot be read"):
        draw([run("vae")], tmp_path, tmp_path / "figures")


# --- KL by dimension --------------------------------------------------------------------------------


def test_kl_by_dimension_is_counted_and_told(tmp_path: Path) -> None:
    leave_units(tmp_path, "vae", [0.5, 2.0, 0.001], [0.2, 0.9, 0.0001])
    leave_units(tmp_path, "ppca", None, [0.9])
    leave_units(tmp_path, "iwae", [1.0] * 8, [1.0] * 8)
    drawn = draw([run("vae"), run("ppca"), run("iwae")], tmp_path, tmp_path / "figures")
    assert [(picture.path.name, picture.role) for picture in drawn] == [
        ("digits-gray-latent-kl.png", "latents")
    ]
    assert (
        "vae: 2 of 3 active, 2.5 nats in all, largest 2, 0.5, 0.001; iwae: 8 of 8 active, 8.0" in drawn[0].alt
    )
    assert "ppca" not in drawn[0].alt


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_bars_are_drawn_for_any_number_of_models(
    tmp_path: Path, models: int, recwarn: pytest.WarningsRecorder
) -> None:
    for index in range(models):
        active = [1.0, 0.0] if index % 2 else [1.0, 1.0]
        leave_units(tmp_path, f"m{index}", [3.0, 2.0], active)
    drawn = draw([run(f"m{index}") for index in range(models)], tmp_path, tmp_path / "figures")
    pixels = np.asarray(Image.open(drawn[0].path).convert("RGB")).astype(int)
    # As many blue bars, at least, as there are models: much ink of that colour.
    blue = (np.abs(pixels - [0x00, 0x72, 0xB2]).sum(-1) < 30).sum()
    assert blue > 2000 * models
    assert not [warning for warning in recwarn if "constrained_layout" in str(warning.message)]


# --- spectra ----------------------------------------------------------------------------------------


def test_spectra_of_all_models_are_one_picture_and_told(tmp_path: Path) -> None:
    leave_spectrum(tmp_path, "vae", [1.0, 0.5, 0.25, 0.125], [1.0, 0.4, 0.2, 0.1])
    leave_spectrum(tmp_path, "gan", [1.0, 1.0, 1.5, 2.0])
    runs = [run("vae"), run("gan"), run("pixelcnn")]
    (picture,) = draw(runs, tmp_path, tmp_path / "figures")
    assert (picture.path.name, picture.role) == ("digits-gray-spectra.png", "spectra")
    assert picture.alt.endswith(": vae 1, 0.5, 0.125, of its mean images 1, 0.4, 0.1; gan 1, 1, 2")
    before = picture.path.read_bytes()
    (again,) = draw(runs, tmp_path, tmp_path / "again")
    assert again.path.read_bytes() == before
    assert len(before) < 150_000
    assert np.asarray(Image.open(picture.path).convert("L")).std() > 5


def test_further_ways_of_sampling_have_lines_of_their_own(tmp_path: Path) -> None:
    for name, last in (("ae", 0.7), ("ae/prior", 0.4), ("ae/chain", 0.6)):
        leave_spectrum(tmp_path, name, [1.0, 1.0, 1.0, last])
    (picture,) = draw([run("ae")], tmp_path, tmp_path / "figures")
    assert picture.alt.endswith(": ae 1, 1, 0.7; ae/chain 1, 1, 0.6; ae/prior 1, 1, 0.4")


def test_many_models_and_a_quotient_of_zero_can_be_drawn(tmp_path: Path) -> None:
    for index in range(23):
        leave_spectrum(tmp_path, f"model_of_some_name_{index}", [1.0, 0.5, 0.1, 0.0])
    (picture,) = draw(
        [run(f"model_of_some_name_{index}") for index in range(23)], tmp_path, tmp_path / "figures"
    )
    pixels = np.asarray(Image.open(picture.path).convert("L"))
    assert pixels[:, -2:].min() == pixels[:, :2].min() == 255
