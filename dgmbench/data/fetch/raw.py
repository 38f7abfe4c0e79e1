"""Raw files of a data set: their names, their pinned checksums, and the check itself.

What is pinned is the SHA-256 of the *unpacked* bytes, so a file is the same file whether it comes as
`.gz`, recompressed, or unpacked. Where one array is handed around in several formats (`Form`), it is that
of the array's bytes, and the program that wrote a file does not matter.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgmbench.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
# A form may be this many times as large as the content (doubles for bytes), and a header more.
FORM_FACTOR, FORM_HEADER = 8, 4096


class SourceError(DataError):
    """One source that did not serve, and why; the next source is tried."""


class CorruptError(SourceError):
    """A file that is there but is not what its checksum says."""


@dataclass(frozen=True)
class Form:
    """A file that wraps a content in a format of its own: its name without `.gz`, and how to unwrap it.

    `unwrap` gives the content of the file's unpacked bytes; `ValueError` if they are not of the format.
    """

    name: str
    unwrap: Callable[[bytes], bytes]


@dataclass(frozen=True)
class RawFile:
    """A published file: its name without `.gz`, and the SHA-256 and size in bytes of its unpacked content.

    With `forms`, `name` is that of the content, and the files that may hold it are those of the forms.
    """

    name: str
    sha256: str
    size: int
    forms: tuple[Form, ...] = ()

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names, without `.gz`, of the files that may hold the content."""
        return tuple(form.name for form in self.forms) or (self.name,)

    def form(self, file_name: str) -> Form | None:
        """The form of a file of that name (with or without `.gz`); None for the content itself."""
        named = {form.name: form for form in self.forms}
        return named.get(file_name.removesuffix(".gz"))


@dataclass(frozen=True)
class Carrier:
    """A wheel that holds the raw files: the pinned requirement, and the folder inside the wheel."""

    requirement: str
    folder: str


@dataclass(frozen=True)
class RawSet:
    """The raw files of one data set and who may serve them.

    `folder` is the name of its directory in a mirror and in `downloads/`; `torchvision` the class whose
    mirrors and MD5 sums are used; `urls` base addresses for files that torchvision does not know.
    """

    folder: str
    files: tuple[RawFile, ...]
    torchvision: str | None = None
    urls: tuple[str, ...] = ()
    carriers: tuple[Carrier, ...] = ()


@dataclass(frozen=True)
class Fetched:
    """Verified unpacked contents by file name, and a note of who served them (for the manifest)."""

    contents: dict[str, bytes]
    source: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Patience with a network, in seconds: for an answer, and for one file or wheel as a whole."""

    timeout: float = 10.0
    deadline: float = 900.0


def unpack_and_check(file: RawFile, packed: bytes, where: str, form: Form | None = None) -> bytes:
    """The unpacked content of `packed` (gzip or not), if it is `file`; else `CorruptError` naming `where`.

    `form` is the format that the content is wrapped in, if it is.
    """
    try:
        content = _content(file, packed, form)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        found = hashlib.sha256(packed).hexdigest()
        raise CorruptError(
            f"{where} cannot be unpacked ({error}): expected content with SHA-256 {file.sha256}, "
            f"found {len(packed)} packed bytes with SHA-256 {found}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise CorruptError(
            f"{where} is corrupt: expected SHA-256 {file.sha256} ({file.size} bytes unpacked), found {found} "
            f"({'more than ' if len(content) > file.size else ''}{min(len(content), file.size)} bytes)"
        )
    return content


def _content(file: RawFile, packed: bytes, form: Form | None) -> bytes:
    if form is None:
        return _unpack(packed, file.size)
    return form.unwrap(_unpack(packed, FORM_FACTOR * file.size + FORM_HEADER))


def _unpack(packed: bytes, size: int) -> bytes:
    """Unpack gzip, reading one byte more than `size` at most: a decompression bomb costs nothing."""
    if not packed.startswith(GZIP_MAGIC):
        return packed[: size + 1]
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as handle:
        return handle.read(size + 1)


def candidates(folder: Path, file: RawFile) -> Iterator[Path]:
    """Where `file` may lie in `folder`: packed first, as that is how it is published."""
    for name in file.file_names:
        yield folder / f"{name}.gz"
        yield folder / name


def read_from(folder: Path, file: RawFile) -> bytes:
    """The verified content of `file` in `folder`; `SourceError` if it is missing, unreadable or corrupt."""
    path = next((path for path in candidates(folder, file) if path.exists()), None)
    if path is None:
        names = " nor ".join(f"{name}.gz nor {name}" for name in file.file_names)
        raise SourceError(f"neither {names} is in {folder}")
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    return unpack_and_check(file, packed, str(path), file.form(path.name))
