"""Two scores that order two models one way round and the other, each by a clear difference.

A score that misleads is shown by one such pair, and many pairs are looked at. So the intervals that support a
claim are simultaneous over all pairs (Bonferroni), see `judging.some`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

from dgmbench.claims.comparison import Comparison, higher, lower
from dgmbench.claims.evidence import Evidence, Score
from dgmbench.claims.inversions import VALUES
from dgmbench.claims.judging import Case
from dgmbench.reporting.comparison.paired import like_with_like
from dgmbench.reporting.comparison.table import Row

# That the first row is better than the second by a score; None where that cannot be told.
Order = Callable[[Row, Row], Comparison | None]

FID = "fid_domain [1]"
PARZEN = "log_likelihood_parzen [nats]"


def likelier(first: Row, second: Row) -> Comparison | None:
    """By log-likelihood: the value or bound of the first against the value of the second, never its bound."""
    cells = like_with_like(first, second, "nats")
    if cells is None or cells[1].kind not in VALUES or cells[0].kind not in (*VALUES, "lower_bound"):
        return None
    return higher(Score(first.model, cells[0]), Score(second.model, cells[1]))


def better_fid(first: Row, second: Row) -> Comparison | None:
    """By domain FID."""
    scores = _both(first, second, FID)
    return scores and lower(*scores)


def better_parzen(first: Row, second: Row) -> Comparison | None:
    """By the Parzen score of the saved samples."""
    scores = _both(first, second, PARZEN)
    return scores and higher(*scores)


def better_task(evidence: Evidence) -> Order:
    """By test error of the final task."""

    def order(first: Row, second: Row) -> Comparison | None:
        one, two = evidence.task(first.model), evidence.task(second.model)
        return lower(one, two) if one and two else None

    return order


def inversions(rows: Sequence[Row], order: Order, other: Order) -> list[Case]:
    """For every two models, either way round: the first is better by `order`, the second by `other`."""
    found = ((order(a, b), other(b, a)) for a, b in permutations(rows, 2))
    return [(one, two) for one, two in found if one is not None and two is not None]


def _both(first: Row, second: Row, key: str) -> tuple[Score, Score] | None:
    one, two = first.cells.get(key), second.cells.get(key)
    return (Score(first.model, one), Score(second.model, two)) if one and two else None
