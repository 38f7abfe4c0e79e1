"""Sampled sentences beside test sentences, as text.

The first ones of each, in the order in which they were drawn or dealt: nobody chose them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.data.text import decode
from dgmbench.reporting.run_files import Run, first_finished, test_sentences

SHOWN = 15
TEST = "test data"


@dataclass(frozen=True)
class Sentences:
    """Sentences of the test set, or of one run: who wrote them, and the text of each."""

    source: str
    texts: tuple[str, ...]


def side_by_side(
    test: np.ndarray, samples: Mapping[str, np.ndarray], vocabulary: Sequence[str], shown: int = SHOWN
) -> list[Sentences]:
    """The first sentences of the test set and of each model.

    Args:
        test: ids ``[n, T]``.
        samples: ids ``[n, T]`` by model.
        vocabulary: the word of each id.
        shown: how many of each.
    """
    columns = {TEST: test, **samples}
    return [Sentences(source, tuple(decode(ids[:shown], vocabulary))) for source, ids in columns.items()]


def sampled_sentences(
    runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]], data_root: Path
) -> dict[str, list[Sentences]]:
    """By data set of sentences, those of the test set and of the first run of each model that finished."""
    found = {}
    for dataset, manifest in manifests.items():
        own = first_finished([run for run in runs if run.dataset == dataset and run.view == "tokens"])
        if own:
            test, vocabulary = test_sentences(data_root, manifest)
            drawn = {run.model: samples for run in own if (samples := run.samples()) is not None}
            found[dataset] = side_by_side(test, drawn, vocabulary)
    return found


def to_markdown(title: str, found: Sequence[Sentences]) -> str:
    """A table with a column for each source."""
    rows = zip(*(_padded(each.texts, found) for each in found), strict=True)
    shown = max(len(each.texts) for each in found)
    lines = [
        f"# {title}",
        "",
        f"The first {shown} test sentences, and the first ones that a run of each model drew.",
        "",
        _row(each.source for each in found),
        _row("---" for _ in found),
        *(_row(map(_escaped, row)) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _padded(texts: Sequence[str], found: Sequence[Sentences]) -> list[str]:
    longest = max(len(each.texts) for each in found)
    return [*texts, *[""] * (longest - len(texts))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """So that Markdown shows it as it stands."""
    for character in "\\|`*_<[":
        text = text.replace(character, f"\\{character}")
    return text
