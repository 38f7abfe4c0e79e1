"""What the settings of all models with few labels have in common, and what such a model needs of the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from dgmbench.data.schema import Schema
from dgmbench.errors import SettingsError
from dgmbench.models.base import ModelSettings


class LabelledSettings(ModelSettings):
    """How many labels a model sees; which ones follow from the training seed (`dgmbench.data.labels`)."""

    labels: PositiveInt | None = Field(
        100, description="labelled training images, equally many of each class; null: all"
    )
    valid_labels: PositiveInt | None = Field(
        None, description="labelled validation images, which epochs are chosen on; null: all"
    )
    measures: Literal["all", "classification"] = Field(
        "all", description="what is measured: all that applies, or the test error alone (a point of a curve)"
    )


class PartialSettings(LabelledSettings):
    """Of a model that sees all training images, and the labels of some."""

    labelled_batch: PositiveInt = Field(
        100, description="labelled images of each step, beside the batch_size unlabelled ones"
    )


def classes_of(schema: Schema) -> int:
    """The number of classes.

    Raises:
        SettingsError: for a data set without labels.
    """
    if schema.classes is None:
        raise SettingsError("a classifier needs a data set with labels")
    return schema.classes
