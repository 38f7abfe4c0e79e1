"""Blocks of references, and of the scores of queries against them, within a bound on memory."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

# Queries per block of scores.
QUERY_BLOCK = 1024
# Neighbouring references of which only the best is looked at first: a minimum is far cheaper than a sort.
GROUP = 32


def blocks(references: Tensor, rows: int) -> Iterator[tuple[int, Tensor]]:
    """Blocks ``[rows, d]`` of the references with the index of their first."""
    for start in range(0, len(references), rows):
        yield start, references[start : start + rows].detach().flatten(1)


def block_rows(block_bytes: int, queries: int, value_bytes: int) -> tuple[int, int]:
    """Queries and references of one block of scores: whole groups, scores and copies within the bound.

    value_bytes: what the copies of one reference take.
    """
    queries = max(min(QUERY_BLOCK, queries, block_bytes // (16 * GROUP)), 1)
    # A score in four bytes, and as much again for the selection.
    return queries, max(block_bytes // (8 * queries + value_bytes) // GROUP, 1) * GROUP
