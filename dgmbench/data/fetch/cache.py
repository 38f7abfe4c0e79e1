"""The `downloads/` directory: verified raw files, kept so that a second run fetches nothing.

It is laid out like a mirror (`downloads/mnist/train-images-idx3-ubyte.gz`), so a filled one can be
handed to another machine as its mirror. Files in it are checked again on every use.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dgmbench.data.fetch.raw import (
    GZIP_MAGIC,
    CorruptError,
    Fetched,
    Form,
    RawFile,
    RawSet,
    SourceError,
    candidates,
    read_from,
    unpack_and_check,
)
from dgmbench.files import read_json, replacing, write_json

log = logging.getLogger(__name__)
PROVENANCE = "source.json"


class Cache:
    """The part of `downloads/` that belongs to one raw set."""

    def __init__(self, downloads: Path, raw: RawSet) -> None:
        self.raw = raw
        self.folder = Path(downloads) / raw.folder

    def get(self, file: RawFile) -> bytes | None:
        """The verified content of a kept file, or None; a corrupt one is deleted with a warning."""
        try:
            return read_from(self.folder, file)
        except CorruptError as error:
            log.warning("%s; deleted, and fetched again", error)
            for path in candidates(self.folder, file):
                path.unlink(missing_ok=True)
        except SourceError:
            return None  # not kept yet: the ordinary case, no news
        return None

    def put(self, file: RawFile, packed: bytes, where: str, form: Form | None = None) -> bytes:
        """Check `packed`, keep it as it came, and return its content; `CorruptError` keeps nothing."""
        content = unpack_and_check(file, packed, where, form)
        suffix = ".gz" if packed.startswith(GZIP_MAGIC) else ""
        with replacing(self.folder / f"{form.name if form else file.name}{suffix}") as aside:
            aside.write_bytes(packed)
        return content

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A directory for unfinished files, on the cache's disk, that is deleted afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.folder, prefix=".unfinished-", ignore_cleanup_errors=True) as name:
            yield Path(name)

    def finish(self, contents: dict[str, bytes], source: dict[str, Any]) -> Fetched:
        """Note who served the files, so that a later run from the cache writes the same manifest."""
        write_json(self.folder / PROVENANCE, source)
        return Fetched(contents, source)

    def serve(self) -> Fetched:
        """All files from the cache; `SourceError` if any is missing or was corrupt."""
        contents = {file.name: content for file in self.raw.files if (content := self.get(file)) is not None}
        if len(contents) < len(self.raw.files):
            held = f"{len(contents)} of {len(self.raw.files)}"
            raise SourceError(f"{self.folder} holds {held} files unharmed")
        return Fetched(contents, self._provenance())

    def _provenance(self) -> dict[str, Any]:
        try:
            return dict(read_json(self.folder / PROVENANCE))
        except (OSError, ValueError, TypeError):
            # Verified files that somebody copied here: genuine by checksum, of unknown origin.
            return {"served_by": "downloads"}
