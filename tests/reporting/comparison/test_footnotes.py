"""Footnotes and the note on Parzen: what a column covers, how AIS was run, which pairs are inverted."""

from __future__ import annotations

from typing import Any

import pytest
from fabricate import frame_of, row

from dgmbench.claims.inversions import CLAIM
from dgmbench.data.schema import image_schema
from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.words import view_words

Lines = list[dict[str, Any]]


def seeds(model: str, metric: str, values: tuple[float, ...], **other: Any) -> Lines:
    return [row(model, seed, metric, value, view="gray", **other) for seed, value in enumerate(values)]


def annealed(model: str = "vae", **others: float) -> Lines:
    """A bound over all images and an annealed one over 100 of them, with further metrics of it."""
    lines = seeds(model, "log_likelihood_is_500", (80.0, 81.0), kind="lower_bound")
    lines += seeds(model, "log_likelihood_ais", (83.0, 84.0), kind="lower_bound", n=100)
    for metric, value in others.items():
        unit = "1" if metric in ("observation_variance", "ais_acceptance") else "nats"
        n = 50 if metric == "bdmc_gap" else 100
        lines += seeds(model, metric, (value, value), kind="estimate", unit=unit, n=n)
    return lines


def table(*lines: dict[str, Any]) -> Table:
    return comparison(frame_of(*lines), "d", "gray")


def notes(*lines: dict[str, Any]) -> str:
    return "\n".join(table(*lines).footnotes)


def test_annealing_on_fewer_images_says_how_to_compare_it() -> None:
    said = notes(*annealed(ais_gain=0.2))
    expected = (
        "† AIS: 100 of 300 test images, drawn by the data seed; compare it with IS through 'AIS − IS', "
        "not with the columns beside it."
    )
    assert expected in said
    both = notes(*annealed(ais_gain=0.2), *annealed("ppca", ais_error=-0.1))
    assert "compare it with IS through 'AIS − IS' and with the exact value through 'AIS − exact', not" in both
    assert "not to be compared with the columns beside it" in notes(*annealed())


def test_no_note_where_all_test_images_are_covered() -> None:
    lines = seeds("vae", "log_likelihood_ais", (83.0, 84.0), kind="lower_bound")
    assert "†" not in notes(*lines)
    assert "†" not in table(*lines).to_markdown()


def test_importance_sampling_on_fewer_images_is_told_too() -> None:
    lines = seeds("vae", "elbo", (70.0, 71.0), kind="lower_bound")
    lines += seeds("vae", "log_likelihood_is_500", (80.0, 81.0), kind="lower_bound", n=128)
    said = notes(*lines)
    assert "† IS-500: 128 of 300 test images, drawn by the data seed; not to be compared with columns" in said
    assert "† ELBO" not in said


def test_a_model_with_nothing_else_is_named_under_the_headline() -> None:
    gan = seeds("gan", "log_likelihood_ais", (30.0, 33.0), kind="lower_bound", n=100)
    said = notes(*gan, *seeds("ppca", "log_likelihood", (50.0, 50.1)))
    expected = (
        "† log-likelihood of fewer than the 300 test images: gan (AIS, 100); "
        "not of the same images as the other models'."
    )
    assert expected in said


def test_how_annealing_was_run() -> None:
    lines = annealed("gan", bdmc_gap=0.4, observation_variance=0.02, ais_acceptance=0.66)
    said = notes(*lines, *annealed("vae", bdmc_gap=0.1))
    assert (
        "AIS of gan is of its generator plus Gaussian noise, its variance (0.02; pixels in [0, 1]) chosen"
        in said
    )
    assert "BDMC gap: on 50 images simulated from each model" in said
    assert "AIS accepted this share of its moves: gan 66 %." in said
    assert "without a BDMC gap" not in said
    assert "AIS without a BDMC gap, so that nothing says how loose it is: vae." in notes(*annealed())


def test_the_classifier_behind_domain_scores_stands_beside_them() -> None:
    judge = [
        row("classifier", 0, "test_accuracy", 87.0, view=view, unit="percent", kind="exact", n=300)
        for view in ("gray", "binary")
    ]
    scored = seeds("gan", "fid_domain", (2.0, 3.0), unit="1", kind="estimate")
    said = notes(*scored, *judge)
    assert "FID (domain): in the features of a classifier that is right about 87.0 % of the 300 gray" in said
    assert "classifier that is right" not in notes(*scored)
    assert "classifier that is right" not in notes(*seeds("ppca", "log_likelihood", (50.0, 50.1)), *judge)


