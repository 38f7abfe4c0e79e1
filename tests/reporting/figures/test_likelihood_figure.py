"""The figure of likelihoods: rows that have one, and published values of the same data as lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricate import frame_of, row
from matplotlib.figure import Figure

from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.figures import likelihoods


def table(dataset: str, *models: str) -> Table:
    rows = [
        row(model, seed, "log_likelihood", -82.0 - seed, dataset=dataset)
        for model in models
        for seed in (0, 1)
    ]
    rows.append(row("classifier_alone", 0, "ssl_error_100", 3.0, dataset=dataset, unit="percent"))
    return comparison(frame_of(*rows), dataset, "binary")


def drawn(monkeypatch: pytest.MonkeyPatch, shown: Table, folder: Path) -> tuple[Figure, str, str]:
    kept: list[Figure] = []
    monkeypatch.setattr(likelihoods, "save", lambda figure, path: kept.append(figure))
    (picture,) = likelihoods.draw(shown, folder)
    return kept[0], picture.alt, picture.caption


def marks(figure: Figure) -> list[float]:
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    return sorted(float(line.get_xdata()[0]) for line in lines if line.get_color() == "black")  # type: ignore[index, arg-type]


def test_a_model_without_a_likelihood_has_no_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figure, *_ = drawn(monkeypatch, table("d", "a", "b"), tmp_path)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_published_values_of_the_same_data_are_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figure, alt, caption = drawn(monkeypatch, table("mnist", "pixelcnn"), tmp_path)
    # Of the static binarisation, 81.30 is no value for the dynamic one.
    assert marks(figure) == [-81.45]
    assert "Published: pixelcnn = −81.45 nats, pytorch-generative README" in alt
    assert "Black lines" in caption


def test_static_values_are_lines_on_static_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figure, *_ = drawn(monkeypatch, table("mnist_static", "pixelcnn", "sbn_nvil"), tmp_path)
    assert marks(figure) == [-102.2, -81.3]


def test_without_published_values_there_is_no_word_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figure, alt, caption = drawn(monkeypatch, table("d", "a"), tmp_path)
    assert marks(figure) == [] and "ublished" not in alt + caption
