"""The figure of errors by number of labels: its lines, bars and the place of an error of 0."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_errors import table_of
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from dgmbench.reporting.comparison.published import references
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.figures import error_by_labels

FALLING = {
    ("m2_20", "ssl_error_20"): [8.0, 9.0, 7.0],
    ("m2", "ssl_error_100"): [1.0, 2.0, 0.0],
}


def bars(table: Table, monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[tuple[float, float, float]]:
    """Low end, point and high end of each error bar of the one line that is drawn."""
    drawn: list[Figure] = []
    monkeypatch.setattr(error_by_labels, "save", lambda figure, path: drawn.append(figure))
    error_by_labels.draw(table, 1000, folder)
    (axes,) = drawn[0].axes
    (line,) = [each for each in axes.containers if isinstance(each, ErrorbarContainer)]
    points, _, (ends,) = line
    return [(low, float(y), high) for y, ((_, low), (_, high)) in
            zip(points.get_ydata(), ends.get_segments(), strict=True)]  # fmt: skip


def test_the_lower_end_alone_is_cut_for_the_logarithmic_axis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = table_of(FALLING)
    half = [cell.widest or 0.0 for cell in table.rows[0].cells.values()]
    near, wide = bars(table, monkeypatch, tmp_path)
    assert half[0] < 8 and half[1] > 1
    assert near == pytest.approx((8 - half[0], 8, 8 + half[0]))
    assert wide == pytest.approx((0.05, 1, 1 + half[1]))


def test_an_error_of_zero_stands_at_half_a_wrong_prediction(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = table_of(FALLING | {("m2_all", "ssl_error_all"): [0.0, 0.0, 0.0]})
    *_, last = bars(table, monkeypatch, tmp_path)
    # Three seeds, 100 test images each.
    half = table.rows[0].cells["ssl_error_all [percent]"].widest or 0.0
    floor = 100 * 0.5 / 300
    assert half > floor
    assert last == pytest.approx((0.05 * floor, floor, half))


def test_the_text_says_where_zeros_are_drawn(tmp_path: Path) -> None:
    (without,) = error_by_labels.draw(table_of(FALLING), 1000, tmp_path)
    assert "0 is drawn" not in without.alt
    (picture,) = error_by_labels.draw(
        table_of(FALLING | {("m2_all", "ssl_error_all"): [0.0, 0.0, 0.0]}), 1000, tmp_path
    )
    assert "0 with all" in picture.alt and "A mean of 0 is drawn" in picture.alt


def test_a_line_of_zeros_alone_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    zeros = {key: [0.0, 0.0, 0.0] for key in FALLING}
    for low, point, high in bars(table_of(zeros), monkeypatch, tmp_path):
        assert 0 < low <= point <= high


def test_a_method_of_one_number_of_labels_is_a_point_with_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(error_by_labels, "save", lambda figure, path: drawn.append(figure))
    table = table_of(FALLING | {("vat", "ssl_error_100"): [4.0, 5.0, 6.0]})
    (picture,) = error_by_labels.draw(table, 1000, tmp_path)
    (axes,) = drawn[0].axes
    assert "vat: 5 with 100" in picture.alt
    assert {"m2", "vat"} <= {text.get_text() for text in axes.texts}
    line, point = (each for each in axes.containers if isinstance(each, ErrorbarContainer))
    assert (len(line[0].get_xdata()), len(point[0].get_xdata())) == (2, 1)
    assert point[0].get_ydata() == pytest.approx([5.0])
    assert 100 < float(point[0].get_xdata()[0]) < 130


def test_published_errors_are_lines_at_their_numbers_of_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(error_by_labels, "save", lambda figure, path: drawn.append(figure))
    table = table_of(FALLING)
    known = references("mnist", "gray", "m2")
    table.rows[0].published = known
    (picture,) = error_by_labels.draw(table, 1000, tmp_path)
    (axes,) = drawn[0].axes
    marks = [line for line in axes.get_lines() if line.get_linewidth() > 2]
    assert [float(line.get_ydata()[0]) for line in marks] == [11.97]
    assert "m2, published" in {text.get_text() for text in axes.texts}
    assert "published" in picture.caption
