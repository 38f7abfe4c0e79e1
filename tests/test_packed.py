"""What is packed comes back to the byte, and damaged bytes never do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dgmbench.packed import DamagedError, pack, unpack

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key[:1] != "$"), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_plain_values_come_back(value: object) -> None:
    assert unpack(pack(value)) == value


def test_arrays_and_tensors_come_back_wherever_they_are() -> None:
    value = {
        "records": [{"metric": "fid", "value": 1 / 3, "points": np.arange(3.0)}],
        "half": torch.tensor([1.5, 2.5]).bfloat16(),
        "number": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "bits": np.array([True, False]),
        "pair": (1, 2),
    }
    found = unpack(pack(value))
    assert found["records"][0]["value"] == 1 / 3 and found["pair"] == [1, 2]
    np.testing.assert_array_equal(found["records"][0]["points"], [0, 1, 2])
    assert found["bits"].dtype == bool
    for name in ("half", "number", "none"):
        assert found[name].dtype == value[name].dtype and torch.equal(found[name], value[name])
    found["half"] += 1  # a caller's memory is its own


def test_equal_values_give_equal_bytes_and_infinities_and_nan_are_numbers() -> None:
    value = {"x": np.arange(4), "inf": -math.inf, "nan": math.nan}
    assert pack(value) == pack(dict(value))
    found = unpack(pack(value))
    assert found["inf"] == -math.inf and math.isnan(found["nan"])


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {3}}, np.array([object()])])
def test_what_would_not_come_back_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        pack(value)


@given(st.data())
def test_one_flipped_bit_is_noticed(data: st.DataObject) -> None:
    content = bytearray(pack({"x": np.arange(5), "y": "text"}))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedError):
        unpack(bytes(content))


@pytest.mark.parametrize("length", [0, 5, 40, 200])
def test_what_is_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(DamagedError):
        unpack(pack({"x": np.arange(100)})[:length])
