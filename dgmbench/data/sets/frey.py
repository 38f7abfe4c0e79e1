"""The Frey faces: 1965 frames of 28x20 pixels and 256 levels from a video of one man's face; no labels.

The publisher has them as a MATLAB file, others hand them on as NumPy's. What is pinned is therefore the
SHA-256 of the frames' bytes in video order. It is ours, of a copy of unknown route: no publisher's exists.

Neighbouring frames are nearly the same image, so frames must not be dealt to splits one by one: half the
test images would then have a training image within an L2 distance of 1.0 (pixels in [0, 1]), and the nearest
one would say nothing of memorisation. Dealt in blocks of 25 frames that median is 1.4, near the 1.5 that it
is for frames a hundred or more apart. The sizes are those of Tomczak & Welling 2018, who deal single frames.
"""

from __future__ import annotations

import io

import numpy as np

from dgmbench.data import streams
from dgmbench.data.fetch.raw import Form, RawFile, RawSet
from dgmbench.data.schema import image_schema
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import IntArray, Split, UintArray

FRAMES, HEIGHT, WIDTH = 1965, 28, 20
# Frames that stay together, and how many such blocks are held out in each of valid and test: 200 frames.
BLOCK, HELD_OUT_BLOCKS = 25, 8


def read_mat(content: bytes) -> bytes:
    """The frames' bytes in the publisher's MATLAB file: the variable `ff`, 560 x 1965, a frame a column.

    Raises:
        ValueError: not a MATLAB file, or one that holds something else.
    """
    from scipy.io import loadmat, whosmat

    try:
        shapes = {name: shape for name, shape, _ in whosmat(io.BytesIO(content))}
        # Before anything is unpacked: a header may promise more than there is memory for.
        if shapes.get("ff") != (HEIGHT * WIDTH, FRAMES):
            raise ValueError(f"no 'ff' of {HEIGHT * WIDTH}x{FRAMES} among its variables, {shapes or 'none'}")
        columns = loadmat(io.BytesIO(content), variable_names=["ff"])["ff"]
    except Exception as error:  # scipy raises anything at all on a damaged file
        raise ValueError(f"not the MATLAB file of the frames: {error}") from error
    return _bytes(columns.T)


def read_npy(content: bytes) -> bytes:
    """The frames' bytes in a NumPy file of 1965 x 28 x 20 (or 1965 x 560) values.

    Raises:
        ValueError: not a NumPy file, or an array of another size.
    """
    frames = np.load(io.BytesIO(content), allow_pickle=False)
    return _bytes(frames)


def _bytes(frames: np.ndarray) -> bytes:
    if frames.size != FRAMES * HEIGHT * WIDTH:
        raise ValueError(f"an array of shape {frames.shape}, not of {FRAMES} frames of {HEIGHT}x{WIDTH}")
    return np.ascontiguousarray(frames.astype(np.uint8)).tobytes()


FREY_RAW = RawSet(
    folder="frey",
    files=(
        RawFile(
            "frey_faces",
            "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",
            FRAMES * HEIGHT * WIDTH,
            forms=(Form("frey_rawface.mat", read_mat), Form("frey_faces.npy", read_npy)),
        ),
    ),
    urls=("http://www.cs.nyu.edu/~roweis/data/", "https://cs.nyu.edu/~roweis/data/"),
)


def read_frames(content: bytes) -> UintArray:
    """The frames in video order, uint8 [1965, 1, 28, 20]."""
    return np.frombuffer(content, np.uint8).reshape(FRAMES, 1, HEIGHT, WIDTH)


def cut_frey(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    """1565/200/200 frames: blocks of 25 in a row, dealt with the data seed; every split is shuffled."""
    frames = read_frames(contents["frey_faces"])
    return {split: Split(frames[chosen], None) for split, chosen in deal(seed).items()}


def deal(seed: int) -> dict[str, IntArray]:
    """The frames' numbers of each split, shuffled so that a prefix is from all over the video."""
    generator = streams.generator(seed, "split")
    order = streams.permutation(generator, FRAMES // BLOCK)
    owner = np.full(FRAMES, "train", dtype=object)
    for place, split in enumerate(("valid", "test")):
        for block in order[place * HELD_OUT_BLOCKS : (place + 1) * HELD_OUT_BLOCKS]:
            owner[block * BLOCK : (block + 1) * BLOCK] = split
    mixed = streams.permutation(generator, FRAMES)
    return {split: mixed[owner[mixed] == split] for split in ("train", "valid", "test")}


FREY = DatasetSpec(
    name="frey",
    title="Frey faces: 1965 frames of a video of Brendan Frey",
    licence="none stated; made public by Brendan Frey and Sam Roweis",
    homepage="https://cs.nyu.edu/~roweis/data.html",
    schema=image_schema((1, HEIGHT, WIDTH), levels=256),
    views=("gray",),
    raw=FREY_RAW,
    cut=cut_frey,
)
