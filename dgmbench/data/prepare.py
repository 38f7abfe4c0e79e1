"""Raw files in, arrays and a manifest out: the work of the prepare stage."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.data.arrays import Prepared, as_arrays
from dgmbench.data.dataset import VOCABULARY
from dgmbench.data.datasets import get_spec
from dgmbench.data.fetch.raw import Fetched
from dgmbench.data.fetch.sources import fetch
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split
from dgmbench.errors import DataError
from dgmbench.files import replacing, sha256_file, sha256_json, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """The three splits, the SHA-256 of each raw content, and who served them."""

    splits: dict[str, Split]
    raw_files: dict[str, str]
    source: dict[str, Any]


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

    Writes into `out_dir`: `{train,valid,test}.npy` (images uint8 [n, C, H, W], levels 0..L-1, or token ids
    int32 [n, T]), `labels_*.npy` (int64 [n], where there are labels), `binary_{valid,test}.npy` (uint8 0/1,
    the fixed binarisation, where there is a binary view and L > 2), `vocabulary.json` (the words of the token
    ids) and, last, `manifest.json`. Their bytes depend on the raw files, `seed` and `limit` only.

    Args:
        name: a data set of `dataset_names()`.
        out_dir: the data set's own directory, `data/<name>` in the pipeline.
        seed: data seed, of the splits that are drawn and of the fixed binarisation.
        mirror: directory with raw files, see `dgmbench.data.fetch.sources.fetch`.
        downloads: directory that keeps downloaded raw files.
        limit: keep the first `limit` training examples, and the first ones of valid and test in the
            same proportion (rounded, one at least); None keeps all. The vocabulary is not limited.
        url: base address asked instead of the published ones.

    Raises:
        DataError: no source serves, or an example lies in two splits.
    """
    spec = get_spec(name)
    if limit is not None and limit < 1:
        raise DataError(f"{name}: the limit on training examples must be 1 or more, not {limit}")
    loaded = load_splits(name, seed=seed, mirror=mirror, downloads=downloads, url=url)
    prepared = as_arrays(spec, loaded.splits, seed, limit)
    folder = Path(out_dir)
    hashes = {file: _write(folder / file, array) for file, array in prepared.arrays.items()}
    if prepared.vocabulary is not None:
        write_json(folder / VOCABULARY, prepared.vocabulary)
        hashes[VOCABULARY] = sha256_file(folder / VOCABULARY)
    manifest = _manifest(spec, loaded, prepared, hashes, seed, limit)
    write_json(folder / "manifest.json", manifest)
    log.info("%s: %s examples in %s", name, manifest["splits"], folder)
    return manifest


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
    fetched = _fetched(spec, mirror, downloads, url)
    hashes = {key: hashlib.sha256(content).hexdigest() for key, content in fetched.contents.items()}
    return Loaded(spec.cut(fetched.contents, seed), hashes, fetched.source)


def _fetched(spec: DatasetSpec, mirror: str | Path | None, downloads: Path, url: str | None) -> Fetched:
    if spec.raw is not None:
        return fetch(spec.raw, mirror=mirror, downloads=downloads, url=url)
    assert spec.bundled is not None, f"{spec.name} has neither raw files nor a library that carries it"
    return spec.bundled()


def _write(path: Path, array: np.ndarray[Any, Any]) -> str:
    with replacing(path) as aside:
        with open(aside, "wb") as handle:
            np.lib.format.write_array(handle, np.ascontiguousarray(array), version=(1, 0))
        return sha256_file(aside)


def _manifest(
    spec: DatasetSpec,
    loaded: Loaded,
    prepared: Prepared,
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
        "splits": {split: len(prepared.arrays[f"{split}.npy"]) for split in loaded.splits},
        "split_seed": seed,
        "limit": limit,
        "schema": spec.schema.to_json(),
        **prepared.facts,
        "views": list(spec.views),
        "classes": spec.classes,
        "duplicates_across_splits": 0,  # anything else raised above
        "sha256": sha256_json(hashes),
    }
