"""The comparison table: hand-computed cells, intervals, bold marks, views and units kept apart."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest
from fabricate import frame_of, plant, row

from dgmbench.data.schema import image_schema
from dgmbench.errors import CheckpointError
from dgmbench.reporting.comparison.cells import Cell, Column
from dgmbench.reporting.comparison.from_records import comparison, comparisons
from dgmbench.reporting.comparison.paired import mark_best
from dgmbench.reporting.comparison.published import REFERENCES
from dgmbench.reporting.comparison.reference import HOW_READ
from dgmbench.reporting.comparison.table import COMBINED, LEGEND, WIDEST, Row
from dgmbench.reporting.records import merge_results
from dgmbench.results import Record, write_records


def test_rounding_of_equal_values_is_no_spread() -> None:
    frame = frame_of(*(row("m", s, "fid_domain", v) for s, v in enumerate((0.1 + 0.2, 0.3, 0.3))))
    assert comparison(frame, "d", "binary").rows[0].cells["fid_domain [nats]"].half_width == 0.0


def test_a_cell_computed_by_hand() -> None:
    """Over trainings t(0.975, 2) sd / sqrt(3) = 2.484; with 0.4 over test images the weighted quantile."""
    frame = frame_of(*(row("m", s, "log_likelihood", v) for s, v in enumerate((-80.0, -81.0, -82.0))))
    table = comparison(frame, "d", "binary")
    assert table.columns[0].heading == "log-likelihood ↑ (nats)"
    cell = table.rows[0].cells["log_likelihood [nats]"]
    assert cell.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    seeds, images = 1 / 3, 0.4**2
    quantile = (4.302653 * seeds + 1.959964 * images) / (seeds + images)
    assert cell.combined == pytest.approx(quantile * math.sqrt(seeds + images), rel=1e-5)
    assert cell.std_error == pytest.approx(0.4)
    assert cell.text == "= −81.0 ± 2.5 (2.5)"


def test_one_seed_is_visibly_no_interval() -> None:
    table = comparison(frame_of(row("m", 0, "elbo", -90.123, kind="lower_bound")), "d", "binary")
    assert table.rows[0].cells["elbo [nats]"].text == "≥ −90.12 ± 0.78 (1 seed)"
    assert any("(1 seed): ± is over test images alone" in note for note in table.footnotes)
    assert not any("over trainings alone" in note for note in table.footnotes)


def test_the_tightest_bound_leads_and_keeps_its_kind() -> None:
    names = ("elbo", "log_likelihood_is_50", "log_likelihood_is_500", "log_likelihood_parzen")
    kinds = ("lower_bound",) * 3 + ("heuristic",)
    rows = [row("vae", s, m, v, kind=k) for s in (0, 1)
            for m, v, k in zip(names, (-90.0, -88.0, -87.0, -10.0), kinds, strict=True)]  # fmt: skip
    table = comparison(frame_of(*rows), "d", "binary")
    lead = table.rows[0].cells["log_likelihood [nats]"]
    assert (lead.metric, lead.mean, lead.kind) == ("log_likelihood_is_500", -87.0, "lower_bound")
    assert table.rows[0].cells["log_likelihood_parzen [nats]"].text.startswith("* ")
    assert [c.metric for c in table.columns] == ["log_likelihood", "log_likelihood_is_500", "elbo", names[3]]


@pytest.mark.parametrize(
    ("annealed", "best"), [(-86.0, "log_likelihood_ais"), (-88.0, "log_likelihood_is_500")]
)
@pytest.mark.parametrize("unit", ["nats", "bits_per_dim"])
def test_of_two_sampled_bounds_the_higher_leads(annealed: float, best: str, unit: str) -> None:
    sign = 1 if unit == "nats" else -1
    values = {"elbo": -90.0, "log_likelihood_is_50": -80.0, "log_likelihood_is_500": -87.0,
              "log_likelihood_ais": annealed}  # fmt: skip
    rows = [
        row("vae", s, m, sign * v, kind="lower_bound", unit=unit) for s in (0, 1) for m, v in values.items()
    ]
    lead = comparison(frame_of(*rows), "d", "binary").rows[0].cells[f"log_likelihood [{unit}]"]
    assert (lead.metric, lead.partial) == (best, False)


def test_the_headline_is_the_tightest_bound_of_however_many_images() -> None:
    rows = [row("vae", s, "elbo", -90.0, kind="lower_bound") for s in (0, 1)]
    rows += [row("vae", s, "log_likelihood_ais", -70.0, kind="lower_bound", n=100) for s in (0, 1)]
    rows += [row("gan", s, "log_likelihood_ais", -60.0, kind="lower_bound", n=100) for s in (0, 1)]
    rows += [row("gan", s, "log_likelihood_parzen", -50.0, kind="heuristic") for s in (0, 1)]
    vae, gan = comparison(frame_of(*rows), "d", "binary", ["vae", "gan"]).rows
    key = "log_likelihood [nats]"
    assert [(vae.cells[key].metric, vae.cells[key].images, vae.cells[key].partial)] == [
        ("log_likelihood_ais", 100, True)
    ]
    assert vae.cells[key].text == "≥ −70.00 ± 0.78 (0) †"
    assert (gan.cells[key].metric, gan.cells[key].images, gan.cells[key].partial) == (
        "log_likelihood_ais",
        100,
        True,
    )
    assert gan.cells[key].text == "≥ −60.00 ± 0.78 (0) †"
    assert gan.cells[key].best and gan.cells["log_likelihood_ais [nats]"].best


def test_a_figure_of_fewer_images_than_the_test_split_is_partial_even_alone() -> None:
    manifest = {"name": "d", "schema": image_schema((1, 8, 8), 2).to_json(), "splits": {"test": 300}}
    frame = frame_of(row("m", 0, "log_likelihood_ais", -60.0, kind="lower_bound", n=100))
    assert comparison(frame, "d", "binary", manifest=manifest).rows[0].cells["log_likelihood [nats]"].partial
    assert not comparison(frame, "d", "binary").rows[0].cells["log_likelihood [nats]"].partial


def test_the_gap_stands_beside_annealing_and_choices_stay_out() -> None:
    names = {
        "log_likelihood_is_500": "nats", "bdmc_gap": "nats", "ais_gain": "nats", "log_likelihood_ais": "nats",
        "log_likelihood_parzen": "nats", "log_likelihood_parzen_1000000": "nats", "ais_acceptance": "1",
        "log_likelihood_parzen_100000": "nats", "parzen_bandwidth_100000": "1", "observation_variance": "1",
    }  # fmt: skip
    rows = [row("m", 0, metric, 1.0, unit=unit, kind="estimate") for metric, unit in names.items()]
    headings = [column.heading for column in comparison(frame_of(*rows), "d", "binary").columns]
    assert headings == [
        "log-likelihood ↑ (nats)", "AIS ↑ (nats)", "BDMC gap ↓ (nats)", "AIS − IS (nats)", "IS-500 ↑ (nats)",
        "Parzen ↑ (nats)", "Parzen (100k) ↑ (nats)", "Parzen (1M) ↑ (nats)",
    ]  # fmt: skip


def test_a_heuristic_alone_never_stands_as_the_likelihood() -> None:
    frame = frame_of(row("gan", 0, "log_likelihood_parzen", 5.0, kind="heuristic"), row("m", 0, "elbo", 1.0))
    gan = comparison(frame, "d", "binary", ["gan", "m"]).rows[0]
    assert "log_likelihood [nats]" not in gan.cells


def test_a_lower_bound_is_an_upper_bound_in_bits() -> None:
    rows = [row("p", s, "log_likelihood", 3.0, unit="bits_per_dim", kind="lower_bound") for s in (0, 1)]
    table = comparison(frame_of(*rows), "d", "binary")
    assert table.rows[0].cells["log_likelihood [bits_per_dim]"].text == "≤ 3.00 ± 0.78 (0)"
    assert table.columns[0].heading == "bits/dim ↓"


def rows_of(metric: str, unit: str, *values: tuple[float, ...]) -> list[Row]:
    """A row for each model: its seeds' values in one column, without errors over test images."""
    column = Column(metric, unit)
    return [
        Row(str(place), {column.key: Cell(metric, unit, "estimate", sum(own) / len(own), None, None, len(own),
                                          values=own)})
        for place, own in enumerate(values)
    ]  # fmt: skip


