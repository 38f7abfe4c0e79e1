"""Raw files in, arrays and a manifest out: the work of the prepare stage."""

from __future__ import annotations

import hashlib
import logging
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.data import streams
from dgmbench.data.datasets import DatasetSpec, Loaded, get_spec, load_splits
from dgmbench.data.splits import Split, limited
from dgmbench.errors import DataError
from dgmbench.files import replacing, sha256_file, sha256_json, write_json

log = logging.getLogger(__name__)
HELD_OUT = ("valid", "test")


def prepare(
    name: str,
    out_dir: Path,
    *,
    seed: int,
    mirror: str | Path | None = None,
    downloads: Path = Path("downloads"),
    limit: int | None = None,
    url: str | None = None,
) -> dict[str, Any]:
    """Fetch, split, check and write a data set; return its manifest.

    Writes into `out_dir`: `{train,valid,test}.npy` (uint8 [n, C, H, W], levels 0..L-1),
    `labels_*.npy` (int64 [n], where there are labels), `binary_{valid,test}.npy` (uint8 0/1, the fixed
    binarisation, where there is a binary view and L > 2) and, last, `manifest.json`. The arrays' bytes depend
    on the raw files, `seed` and `limit` only.

    Args:
        name: a data set of `dataset_names()`.
        out_dir: the data set's own directory, `data/<name>` in the pipeline.
        seed: data seed, of the split (digits) and of the fixed binarisation.
        mirror: directory with raw files, see `dgmbench.data.fetch.sources.fetch`.
        downloads: directory that keeps downloaded raw files.
        limit: keep the first `limit` training images, and the first images of valid and test in the
            same proportion (rounded, one at least); None keeps all.
        url: base address asked instead of the published ones.

    Raises:
        DataError: no source serves, or an image lies in two splits.
    """
    spec = get_spec(name)
    if limit is not None and limit < 1:
        raise DataError(f"{name}: the limit on training images must be 1 or more, not {limit}")
    loaded = load_splits(name, seed=seed, mirror=mirror, downloads=downloads, url=url)
    _check_form(spec, loaded.splits)
    # Before the limit: a data set with leaking splits is refused even by a smoke test that misses the leak.
    check_disjoint(name, {split: part.images for split, part in loaded.splits.items()})
    splits = limited(loaded.splits, limit)
    folder = Path(out_dir)
    hashes = {file: _write(folder / file, array) for file, array in _arrays(spec, splits, seed).items()}
    manifest = _manifest(spec, loaded, splits, hashes, seed, limit)
    write_json(folder / "manifest.json", manifest)
    log.info("%s: %s images in %s", name, manifest["splits"], folder)
    return manifest


def check_disjoint(name: str, images: dict[str, np.ndarray[Any, Any]]) -> None:
    """Raise `DataError` if any image (by the hash of its pixels) lies in two of the splits."""
    hashes = {split: {_digest(image) for image in array} for split, array in images.items()}
    shared = {(one, two): len(hashes[one] & hashes[two]) for one, two in combinations(hashes, 2)}
    told = [f"{count} in both {one} and {two}" for (one, two), count in shared.items() if count]
    if told:
        raise DataError(f"{name}: the splits share images: {', '.join(told)}")


def _digest(image: np.ndarray[Any, Any]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _check_form(spec: DatasetSpec, splits: dict[str, Split]) -> None:
    for split, part in splits.items():
        if part.images.shape[1:] != spec.shape or part.images.max(initial=0) >= spec.levels:
            raise DataError(
                f"{spec.name}: {split} has images of shape {part.images.shape[1:]} with levels up to "
                f"{part.images.max(initial=0)}; expected {spec.shape} below {spec.levels}"
            )


def _arrays(spec: DatasetSpec, splits: dict[str, Split], seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Every array by file name. Two-level images are their own binarisation, so it is not written twice."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for split, part in splits.items():
        arrays[f"{split}.npy"] = part.images
        if part.labels is not None:
            arrays[f"labels_{split}.npy"] = part.labels.astype("<i8")
    if spec.levels > 2 and "binary" in spec.views:
        for split in HELD_OUT:
            generator = streams.generator(seed, f"binary_{split}")
            arrays[f"binary_{split}.npy"] = streams.bernoulli(generator, splits[split].images, spec.levels)
    return arrays


def _write(path: Path, array: np.ndarray[Any, Any]) -> str:
    with replacing(path) as aside:
        with open(aside, "wb") as handle:
            np.lib.format.write_array(handle, np.ascontiguousarray(array), version=(1, 0))
        return sha256_file(aside)


def _manifest(
    spec: DatasetSpec,
    loaded: Loaded,
    splits: dict[str, Split],
    hashes: dict[str, str],
    seed: int,
    limit: int | None,
) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "source": loaded.source,
        "licence": spec.licence,
        "homepage": spec.homepage,
        "raw_files": loaded.raw_files,
        "arrays": hashes,
        "splits": {split: len(part.images) for split, part in splits.items()},
        "split_seed": seed,
        "limit": limit,
        "shape": list(spec.shape),
        "levels": spec.levels,
        "views": list(spec.views),
        "classes": spec.classes,
        "duplicates_across_splits": 0,  # anything else raised above
        "sha256": sha256_json(hashes),
    }
