"""The lecture's claims as a table of Markdown for each data set: claim, verdict, statistic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.claims.card import Card
from dgmbench.files import write_text
from dgmbench.reporting.words import escaped

_HEADS = ("claim", "verdict", "statistic")


def to_markdown(cards: Sequence[Card]) -> str:
    """One line for each claim; of an undecided one without numbers, what would decide it."""
    lines = [_HEADS, ("---",) * len(_HEADS), *(_line(card) for card in cards)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_cards(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Write `<data set>-claims.md` into `folder`; returns the paths."""
    paths = []
    for dataset in dict.fromkeys(card.dataset for card in cards):
        path = folder / f"{dataset}-claims.md"
        write_text(path, to_markdown([card for card in cards if card.dataset == dataset]))
        paths.append(path)
    return paths


def _line(card: Card) -> tuple[str, ...]:
    said = [card.statistic, f"Would decide it: {card.decider}." if card.decider else ""]
    verdict = card.verdict if card.verdict == "undecided" else f"**{card.verdict}**"
    return escaped(card.text), verdict, escaped(" ".join(part for part in said if part))
