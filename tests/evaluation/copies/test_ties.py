"""All nearest neighbours, against brute force, where few and where all references tie."""

from __future__ import annotations

import pytest
import torch

from dgmbench.evaluation.copies.neighbour_search import nearest
from dgmbench.evaluation.copies.ties import all_nearest


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("levels", "width"), [(2, 4), (2, 12), (17, 6)])
def test_all_of_them_are_found(dtype: torch.dtype, levels: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(levels, (150, width), generator=generator)
    queries, references = (part.to(dtype) for part in drawn.split([50, 100]))
    squared = (drawn[:50, None] - drawn[None, 50:]).square().sum(-1)
    expected = torch.nonzero(squared == squared.amin(1, keepdim=True))
    found = all_nearest(queries, references)
    assert torch.equal(torch.stack([found.owners, found.indices], 1), expected)
    distances, first = nearest(queries, references)
    assert torch.equal(found.distances, distances) and torch.equal(found.first, first)
    assert torch.allclose(found.mean(found.owners), torch.arange(50.0, dtype=torch.float64))


def test_where_all_references_are_alike_all_are_nearest() -> None:
    found = all_nearest(torch.zeros(2, 5), torch.ones(30, 5))
    assert found.indices.tolist() == 2 * list(range(30))
    assert all_nearest(torch.zeros(2, 5), torch.ones(1, 5)).indices.tolist() == [0, 0]
