"""Published orders against ours: the verdicts, what is compared with what, and what is not compared."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from fabricate import frame_of, row

from dgmbench.errors import SettingsError
from dgmbench.reporting.comparison.from_records import comparison
from dgmbench.settings import compose, validate

ORDER = {"better": "iwae", "worse": "vae", "source": "somebody 2016"}


def frame(iwae: list[float], vae: list[float], images: tuple[int, int] = (300, 300)) -> pd.DataFrame:
    rows = []
    for model, values, n in (("iwae", iwae, images[0]), ("vae", vae, images[1])):
        rows += [row(model, s, "elbo", v, kind="lower_bound", n=n) for s, v in enumerate(values)]
    return frame_of(*rows)


def remarks(*args: object, **kwargs: object) -> list[str]:
    return comparison(frame(*args, **kwargs), "d", "binary", orders=[ORDER]).remarks  # type: ignore[arg-type]


def test_a_sentence_gives_both_figures_the_difference_and_the_source() -> None:
    (told,) = remarks([-85.0, -86.0, -87.0], [-95.0, -96.0, -97.0])
    seeds, images = 2 / 3, 2 * 0.4**2
    quantile = (2.776445 * seeds + 1.959964 * images) / (seeds + images)
    half = quantile * math.sqrt(seeds + images)
    assert told.startswith("iwae (ELBO ≥ −86.0 ± 2.5) above vae (ELBO ≥ −96.0 ± 2.5): supported (difference ")
    assert f"10.0 ± {half:.1f} nats over trainings and test images; somebody 2016)" in told
    assert "contradicted" in remarks([-95.0, -96.0, -97.0], [-85.0, -86.0, -87.0])[0]
    assert "undecided" in remarks([-85.0, -95.0], [-96.0, -86.0])[0]
    assert (
        "undecided (difference 1.00 nats with one seed, so without an interval over trainings;"
        in remarks([-85.0], [-86.0])[0]
    )


def test_likelihoods_of_other_images_or_absent_models_are_not_compared() -> None:
    assert remarks([-85.0, -86.0], [-95.0, -96.0], images=(300, 100)) == []
    only = frame_of(row("iwae", 0, "elbo", -85.0, kind="lower_bound"))
    assert comparison(only, "d", "binary", orders=[ORDER]).remarks == []


def test_importance_sampled_bounds_of_equal_images_go_before_elbos_of_more() -> None:
    rows = []
    for model, elbos, bounds in (
        ("iwae", (-95.0, -96.0), (-85.0, -85.1)),
        ("vae", (-90.0, -91.0), (-86.0, -86.1)),
    ):
        for seed in (0, 1):
            rows.append(row(model, seed, "elbo", elbos[seed], kind="lower_bound", n=300))
            own = row(model, seed, "log_likelihood_is_50", bounds[seed], kind="lower_bound", n=100)
            rows.append(own | {"std_error": 0.1})
    (told,) = comparison(frame_of(*rows), "d", "binary", orders=[ORDER]).remarks
    assert told.startswith("iwae (IS-50 ≥ −85.05 ± 0.64") and "supported (difference 1.00 ± " in told


def test_settings_refuse_an_order_of_unknown_models_or_of_two_views() -> None:
    raw = compose("digits")
    raw["orders"] = [{"better": "iwae", "worse": "vaee", "source": "x"}]
    with pytest.raises(SettingsError, match=r"'orders.0.worse': no model 'vaee': did you mean 'vae'\?"):
        validate(raw, "params.yaml")
    raw["orders"] = [{"better": "iwae", "worse": "vae_gray", "source": "x"}]
    with pytest.raises(SettingsError, match=r"'orders\.0' compares views"):
        validate(raw, "params.yaml")
