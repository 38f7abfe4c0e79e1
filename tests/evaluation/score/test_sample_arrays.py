"""Arrays of samples: which are taken, on which scale, and which are refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import BYTES, SHAPE
from torch import Tensor

from dgmbench.errors import DataError
from dgmbench.evaluation.score.samples import read_samples

EXPECTED = torch.from_numpy(BYTES).float() / 255


def saved(tmp_path: Path, array: Any) -> Path:
    path = tmp_path / "samples.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array)
    return path


def images(path: Path, levels: int | None = None) -> Tensor:
    return read_samples(path, SHAPE, levels).images


FORMS = {
    "n h w c": BYTES.transpose(0, 2, 3, 1),
    "n h w": BYTES[:, 0],
    "Fortran's order": np.asfortranarray(BYTES),
    "big-endian": BYTES.astype(">u2"),
    "64 bits": BYTES.astype(np.int64),
    "float32": BYTES / np.float32(255),
    "float64": BYTES / 255,
    "long double": BYTES / np.longdouble(255),
    "big-endian floats": (BYTES / 255).astype(">f4"),
    "float16": (BYTES / 255).astype(np.float16),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_other_forms_are_the_same_images(tmp_path: Path, form: str) -> None:
    found = images(saved(tmp_path, FORMS[form]))
    assert found.dtype == torch.float32 and found.is_contiguous()
    torch.testing.assert_close(found, EXPECTED, rtol=0, atol=1e-3 if form == "float16" else 1e-7)


def test_truth_values_are_black_and_white(tmp_path: Path) -> None:
    assert torch.equal(images(saved(tmp_path, BYTES > 127)), (EXPECTED > 0.5).float())


def test_whole_numbers_need_to_be_told_from_levels(tmp_path: Path) -> None:
    path = saved(tmp_path, BYTES % 17)
    with pytest.raises(DataError, match=r"--levels 256.*--levels 17"):
        images(path)
    expected = torch.from_numpy((BYTES % 17).astype(np.float32) / 16)
    assert torch.equal(images(path, 17), expected)
    assert torch.equal(images(path, 256) * 255, (expected * 16).round())
    with pytest.raises(DataError, match=r"values from 0 to 16, not 0\.\.1"):
        images(path, 2)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_ulp_outside_is_rounding(tmp_path: Path, dtype: type[np.floating]) -> None:
    array = (BYTES / 255).astype(dtype)
    array[0, 0, 0, :2] = np.nextafter(dtype(1), dtype(2)), np.nextafter(dtype(0), dtype(-1))
    found = read_samples(saved(tmp_path, array), SHAPE)
    assert found.images.min() == 0 and found.images.max() == 1
    assert any("2 values outside [0, 1]" in told and "rounding" in told for told in found.decisions)


ODD = {
    "header": (b"\x93NUMPY\x01\x00\x10\x00{garbage((((     ", "cannot be read"),
    "empty file": (b"", "cannot be read"),
    "cut short": (b"", "cannot be read"),
    "words": (np.array(["a", "b"]), "images are real numbers"),
    "complex": (np.ones((2, *SHAPE)) * 1j, "images are real numbers"),
    "dates": (np.zeros((2, *SHAPE), "M8[s]"), "images are real numbers"),
    "objects": (np.full((2, *SHAPE), None), "cannot be read"),
    "records": (np.zeros(2, "f4,i4"), "images are real numbers"),
    "NaN": (np.where(BYTES < 9, np.nan, 0.5), r"holds NaN: \d+ of 3,840 values"),
    "infinity": (np.full((3, *SHAPE), np.inf), "from inf to inf"),
    "negative": (np.full((3, *SHAPE), -0.5), r"from -0\.5 to -0\.5; floats lie in \[0, 1\]"),
    "all digits": (np.full((3, *SHAPE), 1.0000123456789), r"to 1\.0000123456789; .*within 1e-06"),
    "float16": (np.full((3, *SHAPE), 1.01, np.float16), r"to 1\.01; .*within 0\.002"),
    "negative whole numbers": (BYTES.astype(int) - 128, r"values from -128 to 127, not 0\.\.255"),
    "too large": (np.full((3, *SHAPE), 2**63, np.uint64), "to 9223372036854775808, not"),
    "other size": (BYTES[:, :, :7], r"\(60, 1, 7, 8\).*\[n, 1, 8, 8\]"),
    "colour": (np.zeros((5, 8, 8, 3)), r"\(5, 8, 8, 3\).*\[n, 1, 8, 8\]"),
    "one image": (BYTES[:1], "two or more images"),
    "one image alone": (BYTES[0, 0], "two or more images"),
    "no image": (BYTES[:0], "two or more images"),
    "a number": (np.float32(1), "two or more images"),
    "rows": (BYTES.reshape(60, 64), r"shape \(60, 64\)"),
}


@pytest.mark.parametrize("kind", ODD)
def test_unfit_arrays_are_refused(tmp_path: Path, kind: str) -> None:
    array, words = ODD[kind]
    path = saved(tmp_path, array)
    if kind == "cut short":
        np.save(path, BYTES)
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=words):
        images(path)


def test_levels_are_of_whole_numbers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--levels is for whole numbers"):
        images(saved(tmp_path, BYTES / 255), 17)


def test_an_archive_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", BYTES)
    with pytest.raises(DataError, match=r"neither a folder of images nor a \.npy file"):
        images(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"archive of arrays \(\.npz\)"):
        images(tmp_path / "a.npy")


DIM_ARRAYS = {
    "divided by 255 twice": (BYTES / np.float32(255**2), None),
    "17 levels as 64": (BYTES // 16, 64),
    "17 levels as 256": (BYTES // 16, 256),
    "one half": (BYTES / np.float32(510), None),
}


@pytest.mark.parametrize("kind", DIM_ARRAYS)
def test_values_far_below_the_top_of_the_scale_are_a_caution(tmp_path: Path, kind: str) -> None:
    array, levels = DIM_ARRAYS[kind]
    np.save(tmp_path / "x.npy", array)
    samples = read_samples(tmp_path / "x.npy", SHAPE, levels)
    (caution,) = samples.cautions
    assert f"the largest value of all images is {float(samples.images.max()):.4g}, where the top" in caution


@pytest.mark.parametrize("brightest", [0.51, 1.0])
def test_one_bright_pixel_of_one_image_is_enough_for_none(tmp_path: Path, brightest: float) -> None:
    array = BYTES / np.float32(2550)
    array[-1, 0, 0, 0] = brightest
    np.save(tmp_path / "x.npy", array)
    assert read_samples(tmp_path / "x.npy", SHAPE).cautions == []
