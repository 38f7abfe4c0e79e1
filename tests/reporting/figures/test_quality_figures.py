"""The figures of sample quality: what they are drawn from, and that equal numbers give equal files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fabricate import frame_of, row
from PIL import Image

from dgmbench.reporting.figures import quality
from dgmbench.reporting.figures.canvas import canvas, line_style


def runs_of(*names: tuple[str, int]) -> list[Any]:
    return [SimpleNamespace(dataset="d", model=model, seed=seed) for model, seed in names]


def leave_curve(root: Path, model: str, seed: int, height: float, **more: np.ndarray) -> None:
    folder = root / "d" / model
    folder.mkdir(parents=True, exist_ok=True)
    sizes = np.array([100, 200, 400])
    arrays = {"n": sizes, "fid": height + 300 / sizes, "infinity": np.array(height)} | more
    np.savez(folder / f"fid-domain-{seed}.npz", **arrays)


def records() -> Any:
    values = {"gan": (0.9, 0.3), "vae": (0.5, 0.8)}
    return frame_of(
        *(
            row(model, seed, metric, value + 0.01 * seed, view="gray", unit="1", kind="estimate")
            for model, pair in values.items()
            for metric, value in zip(("precision", "recall"), pair, strict=True)
            for seed in (0, 1)
        )
    )


def test_curves_are_means_over_seeds_of_equal_sizes(tmp_path: Path) -> None:
    for seed, height in enumerate((2.0, 4.0)):
        leave_curve(tmp_path, "gan", seed, height, floor_n=np.array([100, 400]), floor=np.array([3.0, 1.0]))
    np.savez(tmp_path / "d" / "gan" / "fid-domain-2.npz", n=[7], fid=[1e9], infinity=1e9)
    (curve,) = quality.load_curves(
        runs_of(("gan", 0), ("gan", 1), ("gan", 2), ("vae", 0)), "domain", tmp_path
    )
    np.testing.assert_allclose(curve.values, 3 + 300 / np.array([100, 200, 400]))
    assert curve.infinity == pytest.approx(3.0) and list(curve.floor) == [3.0, 1.0]


def test_both_figures_are_drawn_and_told_in_words(tmp_path: Path) -> None:
    leave_curve(tmp_path, "gan", 0, 2.0)
    leave_curve(tmp_path, "vae", 0, -0.5)
    runs = runs_of(("gan", 0), ("vae", 0))
    drawn = quality.draw(records(), runs, "d", "gray", tmp_path, tmp_path)
    assert [picture.path.name for picture in drawn] == [
        "d-gray-fid-domain.png",
        "d-gray-precision-recall-domain.png",
    ]
    assert "gan 5 at n=100, 2.75 at n=400, 2 at infinity" in drawn[0].alt
    assert "vae 2.5 at n=100, 0.25 at n=400, −0.5 at infinity" in drawn[0].alt
    assert "gan 0.91 and 0.30" in drawn[1].alt or "gan 0.90 and 0.30" in drawn[1].alt
    before = [picture.path.read_bytes() for picture in drawn]
    again = quality.draw(records(), runs, "d", "gray", tmp_path, tmp_path)
    assert [picture.path.read_bytes() for picture in again] == before


def test_without_numbers_there_is_no_figure(tmp_path: Path) -> None:
    frame = records()
    assert (
        quality.draw(frame[frame["metric"] == "recall"], runs_of(("gan", 0)), "d", "gray", tmp_path, tmp_path)
        == []
    )


@pytest.mark.parametrize(("low", "high"), [(1.4, 7.0), (-0.6, 0.9), (30.0, 4000.0)])
def test_an_axis_always_has_ticks(low: float, high: float) -> None:
    with canvas(3, 3) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [low, high])
        axes.set_yscale("symlog", linthresh=1.0)
        quality._tick_by_hand(axes)
        inside = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    assert len(inside) >= 2 and len(inside) == len(axes.get_yticks())


def test_published_fids_of_samples_are_lines(tmp_path: Path) -> None:
    for model in ("gan", "vae_gray", "m2"):
        folder = tmp_path / "mnist" / model
        folder.mkdir(parents=True)
        sizes = np.array([1000, 10_000])
        np.savez(folder / "fid-inception-0.npz", n=sizes, fid=20 + 300 / sizes, infinity=np.array(20.0))
    captions = {}
    for model in ("gan", "vae_gray", "m2"):
        run = SimpleNamespace(dataset="mnist", model=model, seed=0)
        (picture,) = quality.draw(records(), [run], "mnist", "gray", tmp_path, tmp_path)  # type: ignore[list-item]
        captions[model] = "published" in picture.caption
    # The VAE's are of decoder means.
    assert captions == {"gan": True, "vae_gray": False, "m2": False}


def test_a_crowd_is_what_remains_without_a_few_far_points() -> None:
    near = np.array([0.90, 0.91, 0.92, 0.93, 0.94, 0.95])
    assert quality.crowd(np.append(near, 0.1)).tolist() == [True] * 6 + [False]
    assert quality.crowd(near).all()
    assert quality.crowd(np.linspace(0, 1, 9)).all()
    assert quality.crowd(np.array([0.3])).all()


def test_precision_and_recall_are_drawn_twice_where_a_far_point_hides_the_others(tmp_path: Path) -> None:
    widths = {}
    for name, far in (("near", 0.9), ("far", 0.0)):
        values = {f"m{i}": 0.9 + 0.01 * i for i in range(6)} | {"odd": far}
        rows = [
            row(model, 0, metric, value, view="gray", unit="1", kind="estimate")
            for model, value in values.items()
            for metric in ("precision", "recall")
        ]
        (picture,) = quality.draw(frame_of(*rows), [], "d", "gray", tmp_path, tmp_path)
        assert "odd" in picture.alt and "corner" in picture.caption
        widths[name] = Image.open(picture.path).size[0]
    assert widths["far"] > 1.5 * widths["near"]


def test_no_two_models_share_a_mark() -> None:
    """A scatter has no dashes: colour, marker and filling have to do."""
    marks = [
        tuple(line_style(place)[name] for name in ("color", "marker", "fillstyle")) for place in range(98)
    ]
    assert len(set(marks)) == len(marks)
