"""Which scores the control of planted copies contradicts, with the chance of its trials allowed for."""

from __future__ import annotations

import pandas as pd
import pytest

from dgmbench.claims.metric_trust import Trust, trust


def planted(metric: str, trials: int = 100, **percents: float) -> pd.DataFrame:
    rows = [(metric, case.replace("_of_", "_0."), percent, trials) for case, percent in percents.items()]
    return pd.DataFrame(rows, columns=["metric", "case", "percent", "n"])


@pytest.mark.parametrize(
    ("percent", "trials", "verdict"),
    [(100, 100, "supported"), (84, 100, "undecided"), (76, 100, "undecided"), (60, 100, "contradicted"),
     (76, 2000, "contradicted"), (84, 2000, "supported")],
)  # fmt: skip
def test_the_verdict_allows_for_the_number_of_trials(percent: float, trials: int, verdict: str) -> None:
    assert trust(planted("recall", trials, dropped_class=percent), "recall").verdict == verdict


def test_scores_of_copying_may_not_be_alarmed_by_what_is_no_copy() -> None:
    cases = {"copies_0": 5, "copies_of_05": 100, "copies_1": 100, "shifted_copies": 100, "noise": 90}
    assert trust(planted("c_t", **cases), "c_t") == Trust("contradicted", (), ("noise (90 %)",))
    cases |= {"noise": 5, "shifted_copies": 0, "copies_of_05": 3}
    found = trust(planted("c_t", **cases), "c_t")
    assert found == Trust("contradicted", ("5 % (3 %)", "all moved by a pixel (0 %)"))


def test_scores_of_quality_answer_for_the_cases_that_they_declare() -> None:
    cases = {"copies_0": 5, "copies_1": 0, "dropped_class": 0, "noise": 100}
    verdicts = {
        name: trust(planted(name, **cases), name).verdict for name in ("precision", "recall", "fid_domain")
    }
    assert verdicts == {"precision": "supported", "recall": "contradicted", "fid_domain": "contradicted"}
    assert trust(planted("fid_domain", **cases), "fid_domain_infinity").verdict == "contradicted"


def test_what_no_trial_concerns_has_no_verdict() -> None:
    assert trust(planted("recall", dropped_class=0), "precision") == Trust(None)
    assert trust(planted("elbo", dropped_class=0), "elbo") == Trust(None)
