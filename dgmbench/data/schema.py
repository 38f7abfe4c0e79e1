"""What a data set is made of, as models are built from it: its target, classes, condition and splits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class ImageTarget:
    """Images of ``shape (C, H, W)`` whose pixels are levels 0..levels-1."""

    kind: ClassVar[str] = "image"
    shape: tuple[int, int, int]
    levels: int

    @property
    def dims(self) -> int:
        """d = C H W, the number of pixel values of an image."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class TokenTarget:
    """Sequences of at most `length` tokens 0..vocabulary-1, the end token included.

    Token 0 pads a sequence beyond its end, token 1 ends it, token 2 stands for words outside the vocabulary.
    """

    kind: ClassVar[str] = "tokens"
    PAD: ClassVar[int] = 0
    END: ClassVar[int] = 1
    UNKNOWN: ClassVar[int] = 2
    length: int
    vocabulary: int


Target = ImageTarget | TokenTarget
TARGETS: dict[str, type[ImageTarget] | type[TokenTarget]] = {
    target.kind: target for target in (ImageTarget, TokenTarget)
}


@dataclass(frozen=True)
class Schema:
    """The form of a data set.

    Args:
        target: what is modelled.
        classes: the number of classes of its labels; None without labels.
        condition: what every example is paired with (an image to translate); None for most data sets.
            A label can serve as condition without being one here.
        splits: their names.
    """

    target: Target
    classes: int | None = None
    condition: Target | None = None
    splits: tuple[str, ...] = ("train", "valid", "test")

    @property
    def image(self) -> ImageTarget:
        """The target of a data set of images.

        Raises:
            ValueError: for any other target.
        """
        if not isinstance(self.target, ImageTarget):
            raise ValueError(f"this takes images, not {self.target.kind}")
        return self.target

    @property
    def tokens(self) -> TokenTarget:
        """The target of a data set of token sequences.

        Raises:
            ValueError: for any other target.
        """
        if not isinstance(self.target, TokenTarget):
            raise ValueError(f"this takes tokens, not {self.target.kind}s")
        return self.target

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `from_json` reads them."""
        return {
            "target": _target_json(self.target),
            "classes": self.classes,
            "condition": None if self.condition is None else _target_json(self.condition),
            "splits": list(self.splits),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Schema:
        """Back from `to_json`.

        Raises:
            KeyError, TypeError, ValueError: the values describe no schema.
        """
        condition = values["condition"]
        return cls(
            _target_from(values["target"]),
            None if values["classes"] is None else int(values["classes"]),
            None if condition is None else _target_from(condition),
            tuple(map(str, values["splits"])),
        )


def image_schema(shape: tuple[int, int, int], levels: int, classes: int | None = None) -> Schema:
    """The schema of a data set of images."""
    return Schema(ImageTarget(shape, levels), classes)


def _target_json(target: Target) -> dict[str, Any]:
    fields = {
        key: list(value) if isinstance(value, tuple) else value for key, value in asdict(target).items()
    }
    return {"kind": target.kind, **fields}


def _target_from(values: Mapping[str, Any]) -> Target:
    fields = dict(values)
    kind = fields.pop("kind")
    if kind not in TARGETS:
        raise ValueError(f"target '{kind}' is not one of {', '.join(TARGETS)}")
    numbers: dict[str, Any] = {
        name: tuple(map(int, value)) if isinstance(value, list | tuple) else int(value)
        for name, value in fields.items()
    }
    return TARGETS[kind](**numbers)
