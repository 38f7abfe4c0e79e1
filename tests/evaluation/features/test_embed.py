"""A feature is computed once for a content, and never served for another one or from a damaged file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.features.embed import embedded
from dgmbench.evaluation.features.feature_spaces import DomainSpace, checked_pixels, state_sha256
from dgmbench.store import Store

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Counting:
    name, width = "domain", 3

    def __init__(self, identity: str = "weights one") -> None:
        self.identity, self.asked = identity, 0

    def features(self, images: Tensor) -> Tensor:
        self.asked += 1
        return images.flatten(1)[:, :3].contiguous()


def test_equal_images_are_computed_once_for_all_who_ask(tmp_path: Path) -> None:
    space = Counting()
    first = embedded(space, IMAGES, Store(tmp_path))
    again = embedded(space, IMAGES.clone(), Store(tmp_path))
    assert space.asked == 1 and torch.equal(first, again) and again.dtype == torch.float32
    again += 1  # a caller's memory is its own
    assert torch.equal(embedded(space, IMAGES, Store(tmp_path)), first)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "other",
    [IMAGES.flip(0), IMAGES[:5], IMAGES.double(), IMAGES.reshape(6, 1, 4, 16), IMAGES + 2.0**-20],
)
def test_other_images_are_other_features(tmp_path: Path, other: Tensor) -> None:
    space, store = Counting(), Store(tmp_path)
    embedded(space, IMAGES, store)
    embedded(space, other, store)
    assert space.asked == 2 and len(list(tmp_path.rglob("*.value"))) == 2


def test_other_weights_are_another_space(tmp_path: Path) -> None:
    store, other = Store(tmp_path), Counting("weights two")
    embedded(Counting(), IMAGES, store)
    embedded(other, IMAGES, store)
    assert other.asked == 1


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_told_and_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes | None
) -> None:
    space, store = Counting(), Store(tmp_path)
    expected = embedded(space, IMAGES, store)
    (path,) = tmp_path.rglob("*.value")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content) if damage is None else damage)
    assert torch.equal(embedded(space, IMAGES, store), expected)
    assert space.asked == 2 and f"{path} is damaged; it is computed again" in capsys.readouterr().err
    embedded(space, IMAGES, store)
    assert space.asked == 2


@pytest.mark.parametrize("body", [b"", b"junk"])
def test_a_whole_file_that_holds_no_array_is_made_anew(tmp_path: Path, body: bytes) -> None:
    space, store = Counting(), Store(tmp_path)
    expected = embedded(space, IMAGES, store)
    next(tmp_path.rglob("*.value")).write_bytes(hashlib.sha256(body).digest() + body)
    assert torch.equal(embedded(space, IMAGES, store), expected) and space.asked == 2


def test_a_place_that_cannot_be_written_costs_no_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    features = embedded(Counting(), IMAGES, Store(tmp_path / "file"))
    assert torch.equal(features, Counting().features(IMAGES))
    assert "cannot be written" in capsys.readouterr().err


def test_without_a_place_nothing_is_kept() -> None:
    space = Counting()
    embedded(space, IMAGES, Store(None))
    embedded(space, IMAGES, Store(None))
    assert space.asked == 2


def test_the_domain_space_is_named_by_its_weights() -> None:
    classifier = DomainClassifier((1, 8, 8), 10).eval()
    space = DomainSpace(classifier)
    assert torch.equal(space.features(IMAGES), classifier.features(IMAGES))
    before = state_sha256(classifier.state_dict())
    assert before in space.identity and before == state_sha256(classifier.state_dict())
    with torch.no_grad():
        classifier.logits.bias += 1
    assert DomainSpace(classifier).identity != space.identity
    with pytest.raises(ValueError, match=r"\[n, 1, 8, 8\], not \[6, 1, 4, 16\]"):
        space.features(IMAGES.reshape(6, 1, 4, 16))


def test_bytes_are_scaled_and_floats_are_taken_as_they_are() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3)
    torch.testing.assert_close(checked_pixels(images).flatten(), torch.tensor([0.0, 0.2, 1.0]))
    assert torch.equal(checked_pixels(IMAGES), IMAGES)
