from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from dgmbench.errors import SettingsError
from dgmbench.settings import read_yaml
from dgmbench.settings.read import dump_yaml


def read(tmp_path: Path, text: str) -> Any:
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    return read_yaml(tmp_path / "file.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10), ("-3", -3), ("+3", 3), ("0", 0), ("true", True), ("False", False), ("", None),
        ("1e-3", 1e-3), ("1.0e-3", 1e-3), (".5", 0.5), ("1.", 1.0), ("-.inf", float("-inf")), ("0.10", 0.1),
        ("'1'", "1"), ('"yes"', "yes"), ("vae", "vae"), ("y", "y"), ("1e", "1e"), ("1.2.3", "1.2.3"),
        ("81.30 against 86.76 nats", "81.30 against 86.76 nats"), ("!!str 010", "010"), ("é", "é"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any, tmp_path: Path) -> None:
    found = read(tmp_path, f"key: {text}\n")["key"]
    assert (found, type(found)) == (value, type(value))
    # As DVC reads it.
    assert YAML(typ="safe").load(f"key: {text}\n") == {"key": value}


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffkey: 1\n") == {"key": 1}


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    text = """
low: &low {a: 1, b: 2}
high: &high {b: 3, c: 4}
alias: *low
one: {<<: *low, b: 9}
both: {b: 0, <<: [*high, *low]}
"""
    found = read(tmp_path, text)
    assert found["alias"] == {"a": 1, "b": 2}
    assert found["one"] == {"a": 1, "b": 9}
    assert found["both"] == {"a": 1, "b": 0, "c": 4}


PLAIN = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\n\t"), max_size=8
) | st.sampled_from(["1e3", "010", "yes", "null", "1_0", "0o7", "<<", "=", "2024-01-01", "1:30", ".inf", "~"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(value=VALUES)
def test_what_is_written_reads_back(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    path.write_text(dump_yaml({"key": value, "again": [value, value]}), encoding="utf-8")
    assert read_yaml(path) == {"key": value, "again": [value, value]}


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=40) | st.text("ab:{}[]&*<!|>'\"#-,%? \n\t\\01.e~", max_size=40).map(str.encode)
)
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(read_yaml(path), dict)
    except SettingsError as error:
        assert str(path) in str(error) and "\n" not in str(error)
