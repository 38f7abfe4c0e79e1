"""Pairs of models: like with like, image by image on common images, and what a bold mark takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fabricate import frame_of, row

from dgmbench.points import Points
from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.paired import difference, is_clear, like_with_like
from dgmbench.reporting.comparison.table import Row, Table

# How hard the test images are, for all models alike.
HARD = np.random.default_rng(0).normal(0.0, 5.0, 300)
Lines = list[dict[str, Any]]
Found = dict[tuple[str, str, int], dict[tuple[str, str], Points]]


def model(
    name: str,
    level: float,
    metric: str = "elbo",
    images: np.ndarray | None = None,
    seeds: tuple[float, ...] = (-0.02, 0.0, 0.02),
) -> tuple[Lines, Found]:
    """Records and points of a model: `level`, its seeds' deviations, the images' difficulty, some noise."""
    rows = np.arange(300) if images is None else images
    rng = np.random.default_rng([*name.encode(), *metric.encode()])
    lines, points = [], {}
    for seed, deviation in enumerate(seeds):
        noise = rng.normal(0.0, 0.2, len(rows))
        values = level + deviation + HARD[rows] + noise - noise.mean()
        kind = "exact" if metric == "log_likelihood" else "lower_bound"
        error = float(values.std(ddof=1)) / len(rows) ** 0.5
        lines.append(row(name, seed, metric, float(values.mean()), std_error=error, n=len(rows), kind=kind))
        points["d", name, seed] = {(metric, "nats"): Points(rows, values)}
    return lines, points


def table(*models: tuple[Lines, Found], paired: bool = True, **other: Any) -> Table:
    points: Found = {}
    for _, own in models:
        for key, found in own.items():
            points[key] = points.get(key, {}) | found
    lines = [line for own, _ in models for line in own]
    return comparison(frame_of(*lines), "d", "binary", points=points if paired else None, **other)


def rows_of(found: Table) -> dict[str, Row]:
    return {each.model: each for each in found.rows}


def test_a_cell_gives_trainings_and_test_images_and_trainings_alone() -> None:
    """0.05 over trainings, 1.96 x 5 / sqrt(300) = 0.57 over images: the latter is ten times as wide."""
    cell = table(model("vae", -22.0)).rows[0].cells["elbo [nats]"]
    assert cell.half_width == pytest.approx(0.05, abs=0.03)
    assert cell.combined == pytest.approx(0.57, abs=0.05)
    assert cell.std_error == pytest.approx(0.29, abs=0.03)
    mean, plus, both, trainings = cell.text.removeprefix("≥ ").split()
    assert (plus, both, trainings) == ("±", f"{cell.combined:.2f}", f"({cell.half_width:.3f})")
    assert mean.startswith("−2")


def test_models_whose_intervals_overlap_are_told_apart_by_their_images() -> None:
    models = model("iwae", -21.8), model("vae", -22.0)
    paired, apart = (rows_of(table(*models, paired=paired)) for paired in (True, False))
    for rows, low, high in ((paired, 0.02, 0.12), (apart, 0.7, 0.9)):
        cells = [rows[name].cells["elbo [nats]"] for name in ("iwae", "vae")]
        found = difference(*cells)
        assert found is not None and low < found.half < high
        assert cells[0].best == is_clear(*cells) == (rows is paired)
        assert all(cell.combined is not None and cell.combined > 0.5 for cell in cells)


def test_differences_over_trainings_alone_do_not_separate_models_that_few_images_tell_apart() -> None:
    """Clear over trainings, but each model is better on half of the images."""
    lines, points = [], {}
    for name, sign in (("vae", 1.0), ("sbn", -1.0)):
        own, found = model(name, -22.0 + sign * 0.05)
        for line, (key, values) in zip(own, found.items(), strict=True):
            tilted = values["elbo", "nats"].values + sign * np.where(np.arange(300) % 2, 2.0, -2.0)
            points[key] = {("elbo", "nats"): Points(np.arange(300), tilted)}
            line["value"] = float(tilted.mean())
        lines += own
    order = {"better": "vae", "worse": "sbn", "source": "nobody"}
    (told,) = table((lines, points), orders=[order]).remarks
    assert "undecided (difference 0.10 ± 0.4" in told and "over trainings and test images; nobody" in told
    assert (
        "supported"
        in comparison(
            frame_of(*({**line, "std_error": None} for line in lines)), "d", "binary", orders=[order]
        ).remarks[0]
    )


FEW = np.arange(0, 300, 6)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["elbo", "log_likelihood_is_5000"], ["elbo"], ("elbo", "elbo")),
        (
            ["elbo", "log_likelihood_is_5000"],
            ["elbo", "log_likelihood_is_5000"],
            ("log_likelihood_is_5000",) * 2,
        ),
        (["log_likelihood"], ["elbo", "log_likelihood_is_50"], ("log_likelihood", "log_likelihood_is_50")),
        (["log_likelihood"], ["log_likelihood"], ("log_likelihood",) * 2),
        (["log_likelihood_is_5000"], ["log_likelihood_ais"], None),
        (["elbo"], ["log_likelihood_is_5000"], None),
    ],
)
def test_two_models_are_compared_by_the_tightest_bound_that_both_have(
    first: list[str], second: list[str], expected: tuple[str, str] | None
) -> None:
    levels = {"elbo": -24.0, "log_likelihood_is_50": -23.0, "log_likelihood_is_5000": -22.0}
    models = [model("a", levels.get(metric, -22.0), metric) for metric in first]
    models += [model("b", levels.get(metric, -22.0), metric) for metric in second]
    rows = rows_of(table(*models))
    pair = like_with_like(rows["a"], rows["b"], "nats")
    assert (pair and tuple(cell.metric for cell in pair)) == expected


def test_importance_sampling_is_compared_at_the_most_draws_that_both_have() -> None:
    """However noise ordered the estimates: 100 draws came out higher than 1,000 here."""
    levels = {"log_likelihood_is_10": -23.0, "log_likelihood_is_100": -21.0, "log_likelihood_is_1000": -22.0}
    both = [model(name, level, metric) for name in "ab" for metric, level in levels.items()]
    rows = rows_of(
        table(*both, model("b", -20.0, "log_likelihood_is_5000"), model("c", -22.0, "log_likelihood"))
    )
    pair = like_with_like(rows["a"], rows["b"], "nats")
    assert pair is not None and {cell.metric for cell in pair} == {"log_likelihood_is_1000"}
    pair = like_with_like(rows["a"], rows["c"], "nats")
    assert pair is not None and [cell.metric for cell in pair] == ["log_likelihood_is_1000", "log_likelihood"]


def test_an_elbo_is_never_ranked_against_an_importance_sampled_bound() -> None:
    """Nor marked as the best of a column of mixed bounds; by its ELBO the other model is the better one."""
    models = model("vae", -22.0, "log_likelihood_is_5000"), model("vae", -24.0), model("iwae", -23.0)
    found = table(*models)
    rows, key = rows_of(found), "log_likelihood [nats]"
    assert [rows[name].cells[key].bound for name in ("vae", "iwae")] == ["IS-5000", "ELBO"]
    assert not any(rows[name].cells[key].best for name in ("vae", "iwae"))
    assert rows["iwae"].cells["elbo [nats]"].best
    assert any("mixes bounds (ELBO, IS-5000)" in note for note in found.footnotes)
    assert not any("mixes bounds" in note for note in table(model("vae", -22.0)).footnotes)


def test_bounds_of_different_images_are_compared_on_those_that_both_have() -> None:
    order = {"better": "vae", "worse": "gan", "source": "nobody"}
    models = (
        model("vae", -20.0, "log_likelihood_ais"),
        model("gan", -22.0, "log_likelihood_ais", images=FEW),
    )
    found = table(*models, orders=[order])
    cells = [rows_of(found)[name].cells["log_likelihood_ais [nats]"] for name in ("vae", "gan")]
    own = difference(*cells)
    assert own is not None and own.mean == pytest.approx(2.0, abs=0.15) and own.is_clear
    (told,) = found.remarks
    assert "over trainings and the 50 test images that both have; nobody" in told
    assert cells[1].partial and not cells[0].partial
    apart = table(*models, paired=False, orders=[order])
    assert apart.remarks == [], "without values by image, means of other images are not compared"


def test_exact_values_of_equal_trainings_differ_by_their_images_alone() -> None:
    """Closed forms: `± 0` over trainings says nothing of the 300 test images."""
    still = (0.0, 0.0, 0.0)
    lines, points = model("ppca", 50.0, "log_likelihood", seeds=still)
    first = points["d", "ppca", 0]
    for line in lines:
        line["value"] = lines[0]["value"]
    cell = table((lines, dict.fromkeys(points, first))).rows[0].cells["log_likelihood [nats]"]
    assert cell.combined == pytest.approx(0.57, abs=0.03)
    assert cell.text == f"= {cell.mean:.2f} ± {cell.combined:.2f} (0)"
