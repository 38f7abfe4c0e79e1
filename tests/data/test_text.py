"""Text as token ids: the tokenizer by example, the vocabulary by hand, arrays and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgmbench.data.schema import TokenTarget
from dgmbench.data.text import (
    SPECIAL,
    build_vocabulary,
    decode,
    encode,
    readable,
    tokenize,
    unknown_share,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("She's late, isn't she?", "she 's late , isn 't she ?"),
        ("five o'clock", "five o 'clock"),
        ("pay $1,000.50 in the 1960s", "pay $ 1,000.50 in the 1960s"),
        ("the 20th; 3.5%", "the 20th ; 3.5 %"),
        ("words like `truth' and `justice'", "words like ` truth ' and ` justice '"),
        ("first-aid kits--and so on...", "first - aid kits -- and so on ..."),
        ("the dogs' ball (or dull)", "the dogs ' ball ( or dull )"),
        ("  Mr.\tSmith  ", "mr . smith"),
        ("", ""),
    ],
)
def test_the_tokenizer_by_example(text: str, tokens: str) -> None:
    assert " ".join(tokenize(text)) == tokens


@given(st.text())
def test_tokens_lose_case_and_white_space_and_nothing_else(text: str) -> None:
    assert "".join(tokenize(text)) == "".join(text.lower().split())


@given(st.text("abc 12.,'`-()$%?!", max_size=30))
def test_readable_text_has_the_same_tokens_unless_white_space_told_them_apart(text: str) -> None:
    tokens = tokenize(text)
    assert "".join(tokenize(readable(tokens))) == "".join(tokens)


@pytest.mark.parametrize(
    "text",
    [
        "she's late, isn't she?",
        "pay $1,000.50 in the 1960s",
        "words like `truth' and `justice'",
        "a dirty (or dingy) white",
        "the dogs' ball",
        "i've a first-aid kit; he hasn't!",
    ],
)
def test_ordinary_sentences_are_readable_again(text: str) -> None:
    assert readable(tokenize(text)) == text


def test_words_ignore_punctuation() -> None:
    assert words_of(tokenize("He ran, and ran!")) == words_of(tokenize("he ran and ran"))
    assert words_of(tokenize("he ran 10 miles")) != words_of(tokenize("he ran 11 miles"))


SENTENCES = [("b", "a", "b"), ("c", "a", "d"), ("b",)]


def test_the_vocabulary_is_the_most_frequent_words_in_a_fixed_order() -> None:
    assert build_vocabulary(SENTENCES, 100) == ["<pad>", "<end>", "<unknown>", "b", "a", "c", "d"]
    assert build_vocabulary(SENTENCES, 6) == ["<pad>", "<end>", "<unknown>", "b", "a", "c"]
    assert not set(SPECIAL.values()) & set(tokenize(" ".join(SPECIAL.values())))


def test_encoding_by_hand_and_back() -> None:
    vocabulary = build_vocabulary(SENTENCES, 5)
    ids = encode(SENTENCES, vocabulary, 4)
    np.testing.assert_array_equal(ids, [[3, 4, 3, 1], [2, 4, 2, 1], [3, 1, 0, 0]])
    assert ids.dtype == np.int32
    assert decode(ids, vocabulary) == ["b a b", "<unknown> a <unknown>", "b"]
    assert unknown_share(ids) == pytest.approx(2 / 7)
    with pytest.raises(ValueError, match="a sentence of 3 tokens and its end do not fit into 3"):
        encode(SENTENCES, vocabulary, 3)


@given(st.lists(st.lists(st.sampled_from("vwxyz"), max_size=5), max_size=6))
def test_known_words_survive_the_way_through_ids(sentences: list[list[str]]) -> None:
    vocabulary = build_vocabulary(sentences, 100)
    ids = encode(sentences, vocabulary, 6)
    assert decode(ids, vocabulary) == [" ".join(sentence) for sentence in sentences]
    assert ((ids == TokenTarget.END).sum(1) == 1).all() and unknown_share(ids) == 0
