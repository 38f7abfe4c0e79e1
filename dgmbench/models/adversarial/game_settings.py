"""The settings of an adversarial game: objective, players, thresholds of collapse, budget."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from dgmbench.models.adversarial.objectives import Objective
from dgmbench.models.base import ModelSettings
from dgmbench.settings.block import Pair
from dgmbench.settings.budget import MomentDecay, TrainingBudget


class AdversarialTraining(TrainingBudget):
    """A GAN's budget: Adam as in Radford et al. 2015, and the last epoch, since no loss ranks epochs."""

    learning_rate: float = Field(2e-4, gt=0, description="Adam's step size of both networks")
    betas: Pair[MomentDecay] = Field((0.5, 0.999), description="Adam's moment decays")
    select: Literal["last"] = Field("last", description="only 'last': no loss ranks a GAN's epochs")


class AdversarialSettings(ModelSettings):
    """The game; families add their networks."""

    latent_dim: PositiveInt = Field(64, description="dimensions of z")
    objective: Objective = Field("non_saturating", description="what the two networks descend")
    discriminator_steps: PositiveInt = Field(1, description="k, its moves to each of the generator")
    discriminator_rate: PositiveFloat = Field(1.0, description="its step size over the generator's")
    discriminator_norm: Literal["none", "batch", "spectral"] = Field(
        "none", description="batch norm, or the largest singular value of each layer held at 1"
    )
    gradient_penalty: PositiveFloat = Field(10.0, description="wasserstein_gp only: weight of the penalty")
    average: float = Field(0.0, ge=0, lt=1, description="decay of the generator's average; 0: there is none")
    least_variance: float = Field(
        0.05,
        ge=0,
        description="collapsed if the samples' variance over the images' stays below this, "
        "after it was above or at the end",
    )
    least_signal: float = Field(
        1e-3, ge=0, description="collapsed if the generator's loss stays flatter in D's output than this"
    )
    most_accuracy: float = Field(
        1.0,
        gt=0.5,
        le=1,
        description="collapsed if D's accuracy stays above this, but for wasserstein_gp; 1: whatever it is, "
        "since a generator may recover from it",
    )
    patience: PositiveInt = Field(
        10, description="epochs, or looks at validation, that 'stays' stands for; at most all of them"
    )
    training: AdversarialTraining = AdversarialTraining()

    @model_validator(mode="after")
    def _separate(self) -> Self:
        if self.objective == "wasserstein_gp" and self.discriminator_norm == "batch":
            # Gulrajani et al. 2017, section 4: the penalty is of each image's own gradient.
            raise ValueError(
                "objective: wasserstein_gp cannot have discriminator_norm: batch (DCGAN's default); "
                "none and spectral work"
            )
        return self
