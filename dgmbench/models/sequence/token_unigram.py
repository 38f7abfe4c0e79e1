"""Unigram model: every token is drawn from one distribution, whatever stands before it.

What a language model must beat: it knows how frequent words and ends are, and nothing of how they go
together. Probabilities are counts with `a` added to each, as in `dgmbench.models.baselines.independent`.
"""

from __future__ import annotations

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.models.base import ModelSettings
from dgmbench.models.sequence.token_model import TokenModel


class UnigramSettings(ModelSettings):
    """The additive smoothings among which validation chooses."""

    smoothings: list[PositiveFloat] = Field(
        [0.01, 0.03, 0.1, 0.3, 1.0], min_length=1, description="candidates; the best on validation is kept"
    )


class TokenUnigram(TokenModel):
    """One categorical distribution; log-probabilities in float64, fitted by `fit`."""

    Settings = UnigramSettings

    log_probabilities: Tensor

    def __init__(self, settings: UnigramSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.candidates = sorted(settings.smoothings)
        self.register_buffer("log_probabilities", torch.empty(self.vocabulary, dtype=torch.float64))
        self._keep(torch.zeros(self.vocabulary, dtype=torch.float64), 1.0)

    def parameter_count(self) -> int:
        """One probability for each token but padding; they sum to one."""
        return self.vocabulary - 2

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        """Count the tokens of ``train`` and keep the smoothing with the best likelihood of ``valid``."""
        seen = train.x[self.scored(train.x)]
        counts = torch.bincount(seen, minlength=self.vocabulary).double()
        losses = {}
        for smoothing in self.candidates:
            self._keep(counts, smoothing)
            losses[smoothing] = self.losses(valid, None)
        best = min(losses, key=lambda smoothing: float(losses[smoothing]["loss"]))
        self._keep(counts, best)
        return {name: float(value) for name, value in losses[best].items()} | {"smoothing": best}

    def _keep(self, counts: Tensor, smoothing: float) -> None:
        smoothed = counts + smoothing
        smoothed[TokenTarget.PAD] = 0
        self.log_probabilities.copy_((smoothed / smoothed.sum()).log())

    def token_log_probs(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """log P of every token, float64 ``[n, T]`` nats; 0 where a token costs nothing."""
        return self.log_probabilities[x].where(self.scored(x), 0.0)

    def advance(self, state: None, tokens: Tensor) -> tuple[Tensor, None]:
        """The same distribution for every next token, ``[n, vocabulary]``."""
        return self.log_probabilities.expand(len(tokens), -1), None
