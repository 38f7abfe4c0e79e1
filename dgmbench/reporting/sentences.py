"""Sampled sentences beside test sentences, as text.

The first ones of each, in the order in which they were drawn or dealt; they are not selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.data.dataset import Dataset
from dgmbench.data.text import decode
from dgmbench.files import write_text
from dgmbench.reporting.run_files import Run, first_finished

SHOWN = 15
TEST = "test data"


@dataclass(frozen=True)
class Sentences:
    """Sentences of the test set, or of one run: who wrote them, and the text of each."""

    source: str
    texts: tuple[str, ...]


def sampled_sentences(
    runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]], data_root: Path
) -> dict[str, list[Sentences]]:
    """By data set of sentences, test sentences and those that the first finished run of each model drew."""
    found = {}
    for dataset, manifest in manifests.items():
        own = first_finished([run for run in runs if (run.dataset, run.view) == (dataset, "tokens")])
        drawn = {run.model: samples for run in own if (samples := run.samples()) is not None}
        if drawn:
            data = Dataset(dataset, Path(data_root) / dataset, dict(manifest))
            found[dataset] = side_by_side(data.examples("test"), drawn, data.vocabulary())
    return found


def write_sentences(found: Mapping[str, Sequence[Sentences]], folder: Path) -> list[Path]:
    """Write `<dataset>-sentences.md` into `folder`; returns the paths."""
    paths = []
    for dataset, columns in found.items():
        paths.append(Path(folder) / f"{dataset}-sentences.md")
        write_text(paths[-1], to_markdown(f"Sentences of {dataset}", columns))
    return paths


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
