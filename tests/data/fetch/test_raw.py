"""Checksums of raw files: the genuine file passes in any packing, nothing else does."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgmbench.data.fetch.raw import CorruptError, Form, RawFile, SourceError, read_from, unpack_and_check

CONTENT = b"\x00\x00\x08\x03" + bytes(range(200)) * 3
FILE = RawFile("images", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize("packed", [CONTENT, PACKED, gzip.compress(CONTENT, compresslevel=1)])
def test_genuine_content_passes_however_it_is_packed(packed: bytes) -> None:
    assert unpack_and_check(FILE, packed, "here") == CONTENT


@settings(deadline=None)
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused_or_harmless(position: int, change: int) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    try:
        # A byte of the gzip header (its time, its system) may change without touching the content.
        assert unpack_and_check(FILE, bytes(damaged), "here") == CONTENT
    except CorruptError as error:
        assert FILE.sha256 in str(error)


@settings(deadline=None)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_any_changed_byte_of_an_unpacked_file_is_refused(position: int, change: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[position] ^= change
    with pytest.raises(CorruptError, match=hashlib.sha256(damaged).hexdigest()):
        unpack_and_check(FILE, bytes(damaged), "here")


@settings(deadline=None)
@given(st.integers(0, len(PACKED) - 1))
def test_any_truncation_is_refused_and_told(length: int) -> None:
    with pytest.raises(CorruptError) as caught:
        unpack_and_check(FILE, PACKED[:length], "mirror/images.gz")
    assert "mirror/images.gz" in str(caught.value)
    assert FILE.sha256 in str(caught.value)


def test_appended_bytes_are_refused() -> None:
    with pytest.raises(CorruptError, match="more than"):
        unpack_and_check(FILE, CONTENT + b"x", "here")
    with pytest.raises(CorruptError, match="more than"):
        unpack_and_check(FILE, gzip.compress(CONTENT + b"x" * 10_000_000), "here")


def test_read_from_takes_packed_and_unpacked_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither images\.gz nor images is in"):
        read_from(tmp_path, FILE)
    (tmp_path / "images").write_bytes(CONTENT)
    assert read_from(tmp_path, FILE) == CONTENT
    (tmp_path / "images").unlink()
    (tmp_path / "images.gz").write_bytes(PACKED)
    assert read_from(tmp_path, FILE) == CONTENT


def test_an_unreadable_file_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "images.gz").mkdir()
    with pytest.raises(SourceError, match="cannot be read"):
        read_from(tmp_path, FILE)


REVERSED = Form("images.rev", lambda content: content[::-1])
FORMED = replace(FILE, forms=(REVERSED, Form("images.hex", lambda content: bytes.fromhex(content.decode()))))


def test_a_file_in_any_of_its_forms_is_the_same_file(tmp_path: Path) -> None:
    for name, content in (
        ("images.rev.gz", gzip.compress(CONTENT[::-1])),
        ("images.hex", CONTENT.hex().encode()),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_from(tmp_path, FORMED) == CONTENT
        (tmp_path / name).unlink()
    # With forms, the name is the content's, not a file's.
    (tmp_path / "images").write_bytes(CONTENT)
    with pytest.raises(SourceError, match=r"neither images\.rev\.gz nor images\.rev nor images\.hex\.gz nor"):
        read_from(tmp_path, FORMED)


def test_a_form_that_cannot_be_unwrapped_or_is_far_too_large_is_corrupt() -> None:
    with pytest.raises(CorruptError, match=r"there cannot be unpacked \(non-hexadecimal"):
        unpack_and_check(FORMED, b"no hex", "there", FORMED.form("images.hex.gz"))
    with pytest.raises(CorruptError, match="is corrupt: expected"):
        unpack_and_check(FORMED, gzip.compress(CONTENT[::-1] + b"x" * 10_000_000), "there", REVERSED)
