"""Convergence figures: which points are comparable, how AIS is placed, intervals by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricate import frame_of, row
from PIL import Image

from dgmbench.reporting.figures.convergence import draw, ladder

Lines = list[dict[str, Any]]


def steps(model: str = "vae", n: int = 300, elbo_n: int = 300) -> Lines:
    """Two seeds: ELBO −90/−92, IS-10 −88/−90, IS-500 −86/−88."""
    values = {"elbo": -90.0, "log_likelihood_is_10": -88.0, "log_likelihood_is_500": -86.0}
    return [
        row(model, seed, metric, value - 2 * seed, kind="lower_bound", n=elbo_n if metric == "elbo" else n)
        for seed in (0, 1)
        for metric, value in values.items()
    ]


def both(model: str, metric: str, values: tuple[float, float], n: int = 300) -> Lines:
    return [row(model, seed, metric, value, n=n, kind="estimate") for seed, value in enumerate(values)]


def test_means_and_intervals_by_number_of_draws() -> None:
    found = ladder(frame_of(*steps()), "vae")
    assert found is not None
    assert {k: point.mean for k, point in found.bounds.items()} == {1: -91.0, 10: -89.0, 500: -87.0}
    # t(0.975, 1) = 12.7062, sd of two values 2 apart is sqrt 2
    assert found.bounds[500].half == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-5)
    assert (found.exact, found.annealed) == (None, None)


def test_annealing_on_fewer_images_enters_by_difference() -> None:
    lines = [
        *both("vae", "log_likelihood_ais", (-70.0, -70.0), 100),
        *both("vae", "ais_gain", (0.25, 0.75), 100),
    ]
    found = ladder(frame_of(*steps(), *lines), "vae")
    assert found is not None and found.annealed is not None
    assert found.annealed.mean == pytest.approx(-87.0 + 0.5)
    assert (found.difference, found.annealed_images) == (pytest.approx(0.5), 100)


def test_annealing_and_exact_values_of_the_same_images_stand_as_they_are() -> None:
    lines = [
        *both("vae", "log_likelihood_ais", (-85.0, -87.0)),
        *both("vae", "log_likelihood", (-84.0, -86.0)),
    ]
    found = ladder(frame_of(*steps(), *lines, *both("vae", "ais_gain", (9.0, 9.0), 300)), "vae")
    assert found is not None and found.annealed is not None and found.exact is not None
    assert (found.annealed.mean, found.exact.mean, found.difference) == (-86.0, -85.0, None)


def test_values_of_other_images_stay_out() -> None:
    found = ladder(frame_of(*steps(n=100), *both("vae", "log_likelihood", (-84.0, -86.0), 300)), "vae")
    assert found is not None
    assert list(found.bounds) == [10, 500], "the ELBO covers all images, the bounds 100"
    assert (found.images, found.exact) == (100, None)


def test_no_bounds_no_picture(tmp_path: Path) -> None:
    frame = frame_of(row("m", 0, "log_likelihood", -80.0), row("m", 0, "elbo", -90.0))
    assert draw(frame, "d", "binary", ["m"], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_picture_names_its_numbers_and_repeats_to_the_byte(tmp_path: Path) -> None:
    lines = [*steps(), *both("vae", "ais_gain", (0.25, 0.75), 100), *both("vae", "bdmc_gap", (0.1, 0.3), 50)]
    frame = frame_of(*lines, *steps("iwae"), row("control/x/y", 0, "log_likelihood_is_500", 0.0))
    (picture,) = draw(frame, "d", "binary", ["vae", "iwae", "control/x/y"], tmp_path)
    assert "vae, 300 images: −91 at K=1, −89 at K=10, −87 at K=500" in picture.alt
    assert "−86.5 by AIS, as IS-500 + 0.5 (AIS − IS on 100 images; BDMC gap 0.2)" in picture.alt
    assert "iwae, 300 images" in picture.alt
    assert "control" not in picture.alt
    first = picture.path.read_bytes()
    assert np.asarray(Image.open(picture.path).convert("L")).std() > 5
    draw(frame, "d", "binary", ["vae", "iwae"], tmp_path)
    assert picture.path.read_bytes() == first
