"""The 8x8 digits that scikit-learn carries: 1797 images of 17 levels, by 13 writers (UCI's test set)."""

from __future__ import annotations

import hashlib

import numpy as np

from dgmbench.data import streams
from dgmbench.data.fetch.raw import CorruptError, Fetched
from dgmbench.data.schema import image_schema
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split, stratified

# Of the pixels and of the labels, both as uint8 in the library's order.
DIGITS_SHA256 = {
    "images": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
    "labels": "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
}
DIGITS_SIZES = {"train": 1197, "valid": 300, "test": 300}


def fetch_digits() -> Fetched:
    """The pixels and labels as bytes; `CorruptError` if this scikit-learn carries others."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    contents = {
        "images": bunch.data.astype(np.uint8).tobytes(),
        "labels": bunch.target.astype(np.uint8).tobytes(),
    }
    for name, expected in DIGITS_SHA256.items():
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != expected:
            raise CorruptError(
                f"the digits {name} of this scikit-learn have SHA-256 {found}, expected {expected}"
            )
    return Fetched(contents, {"served_by": "scikit-learn"})


def cut_digits(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    """1197/300/300 images drawn with the data seed, every class in its share."""
    images = np.frombuffer(contents["images"], np.uint8).reshape(-1, 1, 8, 8)
    labels = np.frombuffer(contents["labels"], np.uint8).astype(np.int64)
    parts = stratified(labels, DIGITS_SIZES, streams.generator(seed, "split"))
    return {split: Split(images[chosen], labels[chosen]) for split, chosen in parts.items()}


DIGITS = DatasetSpec(
    name="digits",
    title="Optical recognition of handwritten digits (8x8, from scikit-learn)",
    licence="CC BY 4.0",
    homepage="https://archive.ics.uci.edu/dataset/80",
    schema=image_schema((1, 8, 8), levels=17, classes=10),
    views=("binary", "gray"),
    raw=None,
    cut=cut_digits,
    bundled=fetch_digits,
)
