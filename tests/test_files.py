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
