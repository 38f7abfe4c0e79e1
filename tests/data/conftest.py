"""Fixtures of the data tests: a tiny raw set, servers on 127.0.0.1, the real mirror where there is one."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dgmbench.data.fetch.raw import RawFile, RawSet

NAMED_MIRROR = os.environ.get("DGMBENCH_MIRROR")
SHARED_MIRROR = Path(__file__).parents[2].parent / "shared" / "data"
CONTENTS = {"train-images-idx3-ubyte": bytes(range(256)) * 8, "t10k-images-idx3-ubyte": b"held out" * 50}
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def raw_file(name: str, content: bytes) -> RawFile:
    return RawFile(name, hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture(autouse=True)
def isolated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No mirror, proxy or package index of the machine reaches a test, unless it is marked `network`."""
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("network"):
        return
    for name in ("DGMBENCH_MIRROR", "DGMBENCH_DATA_URL", *PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "links").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))


@pytest.fixture
def tiny() -> RawSet:
    """Two small files, no source but a mirror."""
    return RawSet("tiny", tuple(raw_file(name, content) for name, content in CONTENTS.items()))


@pytest.fixture
def fill() -> Callable[..., Path]:
    """Write the tiny files into a directory, packed or not."""

    def write(folder: Path, packed: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in CONTENTS.items():
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)
        return folder

    return write


class Site:
    """A running HTTP server and the paths it was asked for."""

    def __init__(self, url: str, asked: list[str]) -> None:
        self.url = url
        self.asked = asked


@pytest.fixture
def serve() -> Iterator[Callable[[Path], Site]]:
    """Serve a directory over HTTP."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path) -> Site:
        asked: list[str] = []

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *parts: object) -> None:
                """Keep the test output quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return Site(f"http://127.0.0.1:{server.server_address[1]}", asked)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def real_mirror() -> Path:
    """The real raw files: DGMBENCH_MIRROR, or shared/data beside the repository."""
    folder = Path(NAMED_MIRROR) if NAMED_MIRROR else SHARED_MIRROR
    if not (folder / "mnist").is_dir():
        pytest.skip("no mirror of the real data: set DGMBENCH_MIRROR")
    return folder
