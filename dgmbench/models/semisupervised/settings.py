"""Settings of models that learn from labels."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from dgmbench.models.base import ModelSettings


class LabelledSettings(ModelSettings):
    """How many training and validation images are labelled."""

    labels: PositiveInt | None = Field(
        100, description="labelled training images, as many of each class; null: all"
    )
    valid_labels: PositiveInt | None = Field(
        None, description="labelled validation images, as many of each class; null: all"
    )


class PartialSettings(LabelledSettings):
    """Labelled images beside unlabelled ones."""

    labelled_batch: PositiveInt = Field(
        100, description="labelled images beside the `batch_size` unlabelled ones of every step"
    )
