"""Files inside of archives: tar, packed or not, and the package format of Debian."""

from __future__ import annotations

import io
import lzma
import tarfile
import zlib
from collections.abc import Collection

_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60
_DAMAGE = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)


def tar_members(content: bytes, names: Collection[str], largest: int) -> dict[str, bytes]:
    """The files of those base names in a tar archive, packed or not, in whatever folder.

    Args:
        content: the archive.
        names: base names.
        largest: no file may unpack to more bytes.

    Raises:
        ValueError: not a tar archive, or a file is missing, there twice, or too large.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                handle = archive.extractfile(member) if name in names and member.isfile() else None
                if handle is None:
                    continue
                if name in found or member.size > largest:
                    raise ValueError(f"{name} is in it twice, or is larger than {largest} bytes")
                found[name] = handle.read()
    except _DAMAGE as error:
        raise ValueError(f"not a tar archive: {error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"no {', '.join(missing)} in the archive")
    return found


def deb_data(content: bytes) -> bytes:
    """The tar archive of a Debian package's files (`data.tar.*`), packed as it is there.

    A package is an `ar` archive: a magic line, then members with a header of 60 bytes each (name 16, time 12,
    owner 6, group 6, mode 8, size 10, end 2), padded to even lengths; see deb(5).

    Raises:
        ValueError: not a Debian package.
    """
    if not content.startswith(_AR_MAGIC):
        raise ValueError("not a Debian package")
    start = len(_AR_MAGIC)
    while start + _AR_HEADER <= len(content):
        header = content[start : start + _AR_HEADER]
        name, digits = header[:16].rstrip(b" ").rstrip(b"/"), header[48:58].strip()
        if header[58:] != b"`\n" or not digits.isdigit():
            raise ValueError("not a Debian package: a damaged header of a member")
        size = int(digits)
        start += _AR_HEADER
        if name.startswith(b"data.tar"):
            return content[start : start + size]
        start += size + size % 2
    raise ValueError("no data.tar in the Debian package")
