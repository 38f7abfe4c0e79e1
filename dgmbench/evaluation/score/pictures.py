"""One image file as pixels of a data set's shape, and what had to be done for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmbench.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

# By Pillow's mode.
KINDS = {
    "1": "black and white",
    "L": "gray",
    "LA": "gray with alpha",
    "P": "palette",
    "PA": "palette with alpha",
    "RGB": "colour",
    "RGBA": "colour with alpha",
}
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N")
# What may be done to a file, and the words that report it.
DONE = {
    "turned": "turned or mirrored as their orientation tag says",
    "gray": "in colour turned gray (.299 R + .587 G + .114 B)",
    "repeated": "in gray repeated over the three channels",
    "composed": "with transparent pixels composed on {background} (--background)",
    "first": "hold several images (pages, an animation): the first of each is read",
    "shallow": "of 16 bits a channel read to 8",
    "lossy": "are JPEG: the traces of its compression are scored with them",
}
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """pixels: [C, H, W], uint8 or uint16 over the whole range; kind: format and mode; done: keys of DONE."""

    pixels: np.ndarray[Any, Any]
    kind: str
    done: tuple[str, ...]


def read_picture(file: Path, shape: tuple[int, int, int], background: str) -> Picture:
    """An upright image of `shape` (C, H, W), transparent pixels composed on `background`.

    16-bit gray is kept. Colour profiles are not applied.
    Raises DataError, naming the file, for other sizes, kinds of pixel without one meaning in gray or colour,
    and files that cannot be read.
    """
    from PIL import Image

    try:
        # A pipe would be waited for.
        if not file.is_file():
            raise DataError(f"{file} is no regular file" if file.exists() else f"{file} links to nothing")
        with Image.open(file) as image:
            return _picture(image, file, shape, background)
    except DataError:
        raise
    # Pillow's readers fail in many ways, some of them with a warning that is an error (huge images).
    except Exception as error:
        raise DataError(f"{file} cannot be read: {error}") from error


def _picture(image: Image, file: Path, shape: tuple[int, int, int], background: str) -> Picture:
    from PIL import ImageOps

    channels, height, width = shape
    mode = _mode(image, file)
    depth = "16-bit gray" if mode == "I;16" else KINDS[mode]
    # Before anything loads the pixels, which leaves no trace of how they lay in the file.
    shallow = mode != "I;16" and any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))
    orientation = image.getexif().get(ORIENTATION, 1)
    # A TIFF file's size is that of the turned image before it is turned.
    sideways = orientation in (5, 6, 7, 8) and image.format != "TIFF"
    _check_size(image.size[::-1] if sideways else image.size, (width, height), file)
    done = {
        "turned": orientation in range(2, 9),
        "first": getattr(image, "n_frames", 1) > 1 and image.format != "MPO",
        "shallow": shallow,
        "lossy": image.format in ("JPEG", "MPO"),
    }
    upright = ImageOps.exif_transpose(image)
    _check_size(upright.size, (width, height), file)
    if mode == "I;16":
        pixels, done["repeated"] = np.asarray(upright).astype(np.uint16)[:, :, None], channels == 3
    else:
        flat, done["composed"] = _flattened(upright, file, background)
        pixels = np.asarray(flat.convert("RGB"))
        coloured = bool((pixels != pixels[:, :, :1]).any())
        done["gray"] = coloured and channels == 1
        done["repeated"] = channels == 3 and mode in ("1", "L", "LA")
        pixels = np.asarray(flat.convert("L"))[:, :, None] if done["gray"] else pixels[:, :, :channels]
    pixels = np.broadcast_to(pixels, (height, width, channels)).transpose(2, 0, 1)
    return Picture(pixels, f"{image.format} {depth}", tuple(what for what, so in done.items() if so))


def _mode(image: Image, file: Path) -> str:
    """A key of KINDS, or I;16 for any gray of 16 bits."""
    # Pillow holds some files of 16 bits in 32.
    deep = image.mode in DEEP_MODES or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if deep and "transparency" not in image.info:
        return "I;16"
    if image.mode not in KINDS:
        why = "what gray or colour they are depends on a profile or range; convert the files first"
        raise DataError(
            f"{file} has pixels of mode {image.mode}: {why}. These modes are read: {', '.join(KINDS)}, I;16"
        )
    return image.mode


def _check_size(found: tuple[int, int], wanted: tuple[int, int], file: Path) -> None:
    if found != wanted:
        raise DataError(
            f"{file} has {found[1]}x{found[0]} pixels and the data set {wanted[1]}x{wanted[0]}; "
            "resize the images first, as resizing is part of what is scored"
        )


def _flattened(image: Image, file: Path, background: str) -> tuple[Image, bool]:
    """The image without alpha, and whether any pixel was transparent."""
    from PIL import Image as Images

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image, False
    colours = image.convert("RGBA")
    alpha = np.asarray(colours.getchannel("A"))
    composed = Images.alpha_composite(Images.new("RGBA", image.size, background), colours).convert("RGB")
    pixels = np.asarray(composed)
    if (alpha != alpha[0, 0]).any() and (pixels == pixels[0, 0]).all():
        raise DataError(
            f"{file}: the drawing is in alpha alone: composed on {background} nothing is left of it; write "
            "the files without alpha, or try the other --background"
        )
    return composed, bool((alpha < 255).any())
