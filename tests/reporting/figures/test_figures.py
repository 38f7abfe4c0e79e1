"""Figures: made, deterministic, small, free of dates; sheets hold the very pixels they show."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dgmbench.data.schema import image_schema
from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.figures import learning_curves as curves
from dgmbench.reporting.figures import pictures
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.figures.draw import draw_all
from dgmbench.reporting.figures.learning_curves import curve_names, learning_curves, write_curves
from dgmbench.reporting.records import load_points, merge_results
from dgmbench.reporting.run_files import first_finished, held_out_images, load_manifests, load_runs

Drawn = tuple[Path, list[Picture]]


def draw(root: Path, settings: dict[str, Any], folder: Path) -> list[Picture]:
    models = list(settings["models"])
    frame = merge_results(root / "results", ["digits"], models)
    runs = load_runs(root / "runs", ["digits"], models, [0, 1, 2])
    manifests = load_manifests(root / "data", ["digits"])
    points = load_points(root / "results", frame)
    tables = comparisons(frame, models, manifests, points=points)
    return draw_all(frame, runs, manifests, root / "results", root / "data", folder, tables)


@pytest.fixture(scope="module")
def drawn(invented: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    folder = tmp_path_factory.mktemp("figures")
    return folder, draw(*invented, folder)


def test_every_role_is_drawn_for_both_views(drawn: Drawn) -> None:
    roles = {(p.view, p.role) for p in drawn[1]}
    names = ("likelihoods", "costs", "convergence", "strip", "all samples", "samples", "neighbours", "curves")
    assert roles == {(view, role) for view in ("binary", "gray") for role in names}
    shown = {p.model for p in drawn[1] if p.role == "samples"}
    assert shown == {"test data", "ppca", "vae_gray", "gan", "pixelcnn_gray", "vae", "pixelcnn"}


def test_figures_are_small_and_not_blank(drawn: Drawn) -> None:
    for picture in drawn[1]:
        assert picture.path.stat().st_size < 200_000
        pixels = np.asarray(Image.open(picture.path).convert("L"))
        assert pixels.std() > 5, picture.path.name
        assert picture.alt
        assert picture.caption.endswith("."), picture.role


def test_figures_carry_no_metadata(drawn: Drawn) -> None:
    for picture in drawn[1]:
        assert not Image.open(picture.path).text.keys()  # type: ignore[attr-defined]


def test_the_same_results_give_the_same_bytes(
    drawn: Drawn, invented: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    for picture in draw(*invented, tmp_path):
        assert picture.path.read_bytes() == (drawn[0] / picture.path.name).read_bytes()


def test_a_sheet_shows_exact_pixels() -> None:
    images = np.array([[[[0, 1], [2, 3]]], [[[3, 2], [1, 0]]]], dtype=np.uint8)
    sheet = pictures.tile(pictures.to_bytes(images, 4), columns=2)
    assert sheet.shape == (4, 7, 3)
    assert sheet[1:3, 1:3, 0].tolist() == [[0, 85], [170, 255]]
    assert sheet[1:3, 4:6, 2].tolist() == [[255, 170], [85, 0]]
    large = np.asarray(Image.open(io.BytesIO(pictures.png_bytes(pictures.enlarge(sheet, 21)))))
    assert large.shape == (12, 21)
    assert (large[3:6, 6:9] == 85).all()


def test_colour_images_keep_their_channels() -> None:
    image = np.zeros((1, 3, 1, 1), np.uint8)
    image[0, 1] = 255
    assert pictures.to_bytes(image, 256)[0, 0, 0].tolist() == [0, 255, 0]
    with pytest.raises(ValueError, match="1 or 3"):
        pictures.to_bytes(np.zeros((1, 2, 4, 4), np.uint8), 2)


def test_held_out_images_are_of_the_view(tmp_path: Path) -> None:
    gray, binary = np.full((4, 1, 2, 2), 16, np.uint8), np.eye(4, dtype=np.uint8).reshape(4, 1, 2, 2)
    schema = image_schema((1, 2, 2), 17).to_json()
    arrays = {"test.npy": "", "labels_test.npy": ""}
    manifest: dict[str, Any] = {"name": "d", "schema": schema, "arrays": arrays}
    (tmp_path / "d").mkdir()
    np.save(tmp_path / "d" / "test.npy", gray)
    np.save(tmp_path / "d" / "labels_test.npy", np.zeros(4))
    assert (held_out_images(tmp_path, manifest, "binary", 4) == 1).all()
    np.save(tmp_path / "d" / "binary_test.npy", binary)
    manifest["arrays"]["binary_test.npy"] = ""
    assert (held_out_images(tmp_path, manifest, "binary", 4) == binary).all()
    assert (held_out_images(tmp_path, manifest, "gray", 3) == gray[:3]).all()
    # Spread over the split, and no more than there are.
    assert (held_out_images(tmp_path, manifest, "binary", 2) == binary[[0, 2]]).all()
    assert (held_out_images(tmp_path, manifest, "binary", 9) == binary).all()


def test_curves_keep_their_steps(invented: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    root, settings = invented
    runs = load_runs(root / "runs", ["digits"], list(settings["models"]), [0, 1, 2])
    paths = {path.name: path for path in write_curves(runs, tmp_path)}
    assert set(paths) == {f"digits-{run.model}.csv" for run in runs}
    frame = pd.read_csv(paths["digits-vae.csv"])
    own = frame[(frame["seed"] == 1) & (frame["split"] == "valid") & (frame["name"] == "loss")]
    assert own["step"].tolist() == list(range(0, 1200, 100))
    assert {"step", "value", "name", "split", "seed"} <= set(frame.columns)


def test_dvc_template_draws_a_line_per_seed_and_split() -> None:
    path = Path(curves.__file__).with_name("learning_curves.vega.json")
    template = json.loads(path.read_text(encoding="utf-8"))
    encoding = template["spec"]["encoding"]
    assert template["facet"]["field"] == "name"
    assert encoding["color"]["field"] == "split"
    assert encoding["detail"][0]["field"] == "seed"
    assert template["data"]["values"] == "<DVC_METRIC_DATA>"


def test_the_first_seed_that_finished_is_shown(invented: tuple[Path, dict[str, Any]]) -> None:
    root, _ = invented
    runs = load_runs(root / "runs", ["digits"], ["gan"], [2, 1, 0])
    assert [run.seed for run in first_finished(runs)] == [1]


def test_losses_are_chosen_over_their_parts(invented: tuple[Path, dict[str, Any]]) -> None:
    root, _ = invented
    gan, vae = load_runs(root / "runs", ["digits"], ["gan", "vae"], [0])
    assert curve_names(gan.history()) == ["loss", "discriminator_loss"]
    assert curve_names(vae.history()) == ["loss"]


def test_an_error_of_one_step_is_no_curve(tmp_path: Path) -> None:
    """A VAE's loss is shown whose classifier was fitted once; a classifier's error goes before its loss."""
    lines = ["step,epoch,split,name,value", *(f"{step},1,train,loss,{9 - step}" for step in range(5))]
    fitted = pd.read_csv(io.StringIO("\n".join([*lines, "4,1,valid,error,12.5"])))
    assert curve_names(fitted) == ["loss"]
    trained = pd.read_csv(io.StringIO("\n".join([*lines, "2,1,valid,error,12.5", "4,1,valid,error,9.5"])))
    assert curve_names(trained) == ["error"]
    assert curve_names(fitted[fitted["name"] == "error"]) == ["error"]


def test_a_closed_form_fit_has_no_panel(invented: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(invented[0] / "runs", tmp_path / "runs")
    path = tmp_path / "runs" / "digits" / "ppca" / "history-0.csv"
    path.write_text("step,epoch,split,name,value\n1,1,valid,loss,-50.0\n1,1,valid,latent_dim,50\n")
    assert learning_curves(load_runs(tmp_path / "runs", ["digits"], ["ppca"], [0]), tmp_path) == []
    (picture,) = learning_curves(load_runs(tmp_path / "runs", ["digits"], ["ppca", "gan"], [0]), tmp_path)
    assert "gan" in picture.alt
    assert "ppca" not in picture.alt
