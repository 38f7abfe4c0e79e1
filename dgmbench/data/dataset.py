"""A prepared data set, as training and evaluation read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dgmbench.data.schema import Schema
from dgmbench.errors import DamagedFileError, DataError
from dgmbench.files import read_object, sha256_file, sha256_json

VOCABULARY = "vocabulary.json"
REQUIRED = ("name", "arrays", "splits", "schema", "views", "sha256")


@dataclass(frozen=True)
class Dataset:
    """The arrays and the manifest in `folder` (`data/<name>`). Arrays are memory-mapped when asked for."""

    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def schema(self) -> Schema:
        """What models are built from."""
        return Schema.from_json(self.manifest["schema"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image; `ValueError` for a data set of another target."""
        return self.schema.image.shape

    @property
    def dims(self) -> int:
        """d = C H W, the number of pixel values of an image; `ValueError` for another target."""
        return self.schema.image.dims

    @property
    def levels(self) -> int:
        """L: pixel values are 0..L-1; `ValueError` for a data set of another target."""
        return self.schema.image.levels

    @property
    def classes(self) -> int | None:
        """The number of classes, None without labels."""
        return self.schema.classes

    @property
    def views(self) -> tuple[str, ...]:
        """The views it can be modelled in: "binary", "gray", "tokens"."""
        return tuple(self.manifest["views"])

    @property
    def sha256(self) -> str:
        """One hash of all arrays."""
        return str(self.manifest["sha256"])

    def size(self, split: str) -> int:
        """The number of examples of a split."""
        return int(self.manifest["splits"][self._known(split)])

    def examples(self, split: str) -> np.ndarray[Any, Any]:
        """The examples of a split, memory-mapped copy-on-write.

        Images are uint8 [n, C, H, W], levels 0..L-1; sequences of tokens int32 [n, T], padded.
        """
        return self._array(f"{self._known(split)}.npy")

    def images(self, split: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The examples of a data set of images: uint8 [n, C, H, W]; `DataError` for another target."""
        self._refuse_other("image")
        return self.examples(split)

    def vocabulary(self) -> list[str]:
        """The words of the token ids 0, 1, 2, ...; `DataError` for another target."""
        self._refuse_other("tokens")
        path = self._existing(VOCABULARY)
        try:
            return [str(word) for word in json.loads(path.read_text(encoding="utf-8"))]
        except ValueError as error:
            raise DataError(f"{path} cannot be read ({error}); {_remedy(self.name)}") from error

    def labels(self, split: str) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """The labels of a split: int64 [n], or None if the data set has none."""
        self._known(split)
        return None if self.classes is None else self._array(f"labels_{split}.npy")

    def binary(self, split: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """The fixed binarisation of valid or test: uint8 0/1 [n, C, H, W] (the images themselves if L = 2).

        Raises:
            DataError: for train, whose binarisation is drawn afresh in training (unless L = 2), and for a
                data set that has no binary view.
        """
        if "binary" not in self.views:
            raise DataError(f"{self.name} has no binary view, only: {', '.join(self.views)}")
        if self.levels == 2:
            return self.images(split)
        if self._known(split) == "train":
            raise DataError(f"{self.name}: train has no fixed binarisation; draw it with views.binarise")
        return self._array(f"binary_{split}.npy")

    def verify(self) -> None:
        """Check every array against the manifest; `DataError` names the file, expected and found hash."""
        for file, expected in self.manifest["arrays"].items():
            path = self._existing(file)
            found = sha256_file(path)
            if found != expected:
                raise DataError(
                    f"{path} is not what was prepared: expected SHA-256 {expected}, found {found}; "
                    f"{_remedy(self.name)}"
                )
        if sha256_json(self.manifest["arrays"]) != self.sha256:
            raise DataError(f"{self.folder / 'manifest.json'} contradicts itself; {_remedy(self.name)}")

    def _refuse_other(self, kind: str) -> None:
        found = self.schema.target.kind
        if found != kind:
            raise DataError(f"{self.name} is a data set of {found}, not of {kind}")

    def _known(self, split: str) -> str:
        if split not in self.manifest["splits"]:
            raise ValueError(f"{self.name} has no split {split!r}: {', '.join(self.manifest['splits'])}")
        return split

    def _existing(self, file: str) -> Path:
        path = self.folder / file
        if not path.is_file():
            raise DataError(f"{path} is missing; {_remedy(self.name)}")
        return path

    def _array(self, file: str) -> np.ndarray[Any, Any]:
        path = self._existing(file)
        try:
            # Copy-on-write rather than read-only: torch.from_numpy warns about arrays it cannot write to.
            array: np.ndarray[Any, Any] = np.load(path, mmap_mode="c", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}); {_remedy(self.name)}") from error
        return array


def load_dataset(name: str, root: Path = Path("data"), *, verify: bool = True) -> Dataset:
    """The prepared data set in `<root>/<name>`, its arrays checked against the manifest if `verify`.

    Raises:
        DataError: it is not prepared, an array is missing, or one is not what was prepared.
    """
    dataset = Dataset(name, Path(root) / name, read_manifest(name, root))
    if verify:
        dataset.verify()
    return dataset


def read_manifest(name: str, root: Path = Path("data")) -> dict[str, Any]:
    """What was prepared in `<root>/<name>`. Raises `DataError` where the manifest is missing or damaged."""
    path = Path(root) / name / "manifest.json"
    if not path.is_file():
        raise DataError(f"{name} is not prepared ({path} is missing); {_remedy(name)}")
    try:
        manifest = read_object(path, REQUIRED)
    except DamagedFileError as error:
        raise DataError(f"{error}; {_remedy(name)}") from error
    try:
        Schema.from_json(manifest["schema"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no schema of ours ({error}); {_remedy(name)}") from error
    return manifest


def _remedy(name: str) -> str:
    return f"run python -m stages.prepare --dataset {name}"
