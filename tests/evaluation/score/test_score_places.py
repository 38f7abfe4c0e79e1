"""Paths that `score` is given: what is read is not written over, and what is no folder is refused at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from asking import BYTES, score

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def place(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """More inputs, links to them, and no time spent on a classifier."""
    (place / "runs" / "digits" / "classifier" / "info.json").unlink()
    (place / "data").mkdir()
    (place / "weights.pth").touch()
    (place / "link.npy").symlink_to("samples.npy")
    (place / "hard.npy").hardlink_to("samples.npy")
    (place / "elsewhere").mkdir()
    np.save(place / "elsewhere" / "0.npy", BYTES)
    (place / "elsewhere" / "0.png").write_bytes((place / "pictures" / "000.png").read_bytes())
    (place / "pictures" / "more").symlink_to(place / "elsewhere")
    (place / "also").symlink_to("pictures")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.delenv("DGMBENCH_MIRROR", raising=False)
    return place


def refused(capsys: Printed, *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        score(*words)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2 and out == ""
    (line,) = err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("images", "target", "what"),
    [
        *(("samples.npy", target, "--images samples.npy") for target in
          ("samples.npy", "elsewhere/../samples.npy", "link.npy", "hard.npy", "~/samples.npy")),
        ("link.npy", "samples.npy", "--images link.npy"),
        *(("pictures", target, "--images pictures") for target in
          ("pictures/000.png", "pictures/scores.csv", "also/scores.csv", "elsewhere/0.png")),
        ("also", "pictures/scores.csv", "--images also"),
        ("samples.npy", "weights.pth", "--inception-weights weights.pth"),
        ("samples.npy", "data/scores.csv", "the prepared data in data/"),
        ("samples.npy", "runs/digits/classifier/weights-gray.pt", "the trained runs in runs/"),
    ],
)  # fmt: skip
def test_scores_are_never_written_over_what_is_read(
    place: Path, capsys: Printed, images: str, target: str, what: str
) -> None:
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    words = ("--images", images, "--inception-weights", "weights.pth", "--csv", target)
    line = refused(capsys, *words)
    assert (
        line == f"--csv {target} would write over what is read: it is, or lies in, {what}; name another file"
    )
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ("~nosuch/", "~nosuch/: there is no such user"),
        ("samples.npy", "--store samples.npy: samples.npy is no folder"),
        ("samples.npy/below", "--store samples.npy/below: "),
        ("~/samples.npy", "samples.npy is no folder"),
        ("gone", "gone is no folder"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_store_that_cannot_be_is_refused(place: Path, capsys: Printed, store: str, sentence: str) -> None:
    (place / "gone").symlink_to("nowhere")
    assert sentence in refused(capsys, "--images", "samples.npy", "--store", store)
    assert not (place / "~nosuch").exists()


@pytest.mark.parametrize("mirror", ["none", "samples.npy", "~/none"])
@pytest.mark.parametrize("option", ["--mirror", "DGMBENCH_MIRROR"])
def test_a_mirror_that_is_no_folder_is_refused(
    place: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch, mirror: str, option: str
) -> None:
    words = ("--mirror", mirror) if option == "--mirror" else ()
    if not words:
        monkeypatch.setenv(option, mirror)
    line = refused(capsys, "--images", "samples.npy", *words)
    assert option in line and mirror in line


def test_a_store_below_the_home_is_made_there(place: Path) -> None:
    from dgmbench.evaluation.score.places import store_folder

    assert store_folder("~/new/below") == os.fspath(place / "new" / "below")
    assert store_folder("new") == "new" and store_folder("") is None
