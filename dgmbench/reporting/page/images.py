"""Figures inside the page: embedded whole, or as thumbnails, so that nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.page.grid import anchor
from dgmbench.reporting.page.roles import Part, roles_of
from dgmbench.reporting.words import of_examples

if TYPE_CHECKING:
    from PIL import Image

# CSS pixels of a picture on a card at most.
CARD_WIDTH, CARD_HEIGHT = 360, 230
_MODES = ("RGB", "RGBA")


def figure_anchor(picture: Picture) -> str:
    """The place of a figure in the page."""
    return anchor("figure", picture.path.stem)


def groups(pictures: Sequence[Picture], part: Part, *where: str) -> list[dict[str, Any]]:
    """The figures of a part of the page by role: heading, layout and embedded images.

    where: of the anchor of each group. A caption that most figures of a group share stands once for them.
    """
    found = []
    for role in roles_of(part, (picture.role for picture in pictures)):
        own = [picture for picture in pictures if picture.role == role.name]
        captions = [of_examples(picture.caption or role.caption, picture.view) for picture in own]
        shared = _shared(captions)
        images = [
            embedded(picture) | {"caption": "" if caption == shared else caption}
            for picture, caption in zip(own, captions, strict=True)
        ]
        found.append({"role": role, "anchor": anchor(*where, role.name), "caption": shared, "images": images})
    return found


def captioned(picture: Picture) -> dict[str, Any]:
    """What a template draws of a figure with its own caption, unless that says no more than its title."""
    return embedded(picture) | {"caption": "" if picture.caption == picture.title else picture.caption}


def _shared(captions: Sequence[str]) -> str:
    """The caption of more than half of the figures of a group; empty if there is none."""
    caption, count = Counter(captions).most_common(1)[0]
    return caption if 2 * count > len(captions) else ""


def embedded(picture: Picture) -> dict[str, Any]:
    """What a template draws of a figure."""
    return {
        "uri": whole(picture.path),
        "alt": picture.alt,
        "title": picture.title,
        "model": picture.model,
        "anchor": figure_anchor(picture),
    }


def whole(path: Path) -> str:
    """The address of a figure with all its pixels: as WebP without loss, half the bytes of PNG."""
    from PIL import Image

    with Image.open(path) as picture:
        return _webp(picture if picture.mode in _MODES else picture.convert("RGB"), lossless=True, quality=50)


def thumbnail(path: Path, width: int = CARD_WIDTH) -> dict[str, Any]:
    """A figure as wide as its place, cut below where it is tall: its address, width and height in CSS pixels.

    Twice as many pixels as CSS pixels, for fine screens.
    """
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((2 * width, 2 * width * small.height), Image.Resampling.LANCZOS)
    small = small.crop((0, 0, small.width, min(small.height, 2 * CARD_HEIGHT)))
    return {"uri": _webp(small, quality=70), "width": small.width // 2, "height": small.height // 2}


def _webp(picture: Image.Image, **how: Any) -> str:
    out = io.BytesIO()
    picture.save(out, format="WEBP", **how)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
