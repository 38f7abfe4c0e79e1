"""What is found of real images is found once, apart for all that it depends on, and never served damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgmbench.evaluation.checked_files import write_checked
from dgmbench.evaluation.features.reference_cache import Arrays, ReferenceCache, code_and_versions


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Arrays:
        self.asked += 1
        return {"a": np.arange(3.0), "n": np.array(7)}


def test_equal_parts_are_computed_once_and_others_apart(tmp_path: Path) -> None:
    compute = Counting()
    for _ in range(2):
        found = ReferenceCache(tmp_path).arrays(("floor", "hash", 5), compute)
        np.testing.assert_array_equal(found["a"], [0, 1, 2])
        assert int(found["n"]) == 7
    assert compute.asked == 1
    for other in (("floor", "hash", 6), ("floor", "other", 5), ("floor", "hash", 5, None)):
        ReferenceCache(tmp_path).arrays(other, compute)
    assert compute.asked == 4


def test_other_code_asks_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute, cache = Counting(), ReferenceCache(tmp_path)
    cache.arrays(("x",), compute)
    monkeypatch.setattr("dgmbench.evaluation.features.reference_cache.code_and_versions", lambda: "changed")
    cache.arrays(("x",), compute)
    assert compute.asked == 2
    assert len(code_and_versions()) == 64


@pytest.mark.parametrize("damage", ["flipped", "empty", "no arrays"])
def test_a_damaged_file_is_told_and_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    compute, cache = Counting(), ReferenceCache(tmp_path)
    cache.arrays(("x",), compute)
    (path,) = tmp_path.rglob("*.arrays")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if damage == "no arrays":
        write_checked(path, memoryview(b"junk"), "arrays")
    else:
        path.write_bytes(bytes(content) if damage == "flipped" else b"")
    np.testing.assert_array_equal(cache.arrays(("x",), compute)["a"], [0, 1, 2])
    assert compute.asked == 2 and "the arrays are computed again" in capsys.readouterr().err
    cache.arrays(("x",), compute)
    assert compute.asked == 2


def test_without_a_place_or_where_none_can_be_made_arrays_are_still_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compute = Counting()
    ReferenceCache(None).arrays(("x",), compute)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    ReferenceCache(tmp_path / "file").arrays(("x",), compute)
    assert compute.asked == 2 and "cannot be written" in capsys.readouterr().err
