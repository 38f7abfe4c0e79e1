"""Splits as the arrays on disk, by the kind of target: images, or sentences as token ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from dgmbench.data import streams
from dgmbench.data.schema import ImageTarget
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split, limited
from dgmbench.data.text import build_vocabulary, encode, unknown_share, words_of
from dgmbench.errors import DataError

HELD_OUT = ("valid", "test")


@dataclass(frozen=True)
class Prepared:
    """What is written: arrays by file name, the vocabulary of token ids, facts for the manifest."""

    arrays: dict[str, np.ndarray[Any, Any]]
    vocabulary: list[str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def as_arrays(spec: DatasetSpec, splits: Mapping[str, Split], seed: int, limit: int | None) -> Prepared:
    """The arrays of a data set, checked against its schema, with no example in two splits.

    Raises:
        DataError: examples are of another form, or lie in two splits.
    """
    whole = dict(splits)
    # Before the limit: a data set with leaking splits is refused even by a smoke test that misses the leak.
    if isinstance(spec.schema.target, ImageTarget):
        _check_images(spec, whole)
        check_disjoint(spec.name, {split: map(_digest, part.images) for split, part in whole.items()})
        return _images(spec, limited(whole, limit), seed)
    _check_sentences(spec, whole)
    keys = {split: map(words_of, part.sentences) for split, part in whole.items()}
    check_disjoint(spec.name, keys, "sentences")
    return _tokens(spec, whole, limit)


def check_disjoint(name: str, keys: Mapping[str, Any], what: str = "images") -> None:
    """Raise `DataError` if any example (by its key) lies in two of the splits."""
    found = {split: set(values) for split, values in keys.items()}
    shared = {(one, two): len(found[one] & found[two]) for one, two in combinations(found, 2)}
    counts = [f"{count} in both {one} and {two}" for (one, two), count in shared.items() if count]
    if counts:
        raise DataError(f"{name}: the splits share {what}: {', '.join(counts)}")


def _digest(image: np.ndarray[Any, Any]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _check_images(spec: DatasetSpec, splits: Mapping[str, Split]) -> None:
    for split, part in splits.items():
        if part.images.shape[1:] != spec.shape or part.images.max(initial=0) >= spec.levels:
            raise DataError(
                f"{spec.name}: {split} has images of shape {part.images.shape[1:]} with levels up to "
                f"{part.images.max(initial=0)}; expected {spec.shape} below {spec.levels}"
            )


def _images(spec: DatasetSpec, splits: Mapping[str, Split], seed: int) -> Prepared:
    """Every array by file name. Two-level images are their own binarisation, so it is not written twice."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for split, part in splits.items():
        arrays[f"{split}.npy"] = part.images
        arrays |= _labels(split, part)
    if spec.levels > 2 and "binary" in spec.views:
        for split in HELD_OUT:
            generator = streams.generator(seed, f"binary_{split}")
            arrays[f"binary_{split}.npy"] = streams.bernoulli(generator, splits[split].images, spec.levels)
    return Prepared(arrays, facts={"shape": list(spec.shape), "levels": spec.levels})


def _labels(split: str, part: Split) -> dict[str, np.ndarray[Any, Any]]:
    return {} if part.labels is None else {f"labels_{split}.npy": part.labels.astype("<i8")}


def _check_sentences(spec: DatasetSpec, splits: Mapping[str, Split]) -> None:
    room = spec.schema.tokens.length - 1
    for split, part in splits.items():
        longest = max(map(len, part.sentences), default=0)
        if longest > room:
            raise DataError(
                f"{spec.name}: {split} has a sentence of {longest} tokens; expected {room} at most"
            )


def _tokens(spec: DatasetSpec, splits: Mapping[str, Split], limit: int | None) -> Prepared:
    """The ids of every split. The vocabulary is that of the training sentences before the limit."""
    target = spec.schema.tokens
    vocabulary = build_vocabulary(splits["train"].sentences, target.vocabulary)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for split, part in limited(dict(splits), limit).items():
        arrays[f"{split}.npy"] = encode(part.sentences, vocabulary, target.length)
        arrays |= _labels(split, part)
    ids = {split: arrays[f"{split}.npy"] for split in splits}
    facts = {
        "unknown_share": {split: round(unknown_share(array), 6) for split, array in ids.items()},
        "tokens": {split: int((array != target.PAD).sum()) for split, array in ids.items()},
    }
    return Prepared(arrays, vocabulary, facts)
