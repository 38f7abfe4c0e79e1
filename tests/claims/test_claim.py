"""The rule from intervals to a verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dgmbench.claims.claim import VERDICTS, judge
from dgmbench.statistics import Interval


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([(2.0, 1.0), (5.0, 1.0)], "supported"),
        ([(2.0, 1.0), (0.5, 1.0)], "undecided"),
        ([(2.0, 1.0), (-0.5, 1.0)], "undecided"),
        ([(2.0, 1.0), (0.5, 1.0), (-5.0, 1.0)], "contradicted"),
        ([(0.0, 0.0)], "contradicted"),
        ([(2.0, 1.0), (9.0, math.inf)], "undecided"),
        ([], "undecided"),
    ],
)
def test_the_verdict_follows_the_intervals(parts: list[tuple[float, float]], verdict: str) -> None:
    assert judge([Interval(*part) for part in parts]) == verdict


def test_a_claim_with_more_parts_is_never_easier_to_support() -> None:
    """Supported parts change nothing; one that is contradicted contradicts the claim."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        parts = [Interval(float(m), float(abs(h))) for m, h in rng.normal(1.0, 2.0, (3, 2))]
        verdict = judge(parts)
        assert verdict in VERDICTS and judge([*parts, Interval(5.0, 1.0)]) == verdict
        assert judge([*parts, Interval(-5.0, 1.0)]) == "contradicted"


def test_one_seed_decides_nothing() -> None:
    assert judge([Interval(1e6)]) == judge([Interval(-1e6)]) == "undecided"
