"""Values by test image: what is written is read back, and what is no set of points is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dgmbench.points import Points, points_path, read_points, write_points

RNG = np.random.default_rng(0)


def test_points_come_back_with_their_images_and_in_both_units(tmp_path: Path) -> None:
    exact, annealed, score = RNG.normal(-80.0, 5.0, 9), RNG.normal(-80.0, 5.0, 3), RNG.normal(size=9)
    path = points_path(tmp_path / "vae", 3)
    assert path.name == "points-3.npz"
    written = {
        ("log_likelihood", "nats"): Points.of(torch.from_numpy(exact)),
        ("log_likelihood_ais", "nats"): Points.of(annealed, torch.tensor([7, 2, 4])),
        ("fid_domain", "1"): Points.of(score),
    }
    write_points(path, written, bits_per_nat=-0.5)
    read = read_points(path)
    assert set(read) == {*written, ("log_likelihood", "bits_per_dim"), ("log_likelihood_ais", "bits_per_dim")}
    for key, points in written.items():
        assert read[key].images.tolist() == points.images.tolist()
        assert read[key].values == pytest.approx(points.values, rel=1e-6)
    assert read["log_likelihood_ais", "nats"].images.tolist() == [2, 4, 7]
    assert read["log_likelihood_ais", "nats"].values == pytest.approx(annealed[[1, 2, 0]], rel=1e-6)
    assert read["log_likelihood", "bits_per_dim"].values == pytest.approx(-0.5 * exact, rel=1e-6)


def test_their_standard_error_is_that_of_the_mean() -> None:
    values = RNG.normal(size=50)
    assert Points.of(values).std_error == pytest.approx(values.std(ddof=1) / 50**0.5)
    assert Points.of([1.0]).std_error is None
    assert Points.of([1.0, -np.inf]).std_error is None


def test_no_points_leave_no_file_and_no_file_gives_no_points(tmp_path: Path) -> None:
    write_points(tmp_path / "points-0.npz", {})
    assert list(tmp_path.iterdir()) == []
    assert read_points(tmp_path / "points-0.npz") == {}


@pytest.mark.parametrize("images", [[0, 1], [0, 0, 1], [[0, 1, 2]]])
def test_images_are_one_for_each_value_and_none_twice(images: list[int]) -> None:
    with pytest.raises(ValueError, match="images"):
        Points(np.array(images), np.zeros(3))


def test_a_large_test_split_stays_small(tmp_path: Path) -> None:
    """Ten metrics of 10,000 images in less than half a megabyte."""
    write_points(
        tmp_path / "points-0.npz", {(f"m{k}", "nats"): Points.of(RNG.normal(size=10_000)) for k in range(10)}
    )
    assert (tmp_path / "points-0.npz").stat().st_size < 500_000
