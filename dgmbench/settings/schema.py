"""The schema of `params.yaml`: every block, with defaults and what each key means."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from dgmbench.settings.block import (
    DEVICE,
    FILE_NAME,
    LONGEST_NAME,
    Distinct,
    Few,
    Name,
    Pair,
    Seed,
    Strict,
)

# Ten million images of 28x28 take 8 GB on disk; more are a slip of the keyboard.
MOST_DRAWN = 10_000_000
Drawn = Annotated[int, Field(ge=1, le=MOST_DRAWN)]
# Threads of an operation, or processes: no machine has more processors for them.
AtOnce = Annotated[int, Field(ge=1, le=1024)]


class DataSettings(Strict):
    """Where data comes from and how it is split."""

    seed: Seed = Field(
        0,
        description="seed of splits, of fixed binarisation and dequantisation, and of which images are "
        "labelled or stand for all",
    )
    mirror: str | None = Field(None, description="directory of raw files; DGMBENCH_MIRROR when null")
    limit: PositiveInt | None = Field(None, description="first so many training images (smoke tests)")


class TrainingSettings(Strict):
    """How training runs, for all models alike."""

    device: str = Field("auto", pattern=DEVICE, description="auto: a GPU if any")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: autocast in the steps"
    )
    threads: AtOnce | None = Field(None, description="CPU threads of an operation; null: as many as cores")
    processes: AtOnce = Field(
        1, description="seeds trained, or evaluated, at once on a CPU; above 1 it needs threads: 1"
    )
    checkpoint_seconds: PositiveFloat = Field(30.0, description="longest work a kill can lose")

    @model_validator(mode="after")
    def _one_thread_each(self) -> Self:
        if self.processes > 1 and self.threads != 1:
            # Forks of a process whose OpenMP threads have run hang.
            raise ValueError(f"processes: {self.processes} needs threads: 1, not {self.threads}")
        return self


class SamplingSettings(Strict):
    """The images that each run leaves for scoring."""

    n: int = Field(1000, ge=2, le=MOST_DRAWN, description="images per run")
    batch_size: PositiveInt = Field(500, description="images drawn at once")


class ParzenSettings(Strict):
    """The Parzen window estimate (a heuristic)."""

    samples: PositiveInt = Field(10_000, description="kernel centres, at most sampling.n")
    larger: Distinct[Drawn] = Field(
        [], description="further numbers of centres, drawn anew and streamed: 100000, 1000000"
    )
    valid_points: PositiveInt = Field(1000, description="validation images that choose the bandwidth")
    log10_bandwidths: Pair[float] = Field((-1.0, 0.0), description="range of the bandwidth grid")
    bandwidths: Few = Field(10, description="points of the grid")


class AnnealingSettings(Strict):
    """Annealed importance sampling; Wu et al. 2017 use 16 chains, 10,000 distributions, 1000 test images."""

    points: NonNegativeInt = Field(100, description="test images; 0 leaves annealing out")
    simulated: PositiveInt = Field(50, description="simulated images for the bidirectional gap")
    chains: PositiveInt = Field(16, description="chains per image")
    distributions: PositiveInt = Field(500, description="steps from the prior to the posterior")
    leapfrog_steps: PositiveInt = Field(10, description="gradient steps of a Hamiltonian transition")
    target_acceptance: float = Field(0.65, gt=0, lt=1, description="pilot chains shorten steps to it")
    block_points: PositiveInt = Field(32, description="images annealed at once; raise it on a GPU")
    log10_variances: Pair[float] = Field(
        (-3.0, -0.5), description="range of the observation variances tried for generators without one"
    )
    variances: Few = Field(
        6, description="points of that grid, refined around the best; validation images choose"
    )
    valid_points: PositiveInt = Field(50, description="validation images that choose it")


class InceptionSettings(Strict):
    """Metrics in the feature space of the Inception network: some 100 ms an image on a CPU."""

    use: bool | None = Field(None, description="null: on a GPU only; true: on a CPU too; needs the weights")
    samples: int = Field(10_000, ge=2, description="generated, and test, images, or all if fewer are drawn")
    weights: str | None = Field(
        None, description="file of the weights; null: the mirror's, earlier downloads, the publisher's"
    )
    batch_size: PositiveInt = Field(50, description="images at once")
    resamples: int = Field(10, ge=2, description="bootstrap resamples behind the interval of fid_inception")


class EvaluationSettings(Strict):
    """What is measured, and on how much."""

    seed: Seed = Field(0, description="seed of every estimator's draws")
    batch_size: PositiveInt = Field(500, description="test images at once")
    dequantisation_draws: PositiveInt = Field(
        10, description="draws of the noise that a density of dequantised images is averaged over"
    )
    elbo_samples: PositiveInt = Field(10, description="posterior draws per image for the ELBO")
    importance_samples: Distinct[PositiveInt] = Field(
        [10, 100, 1000], min_length=1, description="the K of log_likelihood_is_<K>"
    )
    importance_points: PositiveInt | None = Field(None, description="test images for it; null: all")
    ais: AnnealingSettings = AnnealingSettings()
    parzen: ParzenSettings = ParzenSettings()
    fid_samples: int = Field(10_000, ge=2, description="generated images for FID, at most sampling.n")
    kid_samples: int = Field(
        10_000, ge=2, description="images of either set for the kernel distance, at most"
    )
    prdc_samples: int = Field(
        10_000, ge=2, description="images of either set for precision, recall, density, coverage, at most"
    )
    prdc_neighbours: PositiveInt = Field(5, description="their k: which neighbour is on a ball's surface")
    diversity_samples: int = Field(
        2000, ge=2, description="images of either set for pairwise distances, at most"
    )
    inception: InceptionSettings = InceptionSettings()
    store: str | None = Field(
        "store",
        description="directory that remembers runs, features and results; null: none",
    )
    neighbour_samples: PositiveInt = Field(1000, description="generated, and held-out, images to search for")
    copy_cells: PositiveInt = Field(
        50, description="k-means cells of C_T; one counts with more than 20 generated images"
    )
    probe_pool: PositiveInt = Field(
        5000, description="training images whose features say by what probes standardise theirs"
    )
    probe_labels: Distinct[PositiveInt] = Field(
        [100], description="label counts of the probes; a count that the data set has not is left out"
    )

    @property
    def scored_samples(self) -> int:
        """Generated images that some metric looks at in the domain classifier's features."""
        return max(self.fid_samples, self.neighbour_samples)

    @field_validator("inception", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """`inception: true` for `inception: {use: true}`."""
        return {"use": value} if isinstance(value, bool) else value


class ClassifierSettings(Strict):
    """The classifier whose features are the space of domain FID."""

    seed: Seed = 0
    epochs: PositiveInt = 30


class Order(Strict):
    """Two models of one view that the literature puts in an order of log-likelihood; the report judges it."""

    better: Name
    worse: Name
    source: str = Field(description="who reports it, and where")


class Params(Strict):
    """Everything in `params.yaml`."""

    pipeline: str = Field(
        pattern=FILE_NAME,
        max_length=LONGEST_NAME,
        description="name; the report is in reports/<pipeline>",
    )
    datasets: Distinct[str] = Field(min_length=1, description="names of dgmbench.data.datasets")
    seeds: Distinct[Seed] = Field(
        min_length=1, description="training seeds; each model is trained once per seed"
    )
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
    sampling: SamplingSettings = SamplingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    models: dict[Name, dict[str, Any]] = Field(min_length=1, description="model entries by name")
    controls: dict[Name, dict[str, Any]] = Field({}, description="controls by name, with their settings")
    orders: list[Order] = Field([], description="published orders of models to be checked in the report")
