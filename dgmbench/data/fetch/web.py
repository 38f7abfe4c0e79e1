"""Raw files over HTTP: torchvision's own download, and a plain one for files torchvision has not.

Every wait is bounded: a proxy that accepts and never answers costs `timeout` seconds per address.
"""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dgmbench.data.fetch.cache import Cache
from dgmbench.data.fetch.raw import CorruptError, Fetched, Limits, RawFile, SourceError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# urllib's errors are OSErrors; torchvision raises RuntimeError for a wrong MD5; ValueError is a bad address.
WEB_ERRORS = (OSError, http.client.HTTPException, RuntimeError, ValueError)
CHUNK = 1 << 18
NEWS_SECONDS = 5.0


def serve_torchvision(cache: Cache, url: str | None, limits: Limits) -> Fetched:
    """Fetch with `torchvision.datasets.utils.download_url`, from its mirrors and against its MD5 sums.

    `url` replaces torchvision's mirrors by `<url>/<folder>/`.
    """
    dataset, download_url = _import_torchvision(str(cache.raw.torchvision))
    md5 = dict(dataset.resources)

    def retrieve(address: str, target: Path) -> None:
        download_url(address, str(target.parent), target.name, md5[target.name])

    bases = [f"{url}/{cache.raw.folder}/"] if url else list(dataset.mirrors)
    return _Download(cache, (".gz",), retrieve, limits).serve(bases, "torchvision")


def serve_plain(cache: Cache, url: str | None, limits: Limits) -> Fetched:
    """Fetch from the publisher's addresses; `url` replaces them by `<url>/<folder>/` (packed or not)."""
    retrieve = partial(_retrieve, timeout=limits.timeout)
    bases = [f"{url}/{cache.raw.folder}/"] if url else list(cache.raw.urls)
    return _Download(cache, ("", ".gz") if url else ("",), retrieve, limits).serve(bases, "publisher")


def _import_torchvision(name: str) -> tuple[Any, Callable[[str, str, str, str], None]]:
    log.info("importing torchvision, for its download addresses")
    try:
        import torchvision.datasets
        from torchvision.datasets.utils import download_url
    except Exception as error:  # a torchvision built for another torch raises anything at all here
        raise SourceError(f"torchvision cannot be imported: {error}") from error
    return getattr(torchvision.datasets, name), download_url


@dataclass(frozen=True)
class _Download:
    """How one raw set is downloaded: the suffixes its files may carry, and what retrieves an address."""

    cache: Cache
    suffixes: Sequence[str]
    retrieve: Callable[[str, Path], None]
    limits: Limits

    def serve(self, bases: Sequence[str], served_by: str) -> Fetched:
        """All files from the first base address that has them; files already kept are not asked for."""
        failures = []
        for base in bases:
            try:
                with _socket_timeout(self.limits.timeout):
                    contents = {file.name: self._content(base, file) for file in self.cache.raw.files}
            except CorruptError as error:
                failures.append(str(error))
            except WEB_ERRORS as error:
                failures.append(f"{base}: {str(error) or type(error).__name__}")
            else:
                return self.cache.finish(contents, {"served_by": served_by, "url": base})
            log.info("%s: %s", self.cache.raw.folder, failures[-1])
        raise SourceError("; ".join(failures))

    def _content(self, base: str, file: RawFile) -> bytes:
        kept = self.cache.get(file)
        if kept is not None:
            return kept
        names = [f"{name}{suffix}" for name in file.file_names for suffix in self.suffixes]
        address = self._answering([f"{base}{name}" for name in names])
        log.info("downloading %s", address)
        # On the same disk as the cache, and gone afterwards: an interrupted download leaves nothing.
        with self.cache.workspace() as folder:
            target = folder / address.rpartition("/")[2]
            within(self.limits.deadline, partial(self.retrieve, address, target))
            return self.cache.put(file, target.read_bytes(), address, file.form(target.name))

    def _answering(self, addresses: Sequence[str]) -> str:
        """The first address that the server has; raises what it said to the last one."""
        *others, last = addresses
        for address in others:
            try:
                within(self.limits.timeout, partial(_knock, address, self.limits.timeout))
            except urllib.error.HTTPError:
                continue
            return address
        within(self.limits.timeout, partial(_knock, last, self.limits.timeout))
        return last


def _knock(address: str, timeout: float) -> None:
    """Open and close an address. torchvision sets no time limit, so an address is tried first."""
    with urllib.request.urlopen(address, timeout=timeout):
        pass


def _retrieve(address: str, target: Path, timeout: float) -> None:
    with urllib.request.urlopen(address, timeout=timeout) as response, open(target, "wb") as out:
        total = int(response.headers.get("Content-Length") or 0)
        done, reported = 0, time.monotonic()
        while chunk := response.read(CHUNK):
            done += out.write(chunk)
            if time.monotonic() - reported > NEWS_SECONDS:
                reported = time.monotonic()
                log.info("%s: %.1f of %.1f MB", target.name, done / 1e6, total / 1e6)


def within(seconds: float, act: Callable[[], Result]) -> Result:
    """Call `act` but wait `seconds` at most (then `TimeoutError`).

    A socket's time limit covers neither a name server that is silent nor a server that trickles; a
    daemon thread covers both. An abandoned thread writes only into a directory that is deleted.
    """
    outcome: list[tuple[Result | None, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((act(), None))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:g} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Bound the sockets of code that takes no time limit (torchvision's)."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
