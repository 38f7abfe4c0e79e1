"""Preparing data sets: what is written, that it is the same everywhere, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from dgmbench.data import datasets
from dgmbench.data.arrays import check_disjoint
from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import Schema, image_schema
from dgmbench.data.sets import digits
from dgmbench.data.sets.digits import cut_digits
from dgmbench.data.splits import Split
from dgmbench.errors import DataError
from dgmbench.files import read_json, sha256_file, sha256_json

# Of all arrays, for data seed 0. Another value means that every published number was measured on other data.
PINNED = {
    "digits": "ff458d550620fd88aaceea1f3954cec3222c3604705b127c76f20da37bd4f910",
    "mnist": "d9e9852a2e06cbff92ab6b5460425a7e5b473f41bf7a069b133f0ba8a6f11f00",
    "fashion": "9f6f6a0e6a33870a227ba7daf296435d860b601525d430fd03eccc5c9ba865a0",
    "mnist_static": "fc0c5951ab526ff422146c00dfd7f862349250589918ce9412fd644770e47960",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_digits_are_prepared_as_the_contract_says(tmp_path: Path) -> None:
    manifest = prepare("digits", tmp_path / "digits", seed=0)
    assert manifest == read_json(tmp_path / "digits" / "manifest.json")
    assert manifest["splits"] == {"train": 1197, "valid": 300, "test": 300}
    assert (manifest["shape"], manifest["levels"], manifest["classes"]) == ([1, 8, 8], 17, 10)
    assert manifest["sha256"] == sha256_json(manifest["arrays"]) == PINNED["digits"]
    assert manifest["duplicates_across_splits"] == 0
    assert sorted(contents(tmp_path / "digits")) == sorted(["manifest.json", *manifest["arrays"]])
    for file, expected in manifest["arrays"].items():
        assert sha256_file(tmp_path / "digits" / file) == expected
    data = load_dataset("digits", tmp_path)
    for split in ("train", "valid", "test"):
        labels = data.labels(split)
        assert labels is not None
        assert np.bincount(labels).min() >= manifest["splits"][split] / 10 * 0.95


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        prepare("digits", tmp_path / folder, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    different = {
        name for name, text in contents(tmp_path / "a").items() if contents(tmp_path / "c")[name] != text
    }
    assert different == set(contents(tmp_path / "a"))


def test_a_limit_keeps_a_prefix_of_every_array(tmp_path: Path) -> None:
    prepare("digits", tmp_path / "whole" / "digits", seed=0)
    manifest = prepare("digits", tmp_path / "short" / "digits", seed=0, limit=120)
    assert manifest["splits"] == {"train": 120, "valid": 30, "test": 30}
    assert manifest["limit"] == 120
    for file in manifest["arrays"]:
        short = np.load(tmp_path / "short" / "digits" / file)
        np.testing.assert_array_equal(short, np.load(tmp_path / "whole" / "digits" / file)[: len(short)])
    with pytest.raises(DataError, match="must be 1 or more"):
        prepare("digits", tmp_path / "none", seed=0, limit=0)


def test_check_disjoint_names_the_splits_and_the_count() -> None:
    keys = [image.tobytes() for image in np.arange(40, dtype=np.uint8).reshape(10, 1, 2, 2)]
    check_disjoint("toy", {"train": keys[:6], "valid": keys[6:8], "test": keys[8:]})
    # Images repeated within a split are the publisher's affair; only a leak between splits is refused.
    check_disjoint("toy", {"train": keys[:3] + keys[:3], "test": keys[3:]})
    with pytest.raises(DataError, match=r"toy: the splits share images: 2 in both train and test$"):
        check_disjoint("toy", {"train": keys[:6], "valid": keys[6:8], "test": keys[4:6]})


def test_a_leaking_split_is_refused_even_where_a_limit_hides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leak(raw: dict[str, bytes], seed: int) -> dict[str, Split]:
        splits = cut_digits(raw, seed)
        splits["test"].images[-1] = splits["valid"].images[-1]
        return splits

    spec = replace(digits.DIGITS, name="leaky", cut=leak)
    monkeypatch.setattr(digits, "LEAKY", spec, raising=False)
    monkeypatch.setitem(datasets.DATASETS, "leaky", "dgmbench.data.sets.digits:LEAKY")
    with pytest.raises(DataError, match="leaky: the splits share images: 1 in both valid and test"):
        prepare("leaky", tmp_path / "leaky", seed=0, limit=100)
    assert not (tmp_path / "leaky").exists()


@pytest.mark.parametrize("schema", [image_schema((1, 8, 8), 16, 10), image_schema((1, 4, 16), 17, 10)])
def test_images_of_another_form_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: Schema
) -> None:
    monkeypatch.setattr(digits, "DIGITS", replace(digits.DIGITS, schema=schema))
    with pytest.raises(DataError, match=r"expected \(1, "):
        prepare("digits", tmp_path / "digits", seed=0)


def test_a_full_disk_leaves_no_half_written_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "digits"
    prepare("digits", folder, seed=0)
    before = contents(folder)

    def full(handle: IO[bytes], *_: object, **__: object) -> None:
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space left"):
        prepare("digits", folder, seed=1)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["mnist", "fashion", "mnist_static"])
def test_the_real_data_sets_are_the_pinned_ones(name: str, tmp_path: Path, real_mirror: Path) -> None:
    if not (real_mirror / datasets.get_spec(name).raw.folder).is_dir():  # type: ignore[union-attr]
        pytest.skip(f"the mirror has no {name}")
    manifest = prepare(name, tmp_path / name, seed=0, mirror=real_mirror)
    assert manifest["splits"] == {"train": 50_000, "valid": 10_000, "test": 10_000}
    assert manifest["sha256"] == PINNED[name]
    data = load_dataset(name, tmp_path)
    assert data.images("train").shape == (50_000, 1, 28, 28)
    assert set(np.unique(data.binary("test"))) == {0, 1}
    labels = data.labels("train")
    assert (labels is None) == (name == "mnist_static")
    if name == "mnist":
        assert labels is not None
        assert list(labels[:5]) == [5, 0, 4, 1, 9]  # as every user of MNIST knows them