def bold(metric: str, unit: str, *values: tuple[float, ...]) -> list[bool]:
    rows = rows_of(metric, unit, *values)
    mark_best(Column(metric, unit), rows)
    return [next(iter(row.cells.values())).best for row in rows]


@pytest.mark.parametrize(
    ("other", "best"),
    [((1.9, 2.0, 2.1), True), ((0.9, 1.4, 1.9), False), ((2.0,), False)],
    ids=["clear", "overlapping", "unknown spread"],
)
def test_bold_only_when_the_difference_is_clear(other: tuple[float, ...], best: bool) -> None:
    assert bold("fid_domain", "1", (0.9, 1.0, 1.1), other) == [best, False]


def test_bold_looks_past_the_runner_up() -> None:
    assert not any(bold("fid_domain", "1", (0.99, 1.0, 1.01), (1.99, 2.0, 2.01), (0.0, 2.5, 5.0)))


def test_nothing_is_best_where_no_direction_is() -> None:
    assert not any(bold("parameters", "1", (1.0, 1.0), (2.0, 2.0)))


def test_views_and_units_never_mix(invented: tuple[Path, dict[str, Any]]) -> None:
    root, settings = invented
    frame = merge_results(root / "results", ["digits"], list(settings["models"]))
    tables = {t.view: t for t in comparisons(frame, list(settings["models"]))}
    assert {r.model for r in tables["binary"].rows} == {"vae", "pixelcnn"}
    assert {r.model for r in tables["gray"].rows} == {"ppca", "vae_gray", "gan", "pixelcnn_gray"}
    for table in tables.values():
        for r in table.rows:
            assert all(r.cells[c.key].unit == c.unit for c in table.columns if c.key in r.cells)
    assert not any(c.unit == "bits_per_dim" for c in tables["binary"].columns)


