"""The command that scores anybody's samples: what it reads, what it prints, what it refuses."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgmbench.data.dataset import load_dataset
from dgmbench.errors import DataError, SettingsError
from dgmbench.evaluation.classifier import DomainClassifier
from dgmbench.evaluation.image_files import read_images
from dgmbench.evaluation.score_command import add_parser, score_command
from dgmbench.files import sha256_file, write_json
from dgmbench.training.runs import write_weights

SHAPE = (1, 8, 8)
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (60, 1, 8, 8), dtype=np.uint8)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a classifier of digits in it, and no data yet."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "digits" / "classifier"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = DomainClassifier(SHAPE, 10)
    folder.mkdir(parents=True)
    write_weights(folder / "weights-gray.pt", classifier)
    hashes = {"gray": sha256_file(folder / "weights-gray.pt")}
    write_json(folder / "info.json", {"image_shape": SHAPE, "classes": 10, "weights_sha256": hashes})
    np.save(tmp_path / "samples.npy", BYTES)
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(BYTES):
        Image.fromarray(image[0]).save(tmp_path / "pictures" / f"{i:03}.png")
    return tmp_path


def score(*words: str) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    score_command(parser.parse_args(["score", "--dataset", "digits", *words]))


def rows(path: Path) -> dict[str, dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return {row["metric"]: row for row in csv.DictReader(handle)}


def test_a_folder_of_pictures_scores_as_the_array_of_their_pixels(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score("--images", "samples.npy", "--csv", "array.csv")
    printed = capsys.readouterr().out
    score("--images", "pictures", "--csv", "folder.csv")
    array, folder = rows(place / "array.csv"), rows(place / "folder.csv")
    assert {m: row["value"] for m, row in array.items()} == {m: row["value"] for m, row in folder.items()}
    wanted = {"fid_domain", "fid_domain_floor", "kid_domain", "precision", "recall", "density", "coverage"}
    wanted |= {"class_histogram_distance", "class_histogram_distance_floor", "edge_sharpness_ratio"}
    assert wanted | {"pairwise_distance_ratio", "high_frequency_ratio"} < set(array)
    assert array["fid_domain"]["n"] == "60" and array["n_real_domain"]["value"] == "300"
    assert "FID (domain)" in printed and "lower is better" in printed
    # Too few samples: a note beside the number, and the number.
    assert "note: FID (domain): 60 samples for 64 features: the covariance is rank-deficient" in printed


def test_held_out_images_score_better_than_noise(place: Path) -> None:
    score("--images", "samples.npy", "--csv", "noise.csv")
    images = load_dataset("digits").images("valid") / np.float32(16)
    np.save("valid.npy", images)
    score("--images", "valid.npy", "--csv", "valid.csv")
    noise, valid = rows(place / "noise.csv"), rows(place / "valid.csv")
    assert float(valid["fid_domain"]["value"]) < 0.2 * float(noise["fid_domain"]["value"])
    assert float(valid["coverage"]["value"]) > 0.7 > float(noise["coverage"]["value"])
    assert float(valid["pairwise_distance_ratio"]["value"]) == pytest.approx(1.0, abs=0.05)


def test_what_cannot_be_had_costs_no_other_score(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "runs" / "digits" / "classifier" / "info.json").unlink()
    score("--images", "samples.npy", "--inception", "--inception-weights", "none.pth")
    printed = capsys.readouterr().out
    assert "note: domain features left out: no classifier in" in printed
    assert "python -m stages.classifier --dataset digits" in printed
    assert "note: Inception features left out: evaluation.inception.weights: there is no file" in printed
    assert "diversity" in printed and "sharpness" in printed
    Path("none.pth").write_bytes(b"other weights")
    score("--images", "samples.npy", "--inception", "--inception-weights", "none.pth")
    printed = capsys.readouterr().out
    assert "note: Inception features left out: evaluation.inception.weights: none.pth is corrupt" in printed
    assert "expected SHA-256 6726825d" in printed and "sharpness" in printed


def test_one_score_that_cannot_be_had_costs_none_beside_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score("--images", "samples.npy", "--limit", "20", "--neighbours", "25", "--csv", "few.csv")
    printed = capsys.readouterr().out
    assert "note: precision, recall, density and coverage (domain) left out:" in printed
    found = set(rows(place / "few.csv"))
    assert {"fid_domain", "kid_domain", "class_histogram_distance", "pairwise_distance_ratio"} < found
    assert "precision" not in found


def test_a_view_that_there_is_not_names_those_there_are(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"--view grey: digits has it not. did you mean 'gray'"):
        score("--images", "samples.npy", "--view", "grey")
    with pytest.raises(DataError, match="no data set 'digit'; did you mean 'digits'"):
        score("--images", "samples.npy", "--dataset", "digit")


def test_samples_of_one_view_are_not_scored_against_the_other(place: Path) -> None:
    np.save("binary.npy", BYTES > 127)
    with pytest.raises(DataError, match=r"all black and white.*--view binary"):
        score("--images", "binary.npy")
    with pytest.raises(DataError, match="--view binary: these samples have other values"):
        score("--images", "samples.npy", "--view", "binary")


def test_what_would_fail_in_the_end_is_refused_at_first(place: Path) -> None:
    with pytest.raises(SettingsError, match="--csv pictures: name a file in a folder"):
        score("--images", "samples.npy", "--csv", "pictures")
    with pytest.raises(SettingsError, match="name a file in a folder that there is"):
        score("--images", "samples.npy", "--csv", "samples.npy/scores.csv")
    with pytest.raises(SettingsError, match="--limit and --levels are 2 or more"):
        score("--images", "samples.npy", "--limit", "1")


@pytest.mark.parametrize(
    "content",
    [b"\x93NUMPY\x01\x00\x10\x00{garbage((((     ", np.array(["a", "b"]), np.ones((2, 1, 8, 8)) * 1j],
)
def test_arrays_that_are_no_images_are_told_so(tmp_path: Path, content: bytes | np.ndarray) -> None:
    path = tmp_path / "odd.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(DataError, match=r"cannot be read|images are real numbers"):
        read_images(path, SHAPE)


def test_whole_numbers_need_to_be_told_from_levels(tmp_path: Path) -> None:
    path = tmp_path / "levels.npy"
    np.save(path, BYTES % 17)
    with pytest.raises(DataError, match=r"--levels 256.*--levels 17"):
        read_images(path, SHAPE)
    expected = torch.from_numpy((BYTES % 17).astype(np.float32) / 16)
    assert torch.equal(read_images(path, SHAPE, 17), expected)
    assert torch.equal(read_images(path, SHAPE, 256) * 255, (expected * 16).round())
    with pytest.raises(DataError, match=r"values from 0 to 16, not 0\.\.1"):
        read_images(path, SHAPE, 2)


@pytest.mark.parametrize("form", ["n h w c", "n h w", "floats"])
def test_arrays_of_other_forms_are_the_same_images(tmp_path: Path, form: str) -> None:
    forms = {"n h w c": BYTES.transpose(0, 2, 3, 1), "n h w": BYTES[:, 0], "floats": BYTES / 255}
    np.save(tmp_path / "a.npy", forms[form])
    torch.testing.assert_close(read_images(tmp_path / "a.npy", SHAPE), torch.from_numpy(BYTES).float() / 255)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((3, 1, 8, 8), np.nan), "holds NaN"),
        (np.full((3, 1, 8, 8), -0.5), r"from -0\.5 to -0\.5"),
        (BYTES[:, :, :7], r"\(60, 1, 7, 8\).*\[n, 1, 8, 8\]"),
        (BYTES[:1], "two or more images"),
    ],
)
def test_unfit_arrays_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=words):
        read_images(tmp_path / "a.npy", SHAPE)


def test_unfit_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image files"):
        read_images(tmp_path, SHAPE)
    with pytest.raises(DataError, match=r"neither a folder of images nor a \.npy file"):
        read_images(tmp_path / "nothing", SHAPE)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match="holds only one image file"):
        read_images(tmp_path, SHAPE)
    Image.fromarray(np.zeros((9, 8), dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 9x8 pixels and the data set 8x8; resize"):
        read_images(tmp_path, SHAPE)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        read_images(tmp_path, SHAPE)
    # What Pillow takes for an attack, and what it fails to read with an error of another kind.
    header = b"P5 20000 20000 255\n"
    for content in (header + bytes(10), b"P5 8 8 255\n" + bytes(3)):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.png"):
            read_images(tmp_path, SHAPE)
