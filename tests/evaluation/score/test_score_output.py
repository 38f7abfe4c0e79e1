"""Where scores go: files, streams, terminals of any alphabet; what cannot be written is a sentence."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
from asking import rows, score


@pytest.fixture
def place(place: Path) -> Path:
    """Scores of pixels alone, which take no time."""
    (place / "runs" / "digits" / "classifier" / "info.json").unlink()
    return place


def test_a_file_is_replaced(place: Path) -> None:
    Path("scores.csv").write_text("old")
    score("--images", "samples.npy", "--csv", "scores.csv")
    assert "pairwise_distance_ratio" in rows(Path("scores.csv"))
    assert not list(place.glob(".*.tmp"))


def test_the_file_is_there_even_if_nothing_can_be_printed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.suppress(OSError), open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as stopped:
            score("--images", "samples.npy", "--csv", "scores.csv")
    assert stopped.value.code == 2
    assert "pairwise_distance_ratio" in rows(Path("scores.csv"))


@pytest.mark.parametrize(
    "target", ["/dev/full", "/proc/new", "/proc/version", "/proc/self/fd/999", "socket", "kept"]
)
def test_what_cannot_be_written_to_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    Path("kept").write_text("old")
    Path("kept").chmod(0o444)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(SystemExit) as stopped:
            score("--images", "samples.npy", "--csv", target)
    assert stopped.value.code == 2
    assert f"error: --csv {target} cannot be written: " in capsys.readouterr().err
    assert Path("kept").read_text() == "old"


def test_a_pipe_gets_the_rows(place: Path) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text(encoding="utf-8")))
    reader.start()
    score("--images", "samples.npy", "--csv", "pipe")
    reader.join()
    assert Path("pipe").is_fifo() and "pairwise_distance_ratio" in read[0]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_terminal_can_show_any_name(place: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    folder = os.fsdecode(b"sam\xffples \xc3\xa9.2")
    Path("pictures").rename(folder)
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding))
    score("--images", folder, "--csv", "scores.csv")
    printed = shown.getvalue().decode(encoding)
    assert "sam\\udcffples " in printed and "diversity" in printed
    assert rows(Path("scores.csv"))["pairwise_distance_ratio"]["model"] == "sam\\udcffples é.2"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_terminal_can_show_any_error(place: Path, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(shown, encoding=encoding, errors="strict"))
    with pytest.raises(SystemExit):
        score("--images", os.fsdecode(b"n\xffne \xc3\xa9"))
    sys.stderr.flush()
    assert "error: --images n\\udcffne " in shown.getvalue().decode(encoding)
