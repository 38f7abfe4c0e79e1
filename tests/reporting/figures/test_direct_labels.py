"""Names beside points and lines: none covers another, and each stays as near as it can."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text

from dgmbench.reporting.figures.canvas import canvas
from dgmbench.reporting.figures.labels import Label, apart, label_ends, label_points


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6]),
        ([0.2, 0.25, 0.9], [0.175, 0.275, 0.9]),
        ([], []),
    ],
)
def test_heights_move_no_further_than_they_must(wanted: list[float], found: list[float]) -> None:
    assert apart(wanted, 0.1) == pytest.approx(found)


def test_many_heights_keep_their_order_and_distance() -> None:
    wanted = sorted(np.random.default_rng(0).uniform(0, 1, 40))
    found = apart(wanted, 0.02)
    assert (np.diff(found) >= 0.02 - 1e-12).all()
    assert np.mean(found) == pytest.approx(np.mean(wanted))


def test_names_of_crowded_points_do_not_cover_each_other() -> None:
    rng = np.random.default_rng(1)
    labels = [Label(f"model_{i}", *rng.uniform(0.4, 0.6, 2)) for i in range(12)]
    with canvas(7, 5) as figure:
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_points(axes, labels)
        figure.draw_without_rendering()
        # Without the lines that lead to them.
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        frame = axes.get_window_extent()
    assert len(boxes) == len(labels)
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)


def test_a_lone_point_has_its_name_to_the_right() -> None:
    with canvas(4, 3) as figure:
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_points(axes, [Label("m", 0.5, 0.5)])
        (text,) = axes.texts
        assert text.xyann[0] > 0 and text.xyann[1] == pytest.approx(0)


def test_names_of_lines_stand_in_the_order_of_their_ends() -> None:
    labels = [Label("low", 1.0, 0.1), Label("high", 1.0, 0.12), Label("top", 1.0, 0.9)]
    with canvas(5, 3) as figure:
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_ends(axes, labels)
        figure.draw_without_rendering()
        boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
        right = axes.get_window_extent().x1
    assert boxes["low"].y1 <= boxes["high"].y0 + 1 and boxes["high"].y1 <= boxes["top"].y0
    assert all(box.x0 > right for box in boxes.values())
