"""Pictures of images: grids and pairs, composed pixel by pixel so that every source pixel stays crisp."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dgmbench.files import replacing

GAP = 1


def to_bytes(images: np.ndarray, levels: int) -> np.ndarray:
    """Levels 0..levels-1 `[n, C, H, W]` to uint8 `[n, H, W, 3]`; `ValueError` unless C is 1 or 3."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images of shape {images.shape}: expected [n, 1 or 3, H, W]")
    scaled = np.round(images.astype(np.float64) * (255 / (levels - 1))).clip(0, 255).astype(np.uint8)
    return np.repeat(scaled, 3 // images.shape[1], axis=1).transpose(0, 2, 3, 1)


def tile(images: np.ndarray, columns: int, gap: int = GAP, paper: int = 128) -> np.ndarray:
    """Lay `[n, H, W, 3]` out in rows of `columns`, `gap` source pixels of `paper` gray between them."""
    n, height, width, _ = images.shape
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), paper, np.uint8)
    for i in range(n):
        top, left = (i // columns) * (height + gap) + gap, (i % columns) * (width + gap) + gap
        sheet[top : top + height, left : left + width] = images[i]
    return sheet


def enlarge(picture: np.ndarray, width: int) -> np.ndarray:
    """Repeat pixels by the largest whole factor that keeps `[H, W, 3]` within `width` (at least 1)."""
    factor = max(1, width // picture.shape[1])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def sample_sheet(images: np.ndarray, levels: int, n: int = 36, width: int = 320) -> np.ndarray:
    """A square-ish sheet of the first `n` of `images` `[n, C, H, W]`, enlarged to about `width` pixels."""
    chosen = to_bytes(np.asarray(images[:n]), levels)
    return enlarge(tile(chosen, math.ceil(math.sqrt(len(chosen)))), width)


def row_sheet(rows: Sequence[np.ndarray], levels: int, n: int = 8, width: int = 640) -> np.ndarray:
    """One row for each of `rows`, the first `n` of their `[m, C, H, W]`: what belongs together in columns."""
    images = np.concatenate([to_bytes(row[:n], levels) for row in rows])
    return enlarge(tile(images, min(n, len(rows[0]))), width)


def png_bytes(picture: np.ndarray) -> bytes:
    """PNG of uint8 `[H, W, 3]`: no date, no version, the same bytes for the same pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    flat = picture[..., 0] if (picture == picture[..., :1]).all() else picture
    Image.fromarray(flat).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def write_png(picture: np.ndarray, path: Path) -> None:
    """Write `[H, W, 3]` as PNG, whole or not at all."""
    with replacing(path) as aside:
        aside.write_bytes(png_bytes(picture))
