"""A result is computed once for a key, apart for all that the key names, and never served damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgmbench import provenance
from dgmbench.packed import pack
from dgmbench.provenance import code_key
from dgmbench.store import Store


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return {"a": np.arange(3.0), "records": [{"metric": "fid", "value": 0.1}]}

    def write(self, folder: Path) -> list[dict[str, Any]]:
        """What a measure does: files in a folder, and records."""
        assert list(folder.iterdir()) == []
        self.asked += 1
        (folder / "pictures").mkdir()
        (folder / "pictures" / "one.txt").write_text("a picture", encoding="utf-8")
        (folder / "points.npy").write_bytes(bytes(range(200)))
        return [{"metric": "fid", "value": 0.1, "std_error": None}]


def test_equal_keys_are_computed_once_and_others_apart(tmp_path: Path) -> None:
    compute = Counting()
    for _ in range(2):
        found = Store(tmp_path).remembered(("floor", "hash", 5), compute)
        np.testing.assert_array_equal(found["a"], [0, 1, 2])
        assert found["records"] == [{"metric": "fid", "value": 0.1}]
    assert compute.asked == 1
    for other in (("floor", "hash", 6), ("floor", "other", 5), ("floor", "hash", 5, None), "floor"):
        Store(tmp_path).remembered(other, compute)
    assert compute.asked == 5
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_key_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Store(tmp_path).remembered(("floor", object()), Counting())


def test_other_versions_and_other_code_are_other_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_key("dgmbench.evaluation.quality.frechet")
    assert before == code_key("dgmbench.evaluation.quality.frechet") != code_key("dgmbench.points")
    monkeypatch.setattr(provenance, "version", lambda name: "9.9")
    assert code_key("dgmbench.evaluation.quality.frechet") != before


@pytest.mark.parametrize("damage", ["flipped", "empty", "another value"])
def test_a_damaged_value_is_reported_and_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    compute, store = Counting(), Store(tmp_path)
    store.remembered("x", compute)
    (path,) = tmp_path.rglob("*.value")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    damaged = {"flipped": bytes(content), "empty": b"", "another value": pack([1])}
    path.write_bytes(damaged[damage])
    found = store.remembered("x", compute, sound=lambda value: isinstance(value, dict))
    np.testing.assert_array_equal(found["a"], [0, 1, 2])
    assert compute.asked == 2 and "it is computed again" in capsys.readouterr().err
    store.remembered("x", compute)
    assert compute.asked == 2


def test_without_a_folder_or_where_none_can_be_made_results_are_still_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compute = Counting()
    Store(None).remembered("x", compute)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    Store(tmp_path / "file").remembered("x", compute)
    assert compute.asked == 2 and "cannot be written" in capsys.readouterr().err
    for folder in (None, tmp_path / "file"):
        assert Store(folder).files("x", tmp_path / "out", compute.write)
    assert (tmp_path / "out" / "pictures" / "one.txt").exists() and compute.asked == 4


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_files_come_back_with_their_value_and_leave_others_alone(tmp_path: Path) -> None:
    compute, store, first, second = Counting(), Store(tmp_path / "s"), tmp_path / "a", tmp_path / "b"
    second.mkdir()
    (second / "other.txt").write_text("stays", encoding="utf-8")
    (second / "points.npy").write_bytes(b"is replaced")
    value = store.files(("measure", 0), first, compute.write)
    assert store.files(("measure", 0), second, compute.write) == value and compute.asked == 1
    assert contents(second) == contents(first) | {"other.txt": b"stays"}
    assert set(contents(first)) == {"pictures/one.txt", "points.npy"}
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]


def test_a_file_that_is_changed_later_is_not_changed_in_the_store(tmp_path: Path) -> None:
    """What was restored is a copy; of what was kept, a link that DVC and our writers replace."""
    compute, store, folder = Counting(), Store(tmp_path / "s"), tmp_path / "a"
    store.files("x", folder, compute.write)
    store.files("x", folder, compute.write)
    (folder / "points.npy").write_bytes(b"changed in place")
    store.files("x", folder, compute.write)
    assert (folder / "points.npy").read_bytes() == bytes(range(200)) and compute.asked == 1


@pytest.mark.parametrize("damage", ["flipped", "missing", "manifest", "no manifest"])
def test_damaged_files_are_reported_and_computed_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    compute, store, folder = Counting(), Store(tmp_path / "s"), tmp_path / "a"
    store.files("x", tmp_path / "first", compute.write)
    manifest, points = next(tmp_path.rglob("entry.json")), next((tmp_path / "s").rglob("points.npy"))
    if damage == "flipped":
        points.write_bytes(bytes(200))
    elif damage == "manifest":
        manifest.write_text(manifest.read_text().replace("fid", "kid"), encoding="utf-8")
    else:
        (points if damage == "missing" else manifest).unlink()
    assert store.files("x", folder, compute.write)[0]["metric"] == "fid"
    assert (folder / "points.npy").read_bytes() == bytes(range(200))
    assert compute.asked == 2 and "it is computed again" in capsys.readouterr().err
    store.files("x", folder, compute.write)
    assert compute.asked == 2


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half.txt").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path / "s").files("x", tmp_path / "a", fails)
    assert contents(tmp_path) == {} and not Store(tmp_path / "s").holds("x")


def test_links_to_a_cache_are_kept_as_what_they_lead_to(tmp_path: Path) -> None:
    """DVC's outputs may be symbolic links to write-protected files of its cache."""
    cached, folder, store = tmp_path / "cached", tmp_path / "a", Store(tmp_path / "s")
    cached.write_text("weights", encoding="utf-8")
    cached.chmod(0o444)
    folder.mkdir()
    (folder / "weights.pt").symlink_to(cached)
    store.keep("x", folder, "value", ["weights.pt"])
    assert store.restored("x", tmp_path / "b") == ("value",)
    restored = tmp_path / "b" / "weights.pt"
    assert restored.read_text() == "weights" and not restored.is_symlink() and os.access(restored, os.W_OK)


def test_what_nobody_asks_for_is_trimmed(tmp_path: Path) -> None:
    compute, store = Counting(), Store(tmp_path / "s")
    for key in ("old", "asked for"):
        store.remembered(key, compute)
        store.files(key, tmp_path / "a", compute.write)
    for path in (tmp_path / "s").rglob("*"):
        os.utime(path, (0, 0))
    store.remembered("asked for", compute)
    store.files("asked for", tmp_path / "a", compute.write)
    removed, size = store.trim(30)
    assert removed == 2 and size > 200 and store.trim(30) == (0, 0) and Store(None).trim(0) == (0, 0)
    before = compute.asked
    store.remembered("asked for", compute)
    store.files("asked for", tmp_path / "a", compute.write)
    assert compute.asked == before and not store.holds("old")