def test_without_annealing_nothing_is_said_of_it() -> None:
    assert "AIS" not in notes(*seeds("ppca", "log_likelihood", (50.0, 50.1)))


def scored(model: str, parzen: float, likelihood: float, **other: Any) -> Lines:
    """A model with Parzen and likelihood, each with a spread of one nat over three seeds."""
    lines = seeds(model, "log_likelihood_parzen", (parzen - 1, parzen, parzen + 1), kind="heuristic")
    return lines + seeds(model, "log_likelihood", (likelihood - 1, likelihood, likelihood + 1), **other)


def test_an_inversion_is_named_with_its_numbers() -> None:
    found = table(*scored("ppca", 30.0, 50.0), *scored("pixelcnn", 10.0, 90.0))
    assert found.remarks == [
        f"{CLAIM}: contradicted. Parzen ranks ppca (30.0 ± 2.5) above pixelcnn (10.0 ± 2.5), though pixelcnn "
        "has the higher log-likelihood (= 90.0 ± 2.5 against = 50.0 ± 2.5 nats)."
    ]
    lines = found.to_markdown().splitlines()
    assert lines[lines.index(found.remarks[0]) - 1] == ""
    assert lines.index(found.remarks[0]) > lines.index(
        next(line for line in lines if line.startswith("| ---"))
    )


@pytest.mark.parametrize(
    ("praised", "better"),
    [
        (scored("x", 10.0, 50.0), scored("y", 30.0, 90.0)),
        (scored("x", 11.5, 50.0), scored("y", 10.0, 90.0)),
        (scored("x", 30.0, 88.5), scored("y", 10.0, 90.0)),
        (scored("x", 30.0, 50.0, kind="lower_bound"), scored("y", 10.0, 90.0)),
        (scored("x", 30.0, 50.0), scored("y", 10.0, 90.0, n=100)),
        (scored("x", 30.0, 50.0)[::3], scored("y", 10.0, 90.0)[::3]),
    ],
    ids=[
        "same order",
        "Parzen overlaps",
        "likelihoods overlap",
        "only a bound above",
        "other images",
        "one seed",
    ],
)
def test_no_inversion_without_proof(praised: Lines, better: Lines) -> None:
    assert table(*praised, *better).remarks == []


def test_a_lower_bound_above_an_exact_value_is_proof() -> None:
    lines = seeds("vae", "log_likelihood_parzen", (9.0, 10.0, 11.0), kind="heuristic")
    lines += seeds("vae", "elbo", (89.0, 90.0, 91.0), kind="lower_bound")
    (remark,) = table(*scored("ppca", 30.0, 50.0), *lines).remarks
    assert "above vae" in remark
    assert "(≥ 90.0 ± 2.5 against = 50.0 ± 2.5 nats)" in remark


def test_inversions_below_one_model_share_a_clause_and_columns_that_agree_too() -> None:
    more = seeds("ppca", "log_likelihood_parzen_100000", (31.0, 32.0, 33.0), kind="heuristic")
    more += seeds("kde", "log_likelihood_parzen_100000", (31.0, 32.0, 33.0), kind="heuristic")
    more += seeds("pixelcnn", "log_likelihood_parzen_100000", (11.0, 12.0, 13.0), kind="heuristic")
    lines = [*scored("ppca", 30.0, 50.0), *scored("kde", 30.0, 40.0), *scored("pixelcnn", 10.0, 90.0)]
    (remark,) = table(*lines, *more).remarks
    assert remark.startswith(
        f"{CLAIM}: contradicted. Parzen and Parzen (100k) rank ppca (30.0 ± 2.5) and kde (30.0 ± 2.5) above "
        "pixelcnn"
    )
    assert remark.endswith("(= 90.0 ± 2.5 against = 50.0 ± 2.5 and = 40.0 ± 2.5 nats).")


