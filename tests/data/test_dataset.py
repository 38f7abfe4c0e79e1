"""Reading a prepared data set, and noticing one that is not what was prepared."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from dgmbench.data import datasets
from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    prepare("digits", tmp_path / "data" / "digits", seed=0, limit=100)
    return tmp_path / "data"


def test_attributes_come_from_the_manifest(root: Path) -> None:
    data = load_dataset("digits", root)
    assert (data.name, data.shape, data.dims, data.levels, data.classes) == ("digits", (1, 8, 8), 64, 17, 10)
    assert data.views == ("binary", "gray")
    assert data.sha256 == data.manifest["sha256"]
    assert [data.size(split) for split in ("train", "valid", "test")] == [100, 25, 25]


def test_arrays_are_memory_mapped_and_of_the_promised_types(root: Path) -> None:
    data = load_dataset("digits", root)
    images, labels, binary = data.images("valid"), data.labels("valid"), data.binary("valid")
    assert isinstance(images, np.memmap)
    assert images.dtype == np.uint8 and images.shape == (25, 1, 8, 8)
    assert labels is not None and labels.dtype == np.int64 and labels.shape == (25,)
    assert binary.dtype == np.uint8 and binary.shape == (25, 1, 8, 8)
    assert set(np.unique(binary)) == {0, 1}
    assert (binary[images == 0] == 0).all() and (binary[images == 16] == 1).all()


def test_writing_to_an_array_does_not_reach_the_file(root: Path) -> None:
    data = load_dataset("digits", root)
    data.images("train")[:] = 0
    assert data.images("train").max() > 0
    data.verify()


def test_torch_takes_the_arrays_without_a_warning(root: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.from_numpy(load_dataset("digits", root).images("test")).dtype == torch.uint8


def test_train_has_no_fixed_binarisation_and_unknown_splits_are_named(root: Path) -> None:
    data = load_dataset("digits", root)
    with pytest.raises(DataError, match="no fixed binarisation"):
        data.binary("train")
    for ask in (data.images, data.labels, data.binary, data.size):
        with pytest.raises(ValueError, match="no split 'tset': test, train, valid"):
            ask("tset")


def test_two_level_images_are_their_own_binarisation(root: Path, real_mirror: Path) -> None:
    if not (real_mirror / "binarized-mnist").is_dir():
        pytest.skip("the mirror has no static binarisation")
    prepare("mnist_static", root / "mnist_static", seed=0, mirror=real_mirror, limit=50)
    data = load_dataset("mnist_static", root)
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(data.binary(split), data.images(split))
        assert data.labels(split) is None


def test_what_is_not_prepared_is_answered_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run python -m stages\.prepare --dataset mnist"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("file", ["train.npy", "labels_test.npy", "binary_valid.npy"])
@pytest.mark.parametrize("fault", ["changed", "truncated", "missing"])
def test_a_damaged_array_is_named_with_both_checksums(root: Path, file: str, fault: str) -> None:
    data = load_dataset("digits", root)
    path = root / "digits" / file
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole if fault == "changed" else whole[:-10])
    if fault == "missing":
        path.unlink()
    with pytest.raises(DataError, match=file) as caught:
        load_dataset("digits", root)
    assert "stages.prepare --dataset digits" in str(caught.value)
    if fault != "missing":
        assert f"expected SHA-256 {data.manifest['arrays'][file]}, found " in str(caught.value)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_truncated_array_is_a_data_error_even_unverified(root: Path, length: int) -> None:
    path = root / "digits" / "train.npy"
    path.write_bytes(path.read_bytes()[:length])
    data = load_dataset("digits", root, verify=False)
    with pytest.raises(DataError, match=r"train\.npy cannot be read"):
        data.images("train")
    (root / "digits" / "labels_valid.npy").unlink()
    with pytest.raises(DataError, match=r"labels_valid\.npy is missing"):
        data.labels("valid")


def test_images_have_no_vocabulary_and_examples_are_the_images(root: Path) -> None:
    data = load_dataset("digits", root)
    np.testing.assert_array_equal(data.examples("test"), data.images("test"))
    with pytest.raises(DataError, match="digits is a data set of image, not of tokens"):
        data.vocabulary()


def test_a_manifest_of_before_schemas_is_a_data_error(root: Path) -> None:
    path = root / "digits" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"schema": {"target": {"kind": "sound"}}}))
    with pytest.raises(DataError, match=r"holds no schema of ours.*stages\.prepare --dataset digits"):
        load_dataset("digits", root)
    del manifest["schema"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="lacks"):
        load_dataset("digits", root)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "digits"}'])
def test_a_damaged_manifest_is_a_data_error(root: Path, text: str) -> None:
    (root / "digits" / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json (is not JSON|lacks|holds)"):
        load_dataset("digits", root)


def test_a_manifest_whose_hash_is_not_of_its_arrays_is_refused(root: Path) -> None:
    path = root / "digits" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["arrays"]["train.npy"]  # so that nothing would notice a changed train.npy
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="contradicts itself"):
        load_dataset("digits", root)


def test_every_spec_has_the_splits_that_readers_ask_for(root: Path) -> None:
    assert set(load_dataset("digits", root).manifest["splits"]) == {"train", "valid", "test"}
    assert "digits" in datasets.DATASETS
