"""Sampled sentences beside test sentences: what stands in which column."""

from __future__ import annotations

import numpy as np

from dgmbench.data.text import SPECIAL, encode
from dgmbench.reporting.sentences import side_by_side, to_markdown
from dgmbench.reporting.words import of_examples

VOCABULARY = [*SPECIAL.values(), "a", "b", "|", "*"]


def ids(*texts: str) -> np.ndarray:
    return encode([text.split() for text in texts], VOCABULARY, 5)


def test_the_first_sentences_of_each_stand_side_by_side() -> None:
    found = side_by_side(ids("a b", "b", "a"), {"lstm": ids("b b |", "")}, VOCABULARY, shown=2)
    assert [each.source for each in found] == ["test data", "lstm"]
    assert [each.texts for each in found] == [("a b", "b"), ("b b |", "")]


def test_markdown_shows_the_text_as_it_stands() -> None:
    found = side_by_side(ids("a zebra", "b", "*"), {"lstm": ids("b |")}, VOCABULARY)
    assert to_markdown("Sentences", found).splitlines()[4:] == [
        "| test data | lstm |",
        "| --- | --- |",
        "| a \\<unknown> | b \\| |",
        "| b |  |",
        "| \\* |  |",
    ]


def test_words_about_images_are_about_sentences_where_those_are_modelled() -> None:
    said = "mean over 300 test images, image by image (images/s); an imagery"
    assert of_examples(said, "gray") == said
    assert of_examples(said, "tokens") == (
        "mean over 300 test sentences, sentence by sentence (sentences/s); an imagery"
    )
