"""Values as bytes that carry their own checksum: what may be computed again, and is never served damaged.

A value is made of mappings with text as keys, lists, numbers, text, None, NumPy arrays and tensors. Tuples
come back as lists, tensors on the CPU.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import sys
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

DIGEST_BYTES = hashlib.sha256().digest_size
# The member of the archive that holds all but the arrays, and the key of a placeholder in it.
TREE, ARRAY, TENSOR = "tree", "$array", "$tensor"


class DamagedError(ValueError):
    """Bytes that are not what was packed."""


def pack(value: Any) -> bytes:
    """The SHA-256 of what follows, then an archive of the value; equal values give equal bytes.

    Raises:
        TypeError: for a value that is made of anything else.
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = json.dumps(_without_arrays(value, arrays))
    buffer = io.BytesIO()
    buffer.write(bytes(DIGEST_BYTES))
    named: dict[str, Any] = {TREE: np.frombuffer(tree.encode(), np.uint8), **arrays}
    np.savez(buffer, allow_pickle=False, **named)
    view = buffer.getbuffer()
    view[:DIGEST_BYTES] = hashlib.sha256(view[DIGEST_BYTES:]).digest()
    return bytes(view)


def unpack(content: bytes) -> Any:
    """The value that was packed. Raises DamagedError for bytes that were not, or are no longer whole."""
    body = memoryview(content)[DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != content[:DIGEST_BYTES]:
        raise DamagedError("is damaged")
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return _with_arrays(json.loads(arrays[TREE].tobytes()), arrays)
    except (ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DamagedError("holds no value") from error


def _without_arrays(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """The value with placeholders for its arrays, which go into `arrays`."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"keys of a remembered mapping are text, not {list(value)[:3]}")
        return {key: _without_arrays(each, arrays) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(each, arrays) for each in value]
    name = f"a{len(arrays)}"
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of Python objects cannot be remembered")
        arrays[name] = value
        return {ARRAY: name}
    if _is_tensor(value):
        arrays[name], placeholder = _bytes_of(value)
        return {TENSOR: name, **placeholder}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be remembered")


def _with_arrays(tree: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(tree, list):
        return [_with_arrays(each, arrays) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if ARRAY in tree:
        return arrays[tree[ARRAY]]
    if TENSOR in tree:
        return _tensor_of(arrays[tree[TENSOR]], tree["dtype"], tree["shape"])
    return {key: _with_arrays(each, arrays) for key, each in tree.items()}


def _is_tensor(value: Any) -> bool:
    """Without importing torch, which takes seconds: who has a tensor has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _bytes_of(tensor: Any) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """A tensor's bytes, and its type and shape. NumPy has no bfloat16."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat, {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}


def _tensor_of(flat: np.ndarray[Any, Any], dtype: str, shape: list[int]) -> Any:
    import torch

    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=getattr(torch, dtype))
    # The copy is writable, as a tensor's memory has to be.
    return torch.from_numpy(flat.copy()).view(getattr(torch, dtype)).reshape(shape)
