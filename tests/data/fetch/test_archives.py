"""Files inside of archives: what is found, and what is refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from packing import ar, deb, tar

from dgmbench.data.fetch.archives import deb_data, tar_members

MEMBERS = {"usr/share/data.noun": b"nouns", "usr/share/data.verb": b"verbs" * 100, "usr/doc/data": b"no"}


@pytest.mark.parametrize("how", ["w:xz", "w:gz", "w"])
def test_files_are_found_in_any_folder(how: str) -> None:
    found = tar_members(tar(MEMBERS, how), ("data.noun", "data.verb"), 500)
    assert found == {"data.noun": b"nouns", "data.verb": b"verbs" * 100}


def test_what_is_missing_twice_or_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no data\.adj in"):
        tar_members(tar(MEMBERS), ("data.adj",), 500)
    with pytest.raises(ValueError, match="larger than 499 bytes"):
        tar_members(tar(MEMBERS), ("data.verb",), 499)
    with pytest.raises(ValueError, match="twice"):
        tar_members(tar({**MEMBERS, "data.noun": b""}), ("data.noun",), 500)


@pytest.mark.parametrize("cut", [0, 10, 100])
def test_damaged_archives_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="archive"):
        tar_members(tar(MEMBERS)[:cut], ("data.noun", "data.verb"), 500)


def test_a_link_is_no_file() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("data.noun")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(ValueError, match=r"no data\.noun"):
        tar_members(buffer.getvalue(), ("data.noun",), 500)


def test_the_files_of_a_debian_package() -> None:
    assert deb_data(deb(MEMBERS)) == tar(MEMBERS)


def test_what_is_no_debian_package_is_refused() -> None:
    with pytest.raises(ValueError, match="not a Debian package"):
        deb_data(tar(MEMBERS))
    with pytest.raises(ValueError, match="damaged header"):
        deb_data(b"!<arch>\n" + b"x" * 60)
    with pytest.raises(ValueError, match=r"no data\.tar"):
        deb_data(ar({"debian-binary": b"2.0\n"}))
