"""The lecture's claims on each data set as a page of Markdown: verdicts, then the numbers of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.claims.card import Card
from dgmbench.files import write_text
from dgmbench.reporting.words import escaped

_HEADS = ("claim", "verdict")


def to_markdown(cards: Sequence[Card]) -> str:
    """The verdicts, one line for each claim; then the statistic of each, or what would decide it."""
    lines = [_HEADS, ("---",) * len(_HEADS), *((escaped(card.text), _verdict(card)) for card in cards)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return "\n\n".join([table, *(_numbers(card) for card in cards)]) + "\n"


def write_cards(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Write `<data set>-claims.md` into `folder`; returns the paths."""
    paths = []
    for dataset in dict.fromkeys(card.dataset for card in cards):
        path = folder / f"{dataset}-claims.md"
        write_text(path, to_markdown([card for card in cards if card.dataset == dataset]))
        paths.append(path)
    return paths


def _verdict(card: Card) -> str:
    return card.verdict if card.verdict == "undecided" else f"**{card.verdict}**"


def _numbers(card: Card) -> str:
    said = [card.statistic, f"Would decide it: {card.decider}." if card.decider else ""]
    return f"**{escaped(card.text)}** {escaped(' '.join(part for part in said if part))}"
