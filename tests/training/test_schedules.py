"""Step sizes over a run."""

from __future__ import annotations

import pytest

from dgmbench.training.schedules import rate_factor, tripling_stage


def test_a_linear_schedule_falls_to_nothing_and_a_late_one_in_the_last_third() -> None:
    linear = [rate_factor("linear", step, 90, 0) for step in (0, 45, 90)]
    assert linear == pytest.approx([1.0, 0.5, 0.0])
    late = [rate_factor("late_linear", step, 90, 0) for step in (0, 60, 75, 90)]
    assert late == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_a_constant_schedule_is_one_throughout() -> None:
    assert {rate_factor("constant", step, 10, step) for step in range(10)} == {1.0}


def test_stages_of_a_tripling_schedule_have_1_3_9_epochs() -> None:
    assert [tripling_stage(epoch) for epoch in range(14)] == [0, 1, 1, 1, *[2] * 9, 3]
    assert rate_factor("tripling", 5, 10, 4) == pytest.approx(10 ** (-2 / 7))
