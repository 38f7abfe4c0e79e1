from __future__ import annotations

from pathlib import Path

import pytest

from dgmbench.errors import suggest
from dgmbench.files import read_json, replacing, sha256_file, sha256_json, write_json, write_text


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
