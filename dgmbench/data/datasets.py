"""The data sets: what they are and who may serve them.

Adding one is a `DatasetSpec` in `SPECS`. Listing and describing them imports neither torch nor
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgmbench.data.fetch.raw import RawSet
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.schema import Schema, image_schema
from dgmbench.data.sets.digits import DIGITS_SHA256, cut_digits, fetch_digits
from dgmbench.data.sets.frey import FREY_RAW, cut_frey
from dgmbench.data.sets.mnist import FASHION_RAW, MNIST_RAW, STATIC_RAW, cut_amat, cut_idx
from dgmbench.data.splits import Split
from dgmbench.errors import DataError, suggest
from dgmbench.terms import ViewName


@dataclass(frozen=True)
class Loaded:
    """The three splits, the SHA-256 of each raw file, and who served them."""

    splits: dict[str, Split]
    raw_files: dict[str, str]
    source: dict[str, Any]


@dataclass(frozen=True)
class DatasetSpec:
    """A data set. `shape` is (C, H, W), `levels` the L of its images, `classes` None without labels.

    `raw` is None for a data set that a library carries (digits). `cut` makes the splits out of the raw
    contents and the data seed.
    """

    name: str
    title: str
    licence: str
    homepage: str
    shape: tuple[int, int, int]
    levels: int
    classes: int | None
    views: tuple[ViewName, ...]
    raw: RawSet | None
    cut: Callable[[dict[str, bytes], int], dict[str, Split]]

    @property
    def schema(self) -> Schema:
        """What models are built from."""
        return image_schema(self.shape, self.levels, self.classes)


def dataset_names() -> tuple[str, ...]:
    """The names of all data sets, in the order in which they are listed to users."""
    return tuple(SPECS)


def get_spec(name: str) -> DatasetSpec:
    """The description of a data set; `DataError` naming the nearest if there is none of that name."""
    if name not in SPECS:
        raise DataError(f"there is no data set {name!r}; {suggest(name, SPECS)}")
    return SPECS[name]


def load_splits(
    name: str,
    *,
    seed: int,
    mirror: str | Path | None = None,
    downloads: Path = Path("downloads"),
    url: str | None = None,
) -> Loaded:
    """Fetch, check and split a data set (whole, in memory). `DataError` if no source serves it."""
    spec = get_spec(name)
    if spec.raw is None:
        fetched = fetch_digits()
        hashes = DIGITS_SHA256
    else:
        fetched = fetch(spec.raw, mirror=mirror, downloads=downloads, url=url)
        hashes = {file.name: file.sha256 for file in spec.raw.files}
    return Loaded(spec.cut(fetched.contents, seed), dict(hashes), fetched.source)


SPECS = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="digits",
            title="Optical recognition of handwritten digits (8x8, from scikit-learn)",
            licence="CC BY 4.0",
            homepage="https://archive.ics.uci.edu/dataset/80",
            shape=(1, 8, 8),
            levels=17,
            classes=10,
            views=("binary", "gray"),
            raw=None,
            cut=cut_digits,
        ),
        DatasetSpec(
            name="mnist",
            title="MNIST handwritten digits",
            licence="CC BY-SA 3.0",
            homepage="http://yann.lecun.com/exdb/mnist/",
            shape=(1, 28, 28),
            levels=256,
            classes=10,
            views=("binary", "gray"),
            raw=MNIST_RAW,
            cut=cut_idx,
        ),
        DatasetSpec(
            name="fashion",
            title="Fashion-MNIST",
            licence="MIT",
            homepage="https://github.com/zalandoresearch/fashion-mnist",
            shape=(1, 28, 28),
            levels=256,
            classes=10,
            views=("binary", "gray"),
            raw=FASHION_RAW,
            cut=cut_idx,
        ),
        DatasetSpec(
            name="mnist_static",
            title="MNIST, statically binarised (Larochelle and Murray 2011)",
            licence="none stated; derived from MNIST (CC BY-SA 3.0)",
            homepage="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
            shape=(1, 28, 28),
            levels=2,
            classes=None,
            views=("binary",),
            raw=STATIC_RAW,
            cut=cut_amat,
        ),
        DatasetSpec(
            name="frey",
            title="Frey faces: 1965 frames of a video of Brendan Frey",
            licence="none stated; made public by Brendan Frey and Sam Roweis",
            homepage="https://cs.nyu.edu/~roweis/data.html",
            shape=(1, 28, 20),
            levels=256,
            classes=None,
            views=("gray",),
            raw=FREY_RAW,
            cut=cut_frey,
        ),
    )
}
