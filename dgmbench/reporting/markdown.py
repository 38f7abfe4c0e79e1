"""Tables of Markdown, and a page of it for each data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from dgmbench.files import write_text


class _OfDataset(Protocol):
    @property
    def dataset(self) -> str: ...


T = TypeVar("T", bound=_OfDataset)


def table(lines: Iterable[Sequence[str]]) -> str:
    """A table of lines of cells, which are escaped already: heads, rule, rows."""
    return "\n".join(line(cells) for cells in lines)


def line(cells: Sequence[str]) -> str:
    """`| a | b |`."""
    return "| " + " | ".join(cells) + " |"


def write_pages(found: Sequence[T], what: str, text: Callable[[list[T]], str], folder: Path) -> list[Path]:
    """Write `<data set>-<what>.md` into `folder` for each data set of `found`; returns the paths."""
    paths = []
    for dataset in dict.fromkeys(each.dataset for each in found):
        path = folder / f"{dataset}-{what}.md"
        write_text(path, text([each for each in found if each.dataset == dataset]))
        paths.append(path)
    return paths
