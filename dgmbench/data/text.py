"""Text as token ids: a small tokenizer, a vocabulary of the training words, padded arrays.

Tokens are, of the lower-cased text, from left to right the longest of

- a number with its separators and any letters that follow: ``1,000``, ``3.5``, ``1960s``;
- a run of letters: ``cat``;
- an apostrophe and the letters after it, which continue the word before: ``'s``, ``'t``, ``'clock``;
- three dots, or two hyphens;
- any other character that is not white space, alone.

Upper case, and where white space stood, are lost; nothing else is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dgmbench.data.schema import TokenTarget
from dgmbench.data.splits import Sentence

TOKEN = re.compile(r"\d+(?:[.,]\d+)*[^\W\d_]*|[^\W\d_]+|'[^\W\d_]+|\.\.\.|--|\S")
# The words of the special tokens, by id. No tokenized text holds them: `<` and `>` are tokens of their own.
SPECIAL = {TokenTarget.PAD: "<pad>", TokenTarget.END: "<end>", TokenTarget.UNKNOWN: "<unknown>"}
_CLOSING = frozenset(".,;:!?)]%")
_OPENING = frozenset("([$`")
_JOINING = frozenset("-/")


def tokenize(text: str) -> tuple[str, ...]:
    """The tokens of a text."""
    return tuple(TOKEN.findall(text.lower()))


def words_of(sentence: Sentence) -> tuple[str, ...]:
    """Its tokens that hold letters or digits: sentences that agree in these are taken for the same one."""
    return tuple(token for token in sentence if any(character.isalnum() for character in token))


def readable(tokens: Iterable[str]) -> str:
    """Tokens as text, with white space where English has it; of an unpaired quote it is a guess."""
    text, joined, quoted = "", True, False
    for token in tokens:
        closes = token in _CLOSING or token in _JOINING or token in ("--", "...")
        continues = token.startswith("'") and (len(token) > 1 or quoted or text.endswith("s"))
        text += token if joined or closes or continues else f" {token}"
        joined = token in _OPENING or token in _JOINING or token == "--"
        quoted = token == "`" or (quoted and token != "'")
    return text


def build_vocabulary(sentences: Iterable[Sentence], size: int) -> list[str]:
    """The words of ids 0, 1, 2, ...: the special ones, then the most frequent words, at most `size` in all.

    Of words seen equally often the alphabetically first come first.
    """
    counts = Counter(token for sentence in sentences for token in sentence)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return [SPECIAL[i] for i in range(len(SPECIAL))] + ranked[: size - len(SPECIAL)]


def encode(
    sentences: Sequence[Sentence], vocabulary: Sequence[str], length: int
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Sentences as ids, int32 ``[n, length]``: the words, the end token, padding.

    Raises:
        ValueError: a sentence has no room for its end token.
    """
    ids = {word: i for i, word in enumerate(vocabulary)}
    array = np.full((len(sentences), length), TokenTarget.PAD, "<i4")
    for row, sentence in zip(array, sentences, strict=True):
        if len(sentence) >= length:
            raise ValueError(f"a sentence of {len(sentence)} tokens and its end do not fit into {length}")
        row[: len(sentence)] = [ids.get(word, TokenTarget.UNKNOWN) for word in sentence]
        row[len(sentence)] = TokenTarget.END
    return array


def decode(ids: np.ndarray[Any, Any], vocabulary: Sequence[str]) -> list[str]:
    """The text of every row of ``ids [n, length]``, up to its end token."""
    texts = []
    for row in ids.tolist():
        stop = row.index(TokenTarget.END) if TokenTarget.END in row else len(row)
        texts.append(readable(vocabulary[i] for i in row[:stop]))
    return texts


def unknown_share(ids: np.ndarray[Any, Any]) -> float:
    """The share of UNKNOWN among the words (end tokens and padding left out) of ``ids [n, length]``."""
    words = (ids != TokenTarget.PAD) & (ids != TokenTarget.END)
    return float((ids == TokenTarget.UNKNOWN).sum() / max(1, words.sum()))
