"""Downloads over HTTP, against servers on this machine: torchvision's, the plain one, and their patience."""

from __future__ import annotations

import gzip
import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dgmbench.data.fetch.raw import Limits, RawSet
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.fetch.web import within
from dgmbench.errors import DataError

QUICK = Limits(timeout=0.5, deadline=5.0)
Fill = Callable[..., Path]
Serve = Callable[[Path], Any]


def published(tiny: RawSet, *bases: str) -> RawSet:
    return replace(tiny, urls=bases)


def test_plain_download_is_kept_and_asked_for_once(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path
) -> None:
    site = serve(fill(tmp_path / "site", packed=False))
    raw = published(tiny, f"{site.url}/")
    first = fetch(raw)
    asked = len(site.asked)
    again = fetch(raw)
    assert first == again
    assert first.source == {"served_by": "publisher", "url": f"{site.url}/"}
    assert len(site.asked) == asked
    assert sorted(path.name for path in Path("downloads/tiny").iterdir()) == sorted(
        ["source.json", *first.contents]
    )


def test_a_filled_downloads_directory_serves_as_a_mirror(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path
) -> None:
    site = serve(fill(tmp_path / "site", packed=False))
    first = fetch(published(tiny, f"{site.url}/"))
    assert fetch(tiny, mirror="downloads", downloads=Path("other")).contents == first.contents


@pytest.mark.parametrize("packed", [True, False])
def test_a_base_address_of_the_user_replaces_the_published_ones(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    fill(tmp_path / "site" / "tiny", packed)
    site = serve(tmp_path / "site")
    monkeypatch.setenv("DGMBENCH_DATA_URL", f"{site.url}/")
    assert len(fetch(published(tiny, "http://never-asked.invalid/")).contents) == 2


def test_the_second_address_serves_when_the_first_does_not(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path, closed: str
) -> None:
    site = serve(fill(tmp_path / "site", packed=False))
    assert fetch(published(tiny, f"{closed}/", f"{site.url}/"), limits=QUICK).source["url"] == f"{site.url}/"


def test_a_corrupt_kept_file_is_replaced(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(fill(tmp_path / "site", packed=False))
    raw = published(tiny, f"{site.url}/")
    first = fetch(raw)
    kept = Path("downloads/tiny") / tiny.files[0].name
    kept.write_bytes(b"garbage")
    site.asked.clear()
    with caplog.at_level(logging.WARNING):
        assert fetch(raw).contents == first.contents
    assert "deleted" in caplog.text and str(kept) in caplog.text
    assert kept.read_bytes() == first.contents[kept.name]
    assert {path.strip("/") for path in site.asked} == {kept.name}  # the sound file is not fetched again


def test_a_corrupt_kept_file_does_not_outlive_its_replacement_of_another_packing(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path
) -> None:
    site = serve(fill(tmp_path / "site", packed=False))
    kept = fill(Path("downloads/tiny")) / f"{tiny.files[0].name}.gz"
    kept.write_bytes(b"garbage")
    first = fetch(published(tiny, f"{site.url}/"))
    site.asked.clear()
    assert fetch(published(tiny, f"{site.url}/")) == first
    assert not kept.exists() and site.asked == []


def test_a_corrupt_download_is_refused_and_not_kept(
    tiny: RawSet, fill: Fill, serve: Serve, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "site", packed=False)
    (folder / tiny.files[0].name).write_bytes(b"<html>Please log in to this network</html>")
    site = serve(folder)
    with pytest.raises(DataError, match=f"{site.url}/{tiny.files[0].name} is corrupt"):
        fetch(published(tiny, f"{site.url}/"))
    assert list(Path("downloads/tiny").iterdir()) == []


def test_a_missing_file_gives_the_server_s_answer(tiny: RawSet, serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = serve(tmp_path / "site")
    with pytest.raises(DataError, match="HTTP Error 404"):
        fetch(published(tiny, f"{site.url}/"))
    with pytest.raises(DataError, match="HTTP Error 404"):
        fetch(published(tiny, "http://never-asked.invalid/"), url=site.url)


def test_a_silent_server_costs_seconds_not_minutes(tiny: RawSet, silent: str) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=r"timed out|no answer within"):
        fetch(published(tiny, f"{silent}/"), limits=QUICK)
    assert time.monotonic() - start < 3.0


def test_a_trickling_server_ends_at_the_deadline(tiny: RawSet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_trickle, args=(server,), daemon=True).start()
        base = f"http://127.0.0.1:{server.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(DataError, match=r"no answer within 0\.6 s"):
            fetch(published(tiny, base), limits=Limits(timeout=0.5, deadline=0.6))
        assert time.monotonic() - start < 3.0
    assert list(Path("downloads/tiny").iterdir()) == []


def _trickle(server: socket.socket) -> None:
    """Answer the first request at once and the second with a byte every 50 ms, which no read waits for."""
    try:
        for _ in range(2):
            connection, _address = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        return  # the client has left, as it should


def test_within_hands_on_results_and_errors() -> None:
    assert within(5.0, lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)


# --- torchvision (its import takes seconds) ---------------------------------------------------------


@pytest.fixture
def by_torchvision(tiny: RawSet, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RawSet:
    """The tiny set as torchvision's MNIST: its mirrors point to nowhere and its MD5s to the tiny files."""
    from torchvision.datasets import MNIST

    folder = fill(tmp_path / "site" / "tiny")
    md5 = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in folder.iterdir()]
    monkeypatch.setattr(MNIST, "resources", md5)
    monkeypatch.setattr(MNIST, "mirrors", ["http://mirror.invalid/one/", "http://mirror.invalid/two/"])
    return replace(tiny, torchvision="MNIST")


def test_torchvision_downloads_from_the_user_s_address(
    by_torchvision: RawSet, serve: Serve, tmp_path: Path
) -> None:
    site = serve(tmp_path / "site")
    first = fetch(by_torchvision, url=site.url)
    assert first.source == {"served_by": "torchvision", "url": f"{site.url}/tiny/"}
    assert len(first.contents) == 2
    site.asked.clear()
    assert fetch(by_torchvision, url=site.url) == first
    assert site.asked == []


def test_torchvision_downloads_from_its_own_mirrors(
    by_torchvision: RawSet, serve: Serve, tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    site = serve(tmp_path / "site" / "tiny")
    monkeypatch.setattr(MNIST, "mirrors", [f"{closed}/", f"{site.url}/"])
    assert fetch(by_torchvision, limits=QUICK).source["url"] == f"{site.url}/"


def test_torchvision_s_md5_is_checked_too(by_torchvision: RawSet, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "site" / "tiny" / f"{by_torchvision.files[0].name}.gz"
    path.write_bytes(gzip.compress(b"other content"))
    with pytest.raises(DataError, match="corrupted"):
        fetch(by_torchvision, url=serve(tmp_path / "site").url)


def test_a_silent_proxy_does_not_hang_torchvision(
    by_torchvision: RawSet, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", silent)
    before = socket.getdefaulttimeout()
    start = time.monotonic()
    with pytest.raises(DataError, match=r"mirror\.invalid/one/: .*mirror\.invalid/two/: "):
        fetch(by_torchvision, limits=QUICK)
    assert time.monotonic() - start < 4.0
    assert socket.getdefaulttimeout() == before


def test_a_broken_torchvision_is_a_reason(tiny: RawSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchvision.datasets", None)
    with pytest.raises(DataError, match="torchvision cannot be imported"):
        fetch(replace(tiny, torchvision="MNIST"))