@pytest.mark.parametrize(
    ("name", "levels", "said"),
    [
        (
            "mnist",
            256,
            "binary view: binarised afresh in training, fixed by the data seed in validation and test",
        ),
        ("mnist_static", 2, "binary view: Larochelle's fixed binarisation (static)"),
        ("letters", 2, "binary view: its publisher's fixed binarisation (static)"),
    ],
)
def test_the_binarisation_is_named(name: str, levels: int, said: str) -> None:
    manifest = {"name": name, "schema": image_schema((1, 28, 28), levels).to_json()}
    assert view_words("binary", manifest) == said
    assert view_words("gray", manifest) == "gray view"


def distances(space: str, n: float, floor: float) -> Lines:
    values = {
        f"fid_{space}": 9.0,
        f"n_generated_{space}": n,
        f"n_real_{space}": 300.0,
        f"fid_{space}_floor": floor,
    }
    return [
        line
        for model in ("gan", "vae")
        for metric, value in values.items()
        for line in seeds(model, metric, (value, value), kind="estimate", unit="1")
    ]


def test_distances_say_of_how_many_images_they_are_and_what_real_ones_score() -> None:
    said = notes(*distances("domain", 2000.0, 0.1234))
    expected = (
        "FID (domain): 2,000 generated against 300 test images; as many training images in place of "
        "generated ones score 0.123; standard errors of one seed's value over test images: 0.4."
    )
    assert expected in said and "too few images for its 64" not in said
    assert "too few images for its value without bias (FID∞)" in said
    infinity = seeds("gan", "fid_domain_infinity", (1.0, 1.0), kind="estimate", unit="1")
    assert "too few" not in notes(*distances("domain", 2000.0, 0.1234), *infinity)
    assert "n_real" not in table(*distances("domain", 2000.0, 0.1)).to_markdown().split("FID (domain):")[0]


def test_a_floor_of_fewer_images_than_there_are_samples_says_so() -> None:
    lines = distances("domain", 2000.0, 0.1234)
    for line in lines:
        line["n"] = 1197 if line["metric"].endswith("_floor") else 2000
    assert "1,197 training images (all that there are) in place of generated ones score 0.123;" in notes(
        *lines
    )


def test_the_class_histogram_has_a_floor_too() -> None:
    names = {"class_histogram_distance": 0.3, "class_histogram_distance_floor": 0.0456}
    lines = [line for m, v in names.items() for line in seeds("gan", m, (v, v), kind="estimate", unit="1")]
    expected = "class histogram: as many training images in place of generated ones score 0.0456."
    assert expected in notes(*lines)


def test_too_few_images_for_the_features_are_told() -> None:
    said = notes(*distances("inception", 2000.0, 4.0), *distances("domain", 64.0, 4.0))
    assert "FID (Inception): too few images for its 2,048 features" in said
    assert "FID (domain): too few images for its 64 features" in said
    assert "too few images for its 64" not in notes(*distances("domain", 65.0, 4.0))


def test_the_other_scores_say_of_how_many_images_they_are_too() -> None:
    lines = distances("domain", 2000.0, 0.1)
    for name, value, floor in (
        ("kid_domain", 0.2, 0.0123),
        ("precision", 0.5, 0.987),
        ("recall", 0.6, 0.976),
    ):
        own = seeds("gan", name, (value, value), kind="estimate", unit="1")
        ideal = seeds("gan", f"{name}_floor", (floor, floor), kind="estimate", unit="1")
        for line in own:
            line |= {"n": 300, "std_error": 0.02}
        for line in ideal:
            line |= {"n": 250}
        lines += own + ideal
    said = notes(*lines)
    assert (
        "KID (domain): 300 generated against at most as many test images; 250 training images in place of "
        "generated ones score 0.0123; standard errors of one seed's value over test images: 0.02."
    ) in said
    assert (
        "precision, recall: 300 generated against as many test images; 250 training images in place of "
        "generated ones score 0.987, 0.976;"
    ) in said
    assert "floor" not in table(*lines).to_markdown().split("FID (domain):")[0]


def test_the_widths_are_those_of_the_feature_spaces() -> None:
    from dgmbench.evaluation.features.classifier import FEATURES as DOMAIN
    from dgmbench.evaluation.features.inception import WIDTH
    from dgmbench.reporting.comparison.footnotes import FEATURES

    assert FEATURES == {"domain": DOMAIN, "inception": WIDTH}
