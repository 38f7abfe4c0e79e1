"""The choice of q(z|x) and its prior: settings, and the family that they name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from dgmbench.models.base import ModelSettings
from dgmbench.models.latent.gamma_families import Beta, Dirichlet, Gamma
from dgmbench.models.latent.latent_family import LatentFamily
from dgmbench.models.latent.location_scale import Cauchy, Laplace, Logistic, Normal, StudentT
from dgmbench.settings.block import Pair

FamilyName = Literal["normal", "laplace", "student_t", "logistic", "cauchy", "gamma", "beta", "dirichlet"]


class PosteriorSettings(ModelSettings):
    """The family of q(z|x), and of p(z)."""

    posterior: FamilyName = Field("normal", description="family of q(z|x); the prior is of the same one")
    degrees_of_freedom: float = Field(5.0, gt=2, description="student_t only: of posterior and prior")
    prior_parameters: Pair[PositiveFloat] = Field(
        (1.0, 1.0),
        description="gamma: concentration and rate; beta: both concentrations; dirichlet: the first, of all",
    )


def build_family(settings: PosteriorSettings, latent_dim: int) -> LatentFamily:
    """The family of the settings, with its prior."""
    first, second = settings.prior_parameters
    makers = {
        "normal": Normal,
        "laplace": Laplace,
        "student_t": lambda n: StudentT(n, settings.degrees_of_freedom),
        "logistic": Logistic,
        "cauchy": Cauchy,
        "gamma": lambda n: Gamma(n, first, second),
        "beta": lambda n: Beta(n, first, second),
        "dirichlet": lambda n: Dirichlet(n, first),
    }
    return makers[settings.posterior](latent_dim)
