"""How long and by which optimiser a model is trained."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from dgmbench.settings.block import Pair, Strict

Schedule = Literal["constant", "cosine", "tripling", "linear", "late_linear"]
MomentDecay = Annotated[float, Field(ge=0, lt=1)]


class TrainingBudget(Strict):
    """How one model is trained: its length, optimiser and which parameters are kept."""

    epochs: PositiveInt = Field(50, description="passes over the training images")
    batch_size: PositiveInt = Field(100, description="images per step")
    optimiser: Literal["adam", "rmsprop"] = Field("adam", description="rmsprop has no first moment")
    learning_rate: PositiveFloat = Field(1e-3, description="step size at the start")
    betas: Pair[MomentDecay] = Field(
        (0.9, 0.999), description="decays of the first and second moment; rmsprop needs 0 for the first"
    )
    epsilon: PositiveFloat = Field(1e-8, description="what is added to the root of the second moment")
    schedule: Schedule = Field(
        "constant",
        description="step size over the run; tripling: 10^(-1/7) less after 1, 3, 9, ... further epochs; "
        "linear: falling to 0; late_linear: the same in the last third",
    )
    gradient_clip: NonNegativeFloat = Field(0.0, description="largest gradient norm; 0 leaves it alone")
    validate_every: PositiveInt = Field(1, description="epochs between two looks at the validation images")
    select: Literal["best", "last"] = Field(
        "best", description="keep the best epoch on validation, or the last"
    )

    @model_validator(mode="after")
    def _one_moment(self) -> Self:
        if self.optimiser == "rmsprop" and self.betas[0] > 0:
            raise ValueError(f"optimiser: rmsprop has no first moment: betas: [0.0, {self.betas[1]}]")
        return self
