"""Class coverage on shares that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.quality.class_coverage import class_coverage


def labels(*counts: int) -> Tensor:
    return torch.cat([torch.full((count,), name) for name, count in enumerate(counts)])


REAL = labels(*[30] * 10)


def test_all_classes_alike_are_ten_and_covered() -> None:
    found = class_coverage(labels(*[50] * 10), REAL, 10)
    assert (found.coverage, found.n) == (1.0, 500)
    assert found.effective == pytest.approx(10)
    assert found.effective_std_error == pytest.approx(0, abs=1e-6)


def test_a_dropped_class_is_missed_and_one_alone_counts_as_one() -> None:
    found = class_coverage(labels(0, *[50] * 9), REAL, 10)
    assert found.coverage == pytest.approx(0.9)
    assert found.effective == pytest.approx(9)
    alone = class_coverage(labels(0, 0, 70), REAL, 10)
    assert (alone.coverage, alone.effective) == (pytest.approx(0.1), pytest.approx(1.0))


def test_a_class_counts_from_a_tenth_of_what_it_has_among_test_images() -> None:
    # Its share among test images is 0.1, so that 1 % of samples is a tenth of it.
    assert class_coverage(labels(9, *[0] * 8, 991), REAL, 10).coverage == pytest.approx(0.1)
    assert class_coverage(labels(10, *[0] * 8, 990), REAL, 10).coverage == pytest.approx(0.2)
    # A class that the test images do not hold is not asked for.
    assert class_coverage(labels(10, 0, 10), labels(5, 0, 5), 3).coverage == 1.0


def test_the_standard_error_is_that_of_repeated_draws() -> None:
    shares = torch.tensor([0.5, 0.2, 0.2, 0.1])
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.multinomial(shares, 400, True, generator=generator) for _ in range(600)]
    found = [class_coverage(each, REAL % 4, 4) for each in drawn]
    spread = float(torch.tensor([each.effective for each in found]).std())
    assert found[0].effective_std_error == pytest.approx(spread, rel=0.15)
    expected = math.exp(-float((shares * shares.log()).sum()))
    assert sum(each.effective for each in found) / 600 == pytest.approx(expected, rel=0.01)


def test_nothing_to_count_is_refused() -> None:
    with pytest.raises(ValueError, match="class coverage needs"):
        class_coverage(REAL[:0], REAL, 10)
