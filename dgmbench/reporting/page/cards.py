"""The lecture's claims as cards of the page: a picture, and links to the rows that hold the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dgmbench.claims.card import CONTROL_CHART, Card
from dgmbench.claims.claim import VERDICTS
from dgmbench.metrics import declared
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.page.grid import anchor
from dgmbench.reporting.page.images import CARD_WIDTH, figure_anchor, thumbnail
from dgmbench.reporting.page.places import Places
from dgmbench.reporting.records import CONTROL

# Figures that stand for others where a card names no models whose sheets are there.
_INSTEAD = {"all samples": ("strip", "all samples")}
# Sheets of samples of a card's models side by side, so many at most, and their width in CSS pixels.
SHEETS, SHEET_WIDTH = 4, 80
# Links to rows of a card; it has room for so many.
LINKS = 6


def card_view(card: Card, pictures: Sequence[Picture], places: Places) -> dict[str, Any]:
    """What a template draws of a card."""
    sheets = sample_sheets(card, pictures)
    picture = pictured(card, pictures) if card.statistic and not sheets else None
    return {
        "card": card,
        "anchor": anchor(card.dataset, "claim", card.name),
        "sheets": [_thumbnail(sheet, SHEET_WIDTH) for sheet in sheets],
        "picture": None if picture is None else _thumbnail(picture),
        "rows": _links(card, places),
    }


def verdicts(cards: Sequence[Card]) -> str:
    """How many of the claims have which verdict."""
    count = Counter(card.verdict for card in cards)
    blank = sum(not card.statistic for card in cards)
    said = ", ".join(f"{count[verdict]} {verdict}" for verdict in VERDICTS)
    return f"{said}{f' ({blank} of these without numbers)' if blank else ''}."


def sample_sheets(card: Card, pictures: Sequence[Picture]) -> list[Picture]:
    """Samples of the models that a card is about, where it shows samples."""
    if card.picture != "all samples":
        return []
    own = [p for p in pictures if (p.dataset, p.view, p.role) == (card.dataset, card.view, "samples")]
    return [p for model in card.models for p in own if p.model == model][:SHEETS]


def pictured(card: Card, pictures: Sequence[Picture]) -> Picture | None:
    """The figure of a card: of its role, view and subject, and of its metric where there are several."""
    for role in _INSTEAD.get(card.picture, (card.picture,)):
        there = [p for p in pictures if p.dataset == card.dataset and p.role == role]
        there = [p for p in there if not card.pictured or p.model == card.pictured]
        # Errors by labels are of all views.
        there = [p for p in there if p.view == card.view] or there
        if there:
            return max(there, key=lambda picture: _says(picture, card))
    return None


def _says(picture: Picture, card: Card) -> bool:
    """Whether the title of a figure names the first metric of a card."""
    return bool(card.metrics) and declared(card.metrics[0]).label in picture.title


def _thumbnail(picture: Picture, width: int = CARD_WIDTH) -> dict[str, Any]:
    if picture.role == CONTROL_CHART:
        target = anchor(picture.dataset, "control", picture.model)
    elif picture.role == "all samples":
        target = anchor(picture.dataset, picture.view, "samples")
    else:
        target = figure_anchor(picture)
    return {
        "href": f"#{target}",
        "alt": picture.alt,
        "title": picture.title,
        **thumbnail(picture.path, width),
    }


def _links(card: Card, places: Places) -> list[dict[str, str]]:
    """Names of rows and where they stand; parts of a control lead to that control."""
    found: dict[str, str] = {}
    for model in card.models:
        if model.startswith(CONTROL):
            control = model.split("/")[1]
            found.setdefault(control, anchor(card.dataset, "control", control))
        else:
            place = places.row(card.dataset, card.view, model, card.metrics)
            if place:
                found.setdefault(model, place)
    links = [{"name": name, "href": f"#{place}"} for name, place in found.items()]
    return links[:LINKS]
