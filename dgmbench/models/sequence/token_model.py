"""What models of token sequences share: the distribution over whole sequences, exact and sampled from.

A sequence is x_1 ... x_k of words and one end token, at most T of them. Its probability is the product of
P(x_t | x_1 ... x_(t-1)) for t < T. The last place, T, can hold nothing but the end, so it costs nothing: a
sequence that has not ended by then is cut there. Thus the probabilities of all sequences of at most T tokens
add up to 1, and `sample` draws from the distribution that `log_prob` measures. Padding has probability 0.

UNKNOWN is a word like any other: the model gives the probability that some word outside the vocabulary
stands there, not which. Perplexities compare only on the same vocabulary.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.models.base import Model, ModelSettings
from dgmbench.terms import ViewName

# Sequences that are sampled at once: each has a row of `vocabulary` probabilities.
SAMPLED_AT_ONCE = 500
# Sequences whose likelihood is taken at once, without gradients.
MEASURED_AT_ONCE = 500


class TokenModel(Model):
    """A model of token sequences; subclasses give the distribution of the next token.

    Args:
        settings: an instance of the class's `Settings`.
        schema: one whose target is tokens.
    """

    views: ClassVar[tuple[ViewName, ...]] = ("tokens",)

    def __init__(self, settings: ModelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.length, self.vocabulary = schema.tokens.length, schema.tokens.vocabulary

    def token_log_probs(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """log P of every token given those before it, in nats; 0 where `scored(x)` is False.

        Args:
            x: int64 ``[n, T]``.
            generator: draws the noise of training; None: there is none.

        Returns:
            ``[n, T]``.
        """
        raise NotImplementedError

    def advance(self, state: Any, tokens: Tensor) -> tuple[Tensor, Any]:
        """Read one token of each sequence, ``[n]``; the first one that is read is an end token.

        Args:
            state: what the last call remembered; None at the first.
            tokens: int64 ``[n]``.

        Returns:
            log P of every next token, ``[n, vocabulary]``, and what is remembered now.
        """
        raise NotImplementedError

    def scored(self, x: Tensor) -> Tensor:
        """Where a token costs something: no padding, and not the last place. Bool ``[n, T]``."""
        scored = x != TokenTarget.PAD
        scored[:, -1] = False
        return scored

    def losses(self, batch: Batch, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Nats per sequence (the loss), and nats per token (the end counts as one), both over the batch."""
        nats = -self.token_log_probs(batch.x, generator).sum()
        tokens = (batch.x != TokenTarget.PAD).sum()
        return {"loss": nats / len(batch), "nats_per_token": (nats / tokens).detach()}

    def step(self, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        """The mean negative log-likelihood of the sequences of a batch."""
        return self.losses(batch, generator)

    def validation_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The same without the noise of training."""
        return self.losses(batch, None)

    def log_prob(self, x: Tensor) -> Tensor:
        """log P of the sequences ``x [n, T]``, the end token included, ``[n]`` nats."""
        return torch.cat([self.token_log_probs(part).sum(1) for part in x.split(MEASURED_AT_ONCE)])

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, T]`` int64 draws, token by token."""
        device = next(iter(self.state_dict().values())).device
        blank = torch.zeros((n, self.length), dtype=torch.int64, device=device)
        return self.complete(blank, torch.zeros_like(blank, dtype=torch.bool), generator)

    @torch.no_grad()
    def complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        """``x [n, T]`` with the tokens where ``given [n, T]`` is False drawn anew, given those before them.

        This is a draw given all of the kept tokens if these are the first ones of each sequence. Nothing
        follows an end, given or drawn.
        """
        given = given.expand_as(x)
        parts = zip(x.split(SAMPLED_AT_ONCE), given.split(SAMPLED_AT_ONCE), strict=True)
        return torch.cat([self._complete(some, kept, generator) for some, kept in parts])

    def _complete(self, x: Tensor, given: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.full_like(x, TokenTarget.PAD)
        open_ = torch.ones(len(x), dtype=torch.bool, device=x.device)
        state, tokens = None, torch.full_like(x[:, 0], TokenTarget.END)
        for place in range(self.length - 1):
            log_probs, state = self.advance(state, tokens)
            tokens = torch.where(given[:, place], x[:, place], _drawn(log_probs, generator))
            drawn[:, place] = torch.where(open_, tokens, TokenTarget.PAD)
            open_ = open_ & (tokens != TokenTarget.END)
            if not bool(open_.any()):
                return drawn
        drawn[:, -1] = torch.where(open_, TokenTarget.END, TokenTarget.PAD)
        return drawn


def _drawn(log_probs: Tensor, generator: torch.Generator) -> Tensor:
    """A token for each row of ``log_probs [n, vocabulary]``, int64 ``[n]``, by inverting the CDF.

    torch.multinomial draws as many numbers as there are words, which takes several times as long.
    """
    ladder = log_probs.exp().cumsum(1, dtype=torch.float64)
    uniform = torch.rand((len(ladder), 1), generator=generator, device=ladder.device, dtype=torch.float64)
    drawn = torch.searchsorted(ladder, uniform * ladder[:, -1:], right=True).squeeze(1)
    # Rounding may put the highest draw on the last step.
    return drawn.clamp(max=log_probs.shape[1] - 1)
