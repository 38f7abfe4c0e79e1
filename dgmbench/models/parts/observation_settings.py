"""The choice of p(x|z): settings, and the form that they name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, ValidationInfo, field_validator

from dgmbench.models.base import ModelSettings
from dgmbench.terms import ViewName

Likelihood = Literal["bernoulli", "gaussian", "discretised_logistic"]
# Of each view, the default first.
LIKELIHOODS: dict[ViewName, tuple[Likelihood, ...]] = {
    "binary": ("bernoulli",),
    "gray": ("gaussian", "discretised_logistic"),
    "color": ("gaussian", "discretised_logistic"),
}
Variance = Literal["network", "pixel", "shared"]


class ObservationSettings(ModelSettings):
    """The form of p(x|z)."""

    likelihood: Likelihood | None = Field(
        None,
        description="binary: bernoulli; gray: gaussian or discretised_logistic; null: the first of its view",
    )
    variance: Variance = Field(
        "network", description="gray only: variances from the decoder, one per pixel, or a single one"
    )
    least_deviation: NonNegativeFloat = Field(
        0.0, description="gray only: the learned standard deviations' floor, in pixel units"
    )
    mean: Literal["sigmoid", "identity"] = Field("sigmoid", description="gray only: the decoder's mean")

    @field_validator("likelihood")
    @classmethod
    def _fits_the_view(cls, likelihood: Likelihood | None, info: ValidationInfo) -> Likelihood | None:
        view = info.data.get("view")
        if view is not None and likelihood is not None and likelihood not in LIKELIHOODS.get(view, ()):
            raise ValueError(f"{view} images take: {', '.join(LIKELIHOODS.get(view, ()))}")
        return likelihood


def likelihood_of(settings: ObservationSettings) -> Likelihood:
    """The form of p(x|z) that the settings ask for, by default the first of the view's."""
    return settings.likelihood or LIKELIHOODS[settings.view][0]


def is_density(settings: ObservationSettings) -> bool:
    """Whether p(x|z) of gray and coloured images is a density of dequantised values."""
    return likelihood_of(settings) != "discretised_logistic"
