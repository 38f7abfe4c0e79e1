"""Published orders against ours: Welch's interval against SciPy, the three verdicts, what is not compared."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from fabricate import frame_of, row
from scipy.stats import ttest_ind

from dgmbench.errors import SettingsError
from dgmbench.reporting.orders import Difference, difference
from dgmbench.reporting.tables import comparison
from dgmbench.settings import compose, validate

ORDER = {"better": "iwae", "worse": "vae", "source": "somebody 2016"}


def frame(iwae: list[float], vae: list[float], images: tuple[int, int] = (300, 300)) -> pd.DataFrame:
    rows = []
    for model, values, n in (("iwae", iwae, images[0]), ("vae", vae, images[1])):
        rows += [row(model, s, "elbo", v, kind="lower_bound", n=n) for s, v in enumerate(values)]
    return frame_of(*rows)


def remarks(*args: object, **kwargs: object) -> list[str]:
    return comparison(frame(*args, **kwargs), "d", "binary", orders=[ORDER]).remarks  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(3, 3), (5, 2), (10, 4)])
def test_the_interval_is_that_of_welch(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1.0, 2.0, sizes[0]), rng.normal(0.0, 0.5, sizes[1])
    found = difference(list(first), list(second))
    reference = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert found.half_width is not None
    low, high = found.mean - found.half_width, found.mean + found.half_width
    assert (low, high) == pytest.approx((reference.low, reference.high), rel=1e-9)


def test_verdicts() -> None:
    assert Difference(1.0, 0.9).verdict == "as published"
    assert Difference(-1.0, 0.9).verdict == "reversed"
    assert Difference(1.0, 1.1).verdict == "not separated"
    assert Difference(5.0, None).verdict == "not judged"
    assert difference([2.0, 2.0], [1.0, 1.0]) == Difference(1.0, 0.0)
    with pytest.raises(ValueError, match="at least one value"):
        difference([], [1.0])


def test_a_sentence_gives_both_figures_the_difference_and_the_source() -> None:
    (told,) = remarks([-85.0, -86.0, -87.0], [-95.0, -96.0, -97.0])
    half = 2.776445 * math.sqrt(2 / 3)
    assert told.startswith("iwae (≥ −86.0 ± 2.5) above vae (≥ −96.0 ± 2.5): as published (difference 10.0 ± ")
    assert f"{half:.1f} nats; somebody 2016)" in told
    assert "reversed" in remarks([-95.0, -96.0, -97.0], [-85.0, -86.0, -87.0])[0]
    assert "not separated" in remarks([-85.0, -95.0], [-96.0, -86.0])[0]
    assert (
        "not judged (difference 1.00 nats with one seed, so without an interval over seeds;"
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
            rows.append(row(model, seed, "log_likelihood_is_50", bounds[seed], kind="lower_bound", n=100))
    (told,) = comparison(frame_of(*rows), "d", "binary", orders=[ORDER]).remarks
    assert told.startswith("iwae (≥ −85.05 ± 0.64") and "as published (difference 1.00 ± " in told


def test_settings_refuse_an_order_of_unknown_models_or_of_two_views() -> None:
    raw = compose("digits")
    raw["orders"] = [{"better": "iwae", "worse": "vea", "source": "x"}]
    with pytest.raises(SettingsError, match=r"'orders.worse': no model 'vea': did you mean 'vae'\?"):
        validate(raw, "params.yaml")
    raw["orders"] = [{"better": "iwae", "worse": "vae_gray", "source": "x"}]
    with pytest.raises(SettingsError, match="'orders' compares views"):
        validate(raw, "params.yaml")
