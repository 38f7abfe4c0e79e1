"""What the data sets are, and how their published files are read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dgmbench.data import datasets
from dgmbench.data.dataset import load_dataset
from dgmbench.data.datasets import dataset_names, get_spec
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import ImageTarget
from dgmbench.data.sets.digits import fetch_digits
from dgmbench.data.sets.mnist import cut_amat, read_amat, read_idx
from dgmbench.errors import DataError


def test_names_come_without_heavy_imports() -> None:
    code = (
        "import sys, dgmbench.data.dataset, dgmbench.data.prepare;"
        "from dgmbench.data.datasets import dataset_names; assert dataset_names()[0] == 'digits';"
        "heavy = {'torch', 'sklearn', 'torchvision', 'scipy'} & set(sys.modules); assert not heavy, heavy;"
        "sets = [m for m in sys.modules if m.startswith('dgmbench.data.sets.')]; assert not sets, sets"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", dataset_names())
def test_specs_are_whole(name: str) -> None:
    spec = get_spec(name)
    assert spec.name == name
    assert spec.title and spec.licence and spec.homepage.startswith("http")
    if isinstance(spec.schema.target, ImageTarget):
        assert set(spec.views) <= {"binary", "gray"}
        assert ("gray" in spec.views) == (spec.levels > 2)
    else:
        assert spec.views == ("tokens",)
    assert (spec.raw is None) == (spec.bundled is not None)
    if spec.raw is not None:
        assert spec.raw.torchvision or spec.raw.urls
        assert all(len(file.sha256) == 64 for file in spec.raw.files)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        get_spec("mnits")


NEW_SET = """
import numpy as np

from dgmbench.data.fetch.raw import Fetched
from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split

WORDS = [(f"word{i % 5}", f"number{i}") for i in range(20)]


def cut(contents, seed):
    return {"train": Split(WORDS[:10]), "valid": Split(WORDS[10:15], np.arange(5)), "test": Split(WORDS[15:])}


NEW = DatasetSpec(
    name="new",
    title="Two words a sentence",
    licence="none",
    homepage="https://example.org",
    schema=Schema(TokenTarget(length=3, vocabulary=9)),
    views=("tokens",),
    raw=None,
    cut=cut,
    bundled=lambda: Fetched({"words": b"word"}, {"served_by": "this file"}),
)
"""


def test_a_new_data_set_is_one_file_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_new_set.py").write_text(NEW_SET)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(datasets.DATASETS, "new", "a_new_set:NEW")
    manifest = prepare("new", tmp_path / "data" / "new", seed=0, limit=5)
    assert manifest["splits"] == {"train": 5, "valid": 2, "test": 2}
    assert manifest["source"] == {"served_by": "this file"}
    data = load_dataset("new", tmp_path / "data")
    assert data.vocabulary() == ["<pad>", "<end>", "<unknown>", *(f"word{i}" for i in range(5)), "number0"]
    np.testing.assert_array_equal(data.examples("test"), [[3, 2, 1], [4, 2, 1]])


def test_read_idx_reads_images_and_labels() -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    header = b"\x00\x00\x08\x03" + np.array(images.shape, ">u4").tobytes()
    np.testing.assert_array_equal(read_idx(header + images.tobytes()), images)
    labels = b"\x00\x00\x08\x01" + np.array([3], ">u4").tobytes() + b"\x07\x08\x09"
    np.testing.assert_array_equal(read_idx(labels), [7, 8, 9])
    with pytest.raises(DataError, match="not an IDX file"):
        read_idx(b"\x1f\x8b" + labels)


def test_read_amat_reads_rows_of_digits() -> None:
    np.testing.assert_array_equal(read_amat(b"0 1 1\n1 0 0\n", width=3), [[0, 1, 1], [1, 0, 0]])
    with pytest.raises(DataError, match="something else than 0 and 1"):
        read_amat(b"0 1 2\n", width=3)


def test_the_sorted_test_images_come_in_an_order_drawn_by_the_seed() -> None:
    rows = [[image >> bit & 1 for bit in range(784)] for image in range(40)]
    text = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    contents = {f"binarized_mnist_{split}.amat": text for split in ("train", "valid", "test")}
    orders = []
    for seed in (0, 0, 1):
        splits = cut_amat(contents, seed)
        shown = {split: part.images.reshape(40, 784).tolist() for split, part in splits.items()}
        assert shown["train"] == rows == shown["valid"] == sorted(shown["test"], key=rows.index)
        orders.append([rows.index(row) for row in shown["test"]])
    assert orders[0] == orders[1] != orders[2] and list(range(40)) not in orders


def test_other_digits_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    bunch.data[0, 0] += 1
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: bunch)
    with pytest.raises(DataError, match=r"have SHA-256 \w{64}, expected 8f26b2bd"):
        fetch_digits()
