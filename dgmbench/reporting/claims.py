"""The lecture's claims on each data set as a page of Markdown: verdicts, then the numbers of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dgmbench.claims.card import Card
from dgmbench.reporting import markdown
from dgmbench.reporting.words import escaped

_HEADS = ("claim", "verdict")


def to_markdown(cards: Sequence[Card]) -> str:
    """The verdicts, one line for each claim; then the statistic of each, or what would decide it."""
    lines = [_HEADS, ("---",) * len(_HEADS), *((escaped(card.text), _verdict(card)) for card in cards)]
    return "\n\n".join([markdown.table(lines), *(_numbers(card) for card in cards)]) + "\n"


def write_cards(cards: Sequence[Card], folder: Path) -> list[Path]:
    """Write `<data set>-claims.md` into `folder`; returns the paths."""
    return markdown.write_pages(cards, "claims", to_markdown, folder)


def _verdict(card: Card) -> str:
    return card.verdict if card.verdict == "undecided" else f"**{card.verdict}**"


def _numbers(card: Card) -> str:
    said = [card.statistic, f"Would decide it: {card.decider}." if card.decider else ""]
    return f"**{escaped(card.text)}** {escaped(' '.join(part for part in said if part))}"
