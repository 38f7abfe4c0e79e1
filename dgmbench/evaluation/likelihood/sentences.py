"""Likelihood per token of a model of token sequences, and its perplexity.

Both are of the test set as a whole: all its nats over all its tokens, the ends counted, not a mean over
sentences. Such a ratio of two sums has the standard error of its linearisation (the delta method; Cochran
1977, eq. 6.13), over sentences, since the tokens of a sentence go together.

UNKNOWN counts as the token that it is: a perplexity is that of the data set's own vocabulary, and compares
with no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dgmbench.data.schema import TokenTarget
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import HasLogProb
from dgmbench.points import Points
from dgmbench.results import Record


@dataclass(frozen=True)
class PerToken:
    """A ratio of sums over n sentences, and what each sentence adds to it.

    Args:
        value: the ratio.
        influence: float64 ``[n]``, values around it whose mean is `value`, and whose standard error of the
            mean is that of `value` to first order.
    """

    value: float
    influence: Tensor

    @property
    def std_error(self) -> float | None:
        """Over sentences; None for one sentence."""
        n = len(self.influence)
        return None if n < 2 else float(self.influence.std()) / math.sqrt(n)

    def exp(self) -> PerToken:
        """The exponential of the ratio, to first order."""
        value = math.exp(self.value)
        return PerToken(value, value * (1 + self.influence - self.value))


def nats_per_token(log_probs: Tensor, lengths: Tensor) -> PerToken:
    """Negative log-likelihood per token of n sentences.

    Args:
        log_probs: ``[n]`` nats of whole sentences.
        lengths: ``[n]`` tokens of each, its end included.
    """
    nats, tokens = -log_probs.double().cpu(), lengths.double().cpu()
    value = nats.sum() / tokens.sum()
    return PerToken(float(value), value + (nats - value * tokens) / tokens.mean())


@measure(needs=(HasLogProb,), views=("tokens",), after=("exact",))
def per_token(subject: Subject, folder: Path) -> Iterator[Record]:
    """Nats per token of all test sentences, and the perplexity, its exponential."""
    if "exact" not in subject.kept:
        raise ValueError("it is made of the exact likelihood, which is missing")
    x = subject.inputs("test")
    nats = nats_per_token(subject.kept["exact"], (x != TokenTarget.PAD).sum(1))
    seconds = subject.lap()
    for metric, unit, found in (("nats_per_token", "nats", nats), ("perplexity", "1", nats.exp())):
        subject.points[metric, unit] = Points.of(found.influence)
        yield subject.record(
            metric, found.value, found.std_error, n=len(x), unit=unit, kind="exact", seconds=seconds
        )
        seconds = 0.0
