from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dgmbench.errors import DataError, DgmbenchError, suggest
from dgmbench.files import (
    expanded,
    read_json,
    read_object,
    replacing,
    sha256_file,
    sha256_json,
    text_output,
    write_json,
    write_text,
)

WRITES = """
import sys
from dgmbench.files import text_output
print("before", flush=True)
with text_output(sys.argv[1]) as handle:
    handle.write("rows\\n")
print("after", flush=True)
"""


def fail_half_way(path: Path) -> None:
    with replacing(path) as aside:
        aside.write_text("half of the new")
        raise RuntimeError


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link, again = tmp_path / "far" / "target", tmp_path / "link", tmp_path / "again"
    link.symlink_to("far/target")
    again.symlink_to(link)
    for path, text in ((link, "made"), (link, "new"), (again, "newer")):
        write_text(path, text)
        assert (target.read_text(), link.is_symlink(), again.is_symlink()) == (text, True, True)
    assert sorted(tmp_path.rglob("*")) == sorted([tmp_path / "far", target, link, again])


def test_a_link_into_protected_files_is_replaced(tmp_path: Path) -> None:
    cached, link = tmp_path / "cached", tmp_path / "link"
    cached.write_text("old")
    cached.chmod(0o444)
    link.symlink_to(cached)
    write_text(link, "new")
    assert (cached.read_text(), link.read_text(), link.is_symlink()) == ("old", "new", False)


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        write_text(tmp_path / "one", "text")
    assert len(list(tmp_path.iterdir())) == 2


def test_json_round_trip_and_equal_hashes_of_equal_values(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "é"}
    write_json(tmp_path / "deep" / "file.json", value)
    assert read_json(tmp_path / "deep" / "file.json") == value
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1}) != sha256_json({"a": 1, "b": 3})


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_suggestions_name_the_nearest_and_all() -> None:
    assert suggest("epoch", ["epochs", "batch_size"]) == "did you mean 'epochs'? Valid: batch_size, epochs"
    assert suggest("zzz", ["epochs"]) == "Valid: epochs"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "holds list, not an object"),
        (b'{"b": 1}', "lacks a, c"),
    ],
)
def test_damaged_json_is_told_in_a_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_object(tmp_path / "file.json", ("a", "b", "c"))


def test_a_home_that_there_is_not_is_a_sentence() -> None:
    assert expanded("~/x") == Path.home() / "x"
    with pytest.raises(DataError, match="~nobody-of-that-name: there is no such user"):
        expanded("~nobody-of-that-name")


def test_nothing_takes_the_place_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        write_text(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "null"):
        with text_output(path) as handle:
            handle.write("rows")
        assert Path("/dev/null").is_char_device() and path.exists()
    with pytest.raises(OSError, match="No space left"), text_output(Path("/dev/full")) as handle:
        handle.write("rows")
    assert Path("/dev/full").is_char_device()


def test_a_regular_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError), text_output(path) as handle:
        handle.writelines(["half", None])  # type: ignore[list-item]
    assert path.read_text() == "old"
    with text_output(path) as handle:
        handle.write("new \udcff")
    assert path.read_text() == "new \\udcff" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("target", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "out.txt"])
def test_rows_for_standard_output_come_between_what_is_printed(tmp_path: Path, target: str) -> None:
    """Also where it goes to a file, be that named by its own name."""
    with open(tmp_path / "out.txt", "wb") as out:
        subprocess.run([sys.executable, "-c", WRITES, target], stdout=out, cwd=tmp_path, check=True,
                       env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)})  # fmt: skip
    assert (tmp_path / "out.txt").read_text() == "before\nrows\nafter\n"


def test_another_open_file_is_written_to_in_its_place(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+", encoding="utf-8") as mine:
        with text_output(Path(f"/proc/self/fd/{mine.fileno()}")) as handle:
            handle.write("rows")
        assert mine.read() == "rows"


def test_a_damaged_file_is_told_by_name(tmp_path: Path) -> None:
    """An error of ours, so that no entry point that reads one ends in a traceback."""
    (tmp_path / "file.json").write_text("{")
    with pytest.raises(DgmbenchError, match=r"file\.json is not JSON"):
        read_json(tmp_path / "file.json")