def test_diverged_seeds_are_told(invented: tuple[Path, dict[str, Any]]) -> None:
    root, settings = invented
    table = comparison(
        merge_results(root / "results", ["digits"], list(settings["models"])), "digits", "gray"
    )
    gan = next(r for r in table.rows if r.model == "gan")
    assert gan.note == "1 of 3 seeds diverged"
    assert gan.cells["fid_domain [1]"].n == 2
    assert "gan (1 of 3 seeds diverged)" in table.to_markdown()


def test_csv_round_trips_the_numbers(invented: tuple[Path, dict[str, Any]]) -> None:
    root, settings = invented
    frame = merge_results(root / "results", ["digits"], list(settings["models"]))
    table = comparison(frame, "digits", "gray")
    read = {r["model"]: r for r in csv.DictReader(io.StringIO(table.to_csv()))}
    for r in table.rows:
        for key, cell in r.cells.items():
            assert float(read[r.model][key]) == cell.mean
            assert float(read[r.model][f"{key} half_width_95"]) == cell.half_width
            wide, error = read[r.model][key + COMBINED], read[r.model][f"{key} std_error"]
            assert (wide, error) == ("", "") or (float(wide), float(error)) == (cell.combined, cell.std_error)
            assert read[r.model][f"{key} kind"] == cell.kind


def test_published_figures_stand_beside_with_their_protocol() -> None:
    rows = [row("vae", s, "elbo", -90.0, kind="lower_bound", dataset="mnist") for s in (0, 1)]
    table = comparison(frame_of(*rows), "mnist", "binary")
    assert table.published_text(table.rows[0]) == "IS-5000 ≥ −86.76 nats [1]"
    assert any(note.startswith("[1] Published: Burda") and "dynamic" in note for note in table.footnotes)
    assert table.to_markdown().splitlines()[:5:2] == [
        LEGEND,
        "## Likelihood",
        "| model | log-likelihood ↑ (nats) | ELBO ↑ (nats) | published |",
    ]


def test_no_published_column_without_references(invented: tuple[Path, dict[str, Any]]) -> None:
    root, settings = invented
    frame = merge_results(root / "results", ["digits"], list(settings["models"]))
    assert not any("published" in line for t in comparisons(frame) for line in t.to_markdown().splitlines()
                   if line.startswith("|"))  # fmt: skip


TOPICAL = {
    "Likelihood": ("elbo", "log_likelihood_parzen", "bdmc_gap"),
    "Sample quality": ("fid_domain", "fid_domain_infinity", "recall", "class_histogram_distance"),
    "Sample quality in Inception features": ("fid_inception", "recall_inception"),
    "Blur, diversity and collapse": ("pairwise_distance_ratio", "edge_sharpness_ratio_mean"),
    "Memorisation": ("nn_distance_ratio_domain", "auth_pct", "c_t"),
    "Representation": ("active_units",),
    "Classification": ("test_cross_entropy",),
    "Cost": ("sampling_rate", "parameters"),
}


def test_every_topic_is_a_table_of_its_own_over_the_same_rows() -> None:
    metrics = [metric for of_topic in TOPICAL.values() for metric in of_topic]
    rows = [row(m, 0, metric, 1.0, unit="1") for metric in reversed(metrics) for m in ("a", "b")]
    table = comparison(frame_of(*rows), "d", "binary", ["b", "a"])
    found = {section.title: [column.metric for column in section.columns] for section in table.sections}
    assert list(found) == list(TOPICAL)
    assert {title: set(columns) for title, columns in found.items()} == {
        title: set(of_topic) for title, of_topic in TOPICAL.items()
    }
    lines = table.to_markdown().splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == [*TOPICAL, "Notes"]
    names = [line.split(" | ")[0] for line in lines if line.startswith(("| a ", "| b "))]
    assert names == ["| b", "| a"] * len(TOPICAL)
    header = next(csv.reader(io.StringIO(table.to_csv())))
    assert {f"{metric} [1]" for metric in metrics} <= set(header)


