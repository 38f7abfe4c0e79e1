"""Folders of image files: each kind of file is read rightly and counted, or refused with a sentence."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from asking import BYTES, SHAPE
from PIL import Image
from torch import Tensor

from dgmbench.errors import DataError
from dgmbench.evaluation.score.samples import Samples, read_samples

COLOUR = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
GRAY = BYTES[0, 0]


def scaled(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels)).float()[None] / 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two gray images, which sort last."""
    for i in (1, 2):
        Image.fromarray(BYTES[i, 0]).save(tmp_path / f"z{i}.png")
    return tmp_path


def told(samples: Samples, words: str) -> bool:
    return any(words in decision for decision in samples.decisions)


def png(depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG file of 8 rows, whatever Pillow can write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(folder: Path, suffix: str, orientation: int) -> None:
    turns = [None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180,
             Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_90,
             Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_270]  # fmt: skip
    # Smooth, so that JPEG keeps it.
    upright = Image.fromarray(np.add.outer(np.arange(8) * 20, np.arange(8) * 8).astype(np.uint8))
    turn = turns[orientation - 1]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"tiffinfo": {0x0112: orientation}} if suffix == "tif" else {"exif": exif}
    stored.save(folder / f"a.{suffix}", **how, **({"lossless": True} if suffix == "webp" else {}))
    found = read_samples(folder, SHAPE)
    torch.testing.assert_close(found.images[0], scaled(np.asarray(upright)), rtol=0, atol=0.02)
    assert told(found, "1 of 3 files turned or mirrored") is (orientation > 1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_oblong_images_lie_as_their_orientation_says(tmp_path: Path, suffix: str) -> None:
    array = np.arange(48, 96, dtype=np.uint8).reshape(6, 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(2):
        how = {"tiffinfo": {0x0112: 6}, "compression": "tiff_deflate"} if suffix == "tif" else {"exif": exif}
        Image.fromarray(array).save(tmp_path / f"{i}.{suffix}", **how)
    found = read_samples(tmp_path, (1, 8, 6))
    assert torch.equal(found.images[0], scaled(np.rot90(array, -1).copy()))
    with pytest.raises(DataError, match="has 8x6 pixels and the data set 6x8"):
        read_samples(tmp_path, (1, 6, 8))


def test_a_turned_file_whose_rows_pillow_mixes_up_is_refused(tmp_path: Path) -> None:
    for i in range(2):
        array = np.arange(48, 96, dtype=np.uint8).reshape(6, 8)
        Image.fromarray(array).save(tmp_path / f"{i}.tif", tiffinfo={0x0112: 6})
    for shape in ((1, 8, 6), (1, 6, 8)):
        with pytest.raises(DataError, match="pixels and the data set"):
            read_samples(tmp_path, shape)


def luma(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def with_alpha(background: int) -> np.ndarray:
    alpha = GRAY[:, :, None] / 255
    return luma(np.rint(COLOUR * alpha + background * (1 - alpha)).astype(np.uint8))


PALETTE = Image.fromarray(COLOUR).quantize(8)
READ = {
    "gray": (lambda p: Image.fromarray(GRAY).save(p / "a.png"), GRAY, "3 image files: 3 PNG gray"),
    "gray in three channels": (
        lambda p: Image.fromarray(GRAY).convert("RGB").save(p / "a.png"), GRAY, "2 PNG gray, 1 PNG colour"),
    "colour": (
        lambda p: Image.fromarray(COLOUR).save(p / "a.png"), luma(COLOUR),
        "1 of 3 files in colour turned gray"),
    "two kinds": (
        lambda p: Image.fromarray(COLOUR).save(p / "a.png"), luma(COLOUR), "of several kinds"),
    "black and white": (
        lambda p: Image.fromarray(GRAY > 127).save(p / "a.bmp"), 255 * (GRAY > 127), "1 BMP black and white"),
    "palette": (
        lambda p: PALETTE.save(p / "a.png"), luma(np.asarray(PALETTE.convert("RGB"))), "1 PNG palette"),
    "opaque alpha": (
        lambda p: Image.fromarray(GRAY).convert("RGBA").save(p / "a.png"), GRAY, "1 PNG colour with alpha"),
    "alpha": (
        lambda p: Image.fromarray(np.dstack([COLOUR, GRAY])).save(p / "a.png"), with_alpha(0),
        "1 of 3 files with transparent pixels composed on black"),
    "gray and alpha": (
        lambda p: Image.fromarray(np.dstack([GRAY, GRAY])).save(p / "a.png"),
        np.rint(GRAY / 255 * GRAY), "1 of 3 files with transparent pixels composed on black"),
    "a transparent gray": (
        lambda p: Image.fromarray(GRAY).save(p / "a.png", transparency=int(GRAY[0, 0])),
        GRAY * (int(GRAY[0, 0]) != GRAY), "composed on black"),
    "upper case": (
        lambda p: Image.fromarray(GRAY).save(p / "A.PNG"), GRAY, "3 PNG gray"),
    "JPEG": (
        lambda p: Image.fromarray(GRAY).save(p / "a.jpg", quality=100, subsampling=0), GRAY,
        "1 of 3 files are JPEG"),
    "animation": (
        lambda p: Image.fromarray(GRAY).save(
            p / "a.gif", save_all=True, append_images=[Image.fromarray(255 - GRAY)]), GRAY,
        "1 of 3 files hold several images (pages, an animation): the first"),
    "pages": (
        lambda p: Image.fromarray(GRAY).save(
            p / "a.tif", save_all=True, append_images=[Image.fromarray(255 - GRAY)]), GRAY,
        "1 of 3 files hold several images"),
    "16 bits": (
        lambda p: Image.fromarray(GRAY.astype(np.uint16) * 257).save(p / "a.png"), GRAY, "1 PNG 16-bit gray"),
    "16 bits, TIFF": (
        lambda p: Image.fromarray(GRAY.astype(np.uint16) * 257).save(p / "a.tif"), GRAY,
        "1 TIFF 16-bit gray"),
    "16 bits, PGM": (
        lambda p: (p / "a.pgm").write_bytes(b"P5 8 8 65535\n" + (GRAY.astype(">u2") * 257).tobytes()), GRAY,
        "1 PPM 16-bit gray"),
    "16 bits of colour": (
        lambda p: (p / "a.png").write_bytes(png(16, 2, b"".join(
            b"\0" + row.astype(">u2").tobytes() for row in COLOUR * np.uint16(257)))), luma(COLOUR),
        "1 of 3 files of 16 bits a channel read to 8"),
    "sub-folders": (
        lambda p: [(p / "0" / "x").mkdir(parents=True), Image.fromarray(GRAY).save(p / "0" / "x" / "a.png")],
        GRAY, "3 image files in 2 folders"),
    "linked folder": (
        lambda p: [(p.parent / f"{p.name}-apart").mkdir(),
                   Image.fromarray(GRAY).save(p.parent / f"{p.name}-apart" / "a.png"),
                   (p / "0").symlink_to(p.parent / f"{p.name}-apart"), (p / "1").symlink_to(p)],
        GRAY, "3 image files in 2 folders"),
    "hidden files": (
        lambda p: [(p / "._z1.png").write_bytes(b"no image"), (p / ".git").mkdir(),
                   (p / ".git" / "x.png").write_bytes(b""), Image.fromarray(GRAY).save(p / "a.png")],
        GRAY, "2 hidden files or folders"),
    "other files": (
        lambda p: [(p / "labels.csv").write_text("7"), Image.fromarray(GRAY).save(p / "a.png")],
        GRAY, "1 other files skipped (labels.csv)"),
    "a name that is not UTF-8": (
        lambda p: Image.fromarray(GRAY).save(os.fsencode(p) + b"/a\xff.png", "png"), GRAY, "3 PNG gray"),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_kinds_of_files_are_read_and_told(folder: Path, kind: str) -> None:
    write, expected, words = READ[kind]
    write(folder)
    found = read_samples(folder, SHAPE)
    # A level: Pillow rounds what it composes; three: JPEG.
    tolerance = {"JPEG": 3.5, "alpha": 1.01, "gray and alpha": 1.01}.get(kind, 1e-4) / 255
    torch.testing.assert_close(
        found.images[0], scaled(np.asarray(expected, dtype=np.float32)), rtol=0, atol=tolerance
    )
    assert len(found.images) == 3
    assert told(found, words), found.decisions


def test_transparent_pixels_are_composed_on_white_where_asked(folder: Path) -> None:
    Image.fromarray(np.dstack([COLOUR, GRAY])).save(folder / "a.png")
    found = read_samples(folder, SHAPE, background="white")
    torch.testing.assert_close(found.images[0], scaled(with_alpha(255)), rtol=0, atol=1.01 / 255)
    assert told(found, "composed on white")


def test_gray_is_repeated_for_colour(folder: Path) -> None:
    Image.fromarray(COLOUR).save(folder / "a.png")
    Image.fromarray(GRAY.astype(np.uint16) * 257).save(folder / "b.png")
    found = read_samples(folder, (3, 8, 8))
    assert torch.equal(found.images[0] * 255, torch.from_numpy(COLOUR).float().permute(2, 0, 1))
    assert told(found, "3 of 4 files in gray repeated over the three channels")


def test_bytes_that_look_like_levels_are_asked_about(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(BYTES[i, 0] % 17).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match=r"whole numbers up to 16.*--levels 17"):
        read_samples(tmp_path, SHAPE)
    assert torch.equal(read_samples(tmp_path, SHAPE, 17).images[0], scaled(BYTES[0, 0] % 17) * 255 / 16)


REFUSED = {
    "empty file": (lambda p: (p / "a.png").write_bytes(b""), "cannot be read"),
    "no image": (lambda p: (p / "a.png").write_bytes(b"no picture"), "cannot be read"),
    "cut short": (
        lambda p: (p / "a.png").write_bytes((p / "z1.png").read_bytes()[:-30]), "cannot be read"),
    "cut pixels": (lambda p: (p / "a.pgm").write_bytes(b"P5 8 8 255\n" + bytes(3)), "cannot be read"),
    # What Pillow takes for an attack.
    "huge": (lambda p: (p / "a.png").write_bytes(b"P5 20000 20000 255\n" + bytes(10)), "cannot be read"),
    "large": (lambda p: (p / "a.png").write_bytes(b"P5 10000 10000 255\n" + bytes(10)), "has 10000x10000"),
    "other size": (
        lambda p: Image.fromarray(GRAY[:7]).save(p / "a.png"), "has 7x8 pixels and the data set 8x8; resize"),
    "CMYK": (lambda p: Image.new("CMYK", (8, 8)).save(p / "a.jpg"), "mode CMYK: .* depends on a profile"),
    "32 bits": (lambda p: Image.new("I", (8, 8)).save(p / "a.tif"), "pixels of mode I: "),
    "floats": (lambda p: Image.new("F", (8, 8)).save(p / "a.tif"), "pixels of mode F: "),
    "12 bits of 16": (
        lambda p: Image.fromarray(GRAY.astype(np.uint16) * 16).save(p / "a.png"),
        "1 files of 16 bits with values"),
    "a drawing in alpha alone": (
        lambda p: Image.fromarray(np.dstack([0 * COLOUR, GRAY])).save(p / "a.png"),
        "the drawing is in alpha alone: composed on black nothing is left"),
    "pipe": (lambda p: os.mkfifo(p / "a.png"), "is no regular file"),
    "link to nothing": (lambda p: (p / "a.png").symlink_to(p / "none"), "links to nothing"),
    "link to itself": (lambda p: (p / "a.png").symlink_to(p / "a.png"), "links to nothing|cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_files_that_are_no_images_of_the_data_set_are_refused(folder: Path, kind: str) -> None:
    write, words = REFUSED[kind]
    write(folder)
    with pytest.raises(DataError, match=words) as refused:
        read_samples(folder, SHAPE)
    assert str(folder) in str(refused.value)


FEW = {
    "empty": (lambda p: None, "holds no image files"),
    "one": (lambda p: Image.fromarray(GRAY).save(p / "a.png"), "holds only one image file"),
    "one of many pages": (
        lambda p: Image.fromarray(GRAY).save(
            p / "a.tif", save_all=True, append_images=[Image.new("L", (8, 8))]),
        "only one image file.*1 of 1 files hold several images"),
    "an array beside": (
        lambda p: [np.save(p / "samples.npy", BYTES), (p / ".x.png").write_bytes(b"")],
        r"1 hidden .* skipped; 1 other files skipped \(samples.npy\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FEW)
def test_a_folder_of_too_few_images_says_what_it_holds(tmp_path: Path, kind: str) -> None:
    write, words = FEW[kind]
    write(tmp_path)
    with pytest.raises(DataError, match=words):
        read_samples(tmp_path, SHAPE)


@pytest.mark.parametrize("what", ["folder", "sub-folder", "file", "array"])
def test_what_may_not_be_read_is_a_sentence(folder: Path, what: str) -> None:
    (folder / "0").mkdir()
    np.save(folder / "a.npy", BYTES)
    place = {
        "folder": folder,
        "sub-folder": folder / "0",
        "file": folder / "z1.png",
        "array": folder / "a.npy",
    }
    place[what].chmod(0)
    if os.access(place[what], os.R_OK):
        place[what].chmod(0o700)
        pytest.skip("this user may read everything")
    try:
        with pytest.raises(DataError, match="Permission denied"):
            read_samples(folder / "a.npy" if what == "array" else folder, SHAPE)
    finally:
        place[what].chmod(0o700)


def test_a_folder_that_fails_in_reading_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", fails)
    with pytest.raises(DataError, match=r"cannot be read: .*Permission denied"):
        read_samples(folder, SHAPE)


@pytest.mark.parametrize(("bits", "cautioned"), [(13, True), (14, True), (15, True), (16, False)])
def test_fewer_bits_than_a_file_has_are_a_caution(tmp_path: Path, bits: int, cautioned: bool) -> None:
    for i, image in enumerate(BYTES[:3, 0]):
        deep = (image.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / f"{i}.png")
    assert len(read_samples(tmp_path, SHAPE).cautions) == cautioned
