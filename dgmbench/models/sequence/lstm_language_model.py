"""LSTM language model (Zaremba, Sutskever & Vinyals 2014, "Recurrent Neural Network Regularization").

The next word is predicted from the top layer of an LSTM that has read the words before it. Dropout is on
the connections that lead up (section 3.2, eq. 4 to 9): on the embedded words, between layers, and before the
output, with a mask of its own for each word; never on those that lead on in time.

The output layer may be the embedding's transpose (Press & Wolf 2017, section 3; Inan, Khosravi & Socher
2017). The LSTM may then be wider than the embedding: a linear layer comes between, as in the recurrent
projections of Sak, Senior & Beaufays 2014 (section 2.2) but outside of the recurrence.

Deviations: sentences are independent of each other, as their order in WordNet is that of the dictionary; so
each is read from an empty state, after an end token that stands for its start. Adam in place of the stepped
gradient descent, chosen on validation perplexity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.models.base import ModelSettings
from dgmbench.models.sequence.token_model import TokenModel
from dgmbench.settings.block import Few

# Hidden and cell state of each layer, each [1, n, hidden].
State = list[tuple[Tensor, Tensor]]


class LstmSettings(ModelSettings):
    """Sizes of the network, and its regularisation."""

    embedding: PositiveInt = Field(128, description="width of a word's vector")
    hidden: PositiveInt = Field(256, description="width of each LSTM layer")
    layers: Few = Field(1, description="LSTM layers")
    dropout: float = Field(0.5, ge=0, lt=1, description="on words, between layers and before the output")
    tied: bool = Field(True, description="the output layer is the transposed embedding")


class LstmLanguageModel(TokenModel):
    """An LSTM over words, with exact likelihoods and ancestral samples."""

    Settings = LstmSettings

    def __init__(self, settings: LstmSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.dropout = settings.dropout
        self.embedding = nn.Embedding(self.vocabulary, settings.embedding)
        widths = [settings.embedding] + [settings.hidden] * (settings.layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(width, settings.hidden, batch_first=True) for width in widths)
        self.projection: nn.Module = nn.Identity()
        if settings.hidden != settings.embedding:
            self.projection = nn.Linear(settings.hidden, settings.embedding, bias=False)
        self.output = None if settings.tied else nn.Linear(settings.embedding, self.vocabulary, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.vocabulary))
        # Section 4.1, the small model; the layers keep torch's.
        for tables in (self.embedding, self.output):
            if tables is not None:
                nn.init.uniform_(tables.weight, -0.1, 0.1)

    def token_log_probs(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """log P of every token, ``[n, T]`` nats; 0 where a token costs nothing; see `TokenModel`."""
        lengths = self.scored(x).sum(1)
        top, _ = self._read(x, lengths, generator)
        targets = _packed(x, lengths).data
        nats = F.cross_entropy(self._logits(top.data, generator), targets - 1, reduction="none")
        found, _ = pad_packed_sequence(top._replace(data=-nats), batch_first=True, total_length=self.length)
        return found

    def encode(self, x: Tensor) -> Tensor:
        """The state of the top layer after the last word of ``x [n, T]``, before the end: ``[n, hidden]``."""
        words = (x != TokenTarget.PAD) & (x != TokenTarget.END)
        _, (state, _) = self._read(x, words.sum(1) + 1, None)
        return state[0]

    def advance(self, state: State | None, tokens: Tensor) -> tuple[Tensor, State]:
        """Read one token of each sequence; log P of the next one, ``[n, vocabulary]``."""
        hidden, after = self.embedding(tokens)[:, None], []
        states: Sequence[Any] = state or [None] * len(self.layers)
        for layer, before in zip(self.layers, states, strict=True):
            hidden, last = layer(hidden, before)
            after.append(last)
        found = F.log_softmax(self._logits(hidden[:, 0], None), 1)
        return F.pad(found, (1, 0), value=-torch.inf), after

    def _read(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None
    ) -> tuple[PackedSequence, tuple[Tensor, Tensor]]:
        """Read an end token and the first words of ``x [n, T]``, `lengths` tokens in all, without padding.

        Returns:
            The top layer's outputs, and its hidden and cell state at the end, each ``[1, n, hidden]``.
        """
        start = torch.full_like(x[:, :1], TokenTarget.END)
        tokens = _packed(torch.cat([start, x[:, :-1]], 1), lengths)
        hidden = tokens._replace(data=self.embedding(tokens.data))
        for layer in self.layers:
            hidden, last = layer(hidden._replace(data=self._dropped(hidden.data, generator)))
        return hidden, last

    def _logits(self, top: Tensor, generator: torch.Generator | None) -> Tensor:
        """Scores of the tokens 1, 2, ... (all but padding), ``[M, vocabulary - 1]``, from ``[M, hidden]``."""
        table = self.embedding if self.output is None else self.output
        return F.linear(self.projection(self._dropped(top, generator)), table.weight[1:], self.bias[1:])

    def _dropped(self, hidden: Tensor, generator: torch.Generator | None) -> Tensor:
        """Each value is 0 with probability `dropout` and else scaled up; without a generator nothing is."""
        if generator is None or self.dropout == 0:
            return hidden
        kept = torch.rand(hidden.shape, generator=generator, device=hidden.device) >= self.dropout
        return hidden * kept / (1 - self.dropout)


def _packed(x: Tensor, lengths: Tensor) -> PackedSequence:
    """The first `lengths` of each row of ``x [n, T]``."""
    return pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