def test_a_topic_with_many_columns_is_several_tables_and_published_figures_stand_in_the_first() -> None:
    names = [f"log_likelihood_parzen_{10**k}" for k in range(2, 12)] + ["elbo"]
    rows = [
        row("vae", s, metric, -90.0, dataset="mnist", kind="lower_bound") for s in (0, 1) for metric in names
    ]
    sections = comparison(frame_of(*rows), "mnist", "binary").sections
    assert [(section.title, section.published) for section in sections] == [
        ("Likelihood", True),
        ("Likelihood (2)", False),
    ]
    assert max(len(section.columns) for section in sections) == WIDEST
    assert sum(len(section.columns) for section in sections) == 12


def test_published_flags_and_signs() -> None:
    assert {r.flag for r in REFERENCES} == {"V", "V2", "M"} == set(HOW_READ)
    # Few figures are unchecked, and say so.
    assert {r.model for r in REFERENCES if r.flag == "M"} == {"nearest_neighbour", "convnet", "m2", "ladder"}
    assert "not yet checked" in HOW_READ["M"]
    assert all(r.value < 0 for r in REFERENCES if (r.view, r.unit) == ("binary", "nats"))
    assert all(r.protocol and r.source for r in REFERENCES)


def test_the_same_cell_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        comparison(frame_of(row("m", 0, "elbo", 1.0), row("m", 0, "elbo", 2.0)), "d", "binary")


def test_the_test_split_wins_over_train() -> None:
    rows = [row("m", 0, "log_likelihood", v, split=s) for v, s in ((-1.0, "train"), (-2.0, "test"))]
    cells = comparison(frame_of(*rows), "d", "binary").rows[0].cells
    assert cells["log_likelihood [nats]"].mean == -2.0


def test_merging_is_ordered_and_complete(invented: tuple[Path, dict[str, Any]]) -> None:
    root, _ = invented
    frame = merge_results(root / "results", ["digits"], ["vae", "gan"], [1, 0])
    assert list(dict.fromkeys(frame["model"])) == ["vae", "gan", "classifier"]
    assert list(dict.fromkeys(frame.loc[frame["model"] == "vae", "seed"])) == [0, 1]
    with pytest.raises(CheckpointError, match="nosuch"):
        merge_results(root / "results", ["digits"], ["nosuch"])


def test_controls_are_merged_last_in_their_order_and_never_compared(tmp_path: Path) -> None:
    fabricated = tmp_path / "results"
    for name in ("b", "a"):
        plant(fabricated, "digits", name)
    write_records(
        fabricated / "digits" / "vae" / "results.csv",
        [Record(**row("vae", 7, "elbo", -9.0, dataset="digits"))],
    )
    frame = merge_results(fabricated, ["digits"], ["vae"], [7], ["b", "a"])
    subjects = ["copies, m=100", "truth"]
    names = [f"control/{name}/{subject}" for name in ("b", "a") for subject in subjects]
    assert list(dict.fromkeys(frame["model"])) == ["vae", *names]
    assert set(frame.loc[frame["model"] == names[0], "seed"]) == {0, 1, 2}, (
        "repetitions are no training seeds"
    )
    assert [(t.view, [r.model for r in t.rows]) for t in comparisons(frame)] == [("binary", ["vae"])]
    with pytest.raises(CheckpointError, match=r"control-missing.*control stage"):
        merge_results(fabricated, ["digits"], ["vae"], [7], ["missing"])


def test_records_of_another_control_are_refused(tmp_path: Path) -> None:
    plant(tmp_path, "digits", "a")
    (tmp_path / "digits" / "control-a").rename(tmp_path / "digits" / "control-b")
    with pytest.raises(CheckpointError, match="not its own"):
        merge_results(tmp_path, ["digits"], [], None, ["b"])


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (337116.2, 135286.0, "340,000 ± 140,000"),
        (1234.5, 99.0, "1,234 ± 99"),
        (-0.00123, 1e-7, "−0.0012 ± 0.0000"),
    ],
)
def test_digits_follow_the_spread(mean: float, half: float, text: str) -> None:
    assert Cell("sampling_rate", "images_per_second", "exact", mean, half, None, 3).text == text


def test_failed_seeds_are_counted_by_how_they_failed_and_left_out_of_the_mean() -> None:
    frame = frame_of(
        row("m", 0, "elbo", -90.0),
        row("m", 1, "elbo", -91.0),
        row("m", 2, "collapsed", 1.0),
        row("m", 3, "collapsed", 1.0),
        row("m", 4, "diverged", 1.0),
    )
    table = comparison(frame, "d", "binary")
    assert table.rows[0].note == "1 of 5 seeds diverged, 2 of 5 seeds collapsed"
    assert table.rows[0].cells["elbo [nats]"].mean == pytest.approx(-90.5)
    assert any("diverged or collapsed are left out" in note for note in table.footnotes)
