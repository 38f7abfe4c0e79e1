"""Archives as others make them: tar, and Debian's packages."""

from __future__ import annotations

import io
import tarfile


def tar(members: dict[str, bytes], how: str = "w:xz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=how) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def ar(members: dict[str, bytes]) -> bytes:
    """As dpkg-deb writes it: deb(5)."""
    content = b"!<arch>\n"
    for name, part in members.items():
        content += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}`\n".encode() + part
        content += b"\n" * (len(part) % 2)
    return content


def deb(members: dict[str, bytes]) -> bytes:
    return ar({"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": tar(members)})
