"""Batches: rows stay together."""

from __future__ import annotations

import torch

from dgmbench.data.batch import UNKNOWN, Batch


def batch() -> Batch:
    rows = torch.arange(5)
    label = torch.where(rows % 2 == 0, rows, UNKNOWN)
    return Batch(rows[:, None].float(), label, 10 * rows, rows[:, None] > 2)


def test_parts_keep_what_belongs_together() -> None:
    parts = list(batch().split(2))
    assert [len(part) for part in parts] == [2, 2, 1]
    for part in parts:
        rows = part.x[:, 0].long()
        assert part.label is not None and part.condition is not None and part.mask is not None
        assert torch.equal(part.label, torch.where(rows % 2 == 0, rows, UNKNOWN))
        assert torch.equal(part.condition, 10 * rows)
        assert torch.equal(part.mask[:, 0], rows > 2)


def test_rows_are_chosen_in_the_order_asked() -> None:
    chosen = batch()[torch.tensor([3, 0])]
    assert chosen.x[:, 0].tolist() == [3.0, 0.0]
    assert chosen.condition is not None and chosen.condition.tolist() == [30, 0]


def test_what_is_not_known_stays_unknown() -> None:
    plain = Batch(torch.zeros(4, 2))[torch.tensor([1])]
    assert (plain.label, plain.condition, plain.mask) == (None, None, None)
