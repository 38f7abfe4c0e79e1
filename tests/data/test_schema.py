"""The schema of a data set: what it promises, and its way through JSON."""

from __future__ import annotations

import json

import pytest

from dgmbench.data.datasets import dataset_names, get_spec
from dgmbench.data.schema import ImageTarget, Schema, TokenTarget, image_schema

PAIRS = Schema(ImageTarget((3, 4, 5), 256), classes=2, condition=ImageTarget((1, 4, 5), 256))


@pytest.mark.parametrize("schema", [*(get_spec(name).schema for name in dataset_names()), PAIRS])
def test_a_schema_comes_back_from_json(schema: Schema) -> None:
    values = schema.to_json()
    assert Schema.from_json(values) == schema
    assert json.loads(json.dumps(values)) == values


def test_each_target_is_had_by_its_name_alone() -> None:
    assert image_schema((1, 2, 3), 17).image.dims == 6
    assert Schema(TokenTarget(21, 100)).tokens.vocabulary == 100
    with pytest.raises(ValueError, match="takes images, not tokens"):
        Schema(TokenTarget(21, 100)).image  # noqa: B018
    with pytest.raises(ValueError, match="takes tokens, not images"):
        image_schema((1, 2, 3), 17).tokens  # noqa: B018


def test_a_target_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'sound' is not one of image, tokens"):
        Schema.from_json({"target": {"kind": "sound"}, "classes": None, "condition": None, "splits": []})
