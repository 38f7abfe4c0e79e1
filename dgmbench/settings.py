"""The settings of a pipeline: their schema, how pipelines compose, and errors that name the bad key.

`params.yaml` is what DVC tracks and every stage reads; `python -m dgmbench use NAME` composes it from
`pipelines/NAME.yaml`. The same schema serves a smoke test and a full run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from dgmbench.errors import SettingsError, suggest

PARAMS = Path("params.yaml")
PIPELINES = Path("pipelines")
# Names under data/, runs/ and results/ that are not models.
RESERVED = ("classifier",)

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Block(BaseModel):
    """A settings block: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Block):
    """Where data comes from and how it is split."""

    seed: NonNegativeInt = Field(
        0,
        description="seed of splits, fixed binarisation and dequantisation, and of which images are "
        "labelled or stand for all",
    )
    mirror: str | None = Field(None, description="directory of raw files; DGMBENCH_MIRROR when null")
    limit: PositiveInt | None = Field(None, description="first so many training images (smoke tests)")


class TrainingSettings(Block):
    """How training runs, for all models alike."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU if any")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: autocast in the steps"
    )
    threads: PositiveInt | None = Field(
        None, description="CPU threads of an operation; null: as many as cores"
    )
    processes: PositiveInt = Field(
        1, description="seeds trained, or evaluated, at once on a CPU; above 1 it needs threads: 1"
    )
    checkpoint_seconds: PositiveFloat = Field(30.0, description="longest work a kill can lose")

    @model_validator(mode="after")
    def _one_thread_each(self) -> Self:
        if self.processes > 1 and self.threads != 1:
            # Forks of a process whose OpenMP threads have run hang.
            raise ValueError(f"processes: {self.processes} needs threads: 1, not {self.threads}")
        return self


class SamplingSettings(Block):
    """The images that each run leaves for scoring."""

    n: int = Field(1000, ge=2, description="images per run")
    batch_size: PositiveInt = Field(500, description="images drawn at once")


class ParzenSettings(Block):
    """The Parzen window estimate (a heuristic)."""

    samples: PositiveInt = Field(10_000, description="kernel centres, at most sampling.n")
    larger: list[PositiveInt] = Field(
        [], description="further numbers of centres, drawn anew and streamed: 100000, 1000000"
    )
    valid_points: PositiveInt = Field(1000, description="validation images that choose the bandwidth")
    log10_bandwidths: tuple[float, float] = Field((-1.0, 0.0), description="range of the bandwidth grid")
    bandwidths: PositiveInt = Field(10, description="points of the grid")


class AnnealingSettings(Block):
    """Annealed importance sampling; Wu et al. 2017 use 16 chains, 10,000 distributions, 1000 test images."""

    points: NonNegativeInt = Field(100, description="test images; 0 leaves annealing out")
    simulated: PositiveInt = Field(50, description="simulated images for the bidirectional gap")
    chains: PositiveInt = Field(16, description="chains per image")
    distributions: PositiveInt = Field(500, description="steps from the prior to the posterior")
    leapfrog_steps: PositiveInt = Field(10, description="gradient steps of a Hamiltonian transition")
    target_acceptance: float = Field(0.65, gt=0, lt=1, description="pilot chains shorten steps to it")
    block_points: PositiveInt = Field(32, description="images annealed at once; raise it on a GPU")
    log10_variances: tuple[float, float] = Field(
        (-3.0, -0.5), description="range of the observation variances tried for generators without one"
    )
    variances: PositiveInt = Field(
        6, description="points of that grid, refined around the best; validation images choose"
    )
    valid_points: PositiveInt = Field(50, description="validation images that choose it")


class InceptionSettings(Block):
    """Metrics in the feature space of the Inception network: some 100 ms an image on a CPU."""

    use: bool | None = Field(None, description="null: on a GPU only; true: on a CPU too; needs the weights")
    samples: int = Field(10_000, ge=2, description="generated, and test, images, or all if fewer are drawn")
    weights: str | None = Field(
        None, description="file of the weights; null: the mirror's, earlier downloads, the publisher's"
    )
    batch_size: PositiveInt = Field(50, description="images at once")
    resamples: int = Field(10, ge=2, description="bootstrap resamples behind the interval of fid_inception")


class EvaluationSettings(Block):
    """What is measured, and on how much."""

    seed: NonNegativeInt = Field(0, description="seed of every estimator's draws")
    batch_size: PositiveInt = Field(500, description="test images at once")
    dequantisation_draws: PositiveInt = Field(
        10, description="draws of the noise that a density of dequantised images is averaged over"
    )
    elbo_samples: PositiveInt = Field(10, description="posterior draws per image for the ELBO")
    importance_samples: list[PositiveInt] = Field(
        [10, 100, 1000], min_length=1, description="the K of log_likelihood_is_<K>"
    )
    importance_points: PositiveInt | None = Field(None, description="test images for it; null: all")
    ais: AnnealingSettings = AnnealingSettings()
    parzen: ParzenSettings = ParzenSettings()
    fid_samples: PositiveInt = Field(10_000, description="generated images for FID, at most sampling.n")
    kid_samples: PositiveInt = Field(
        10_000, description="images of either set for the kernel distance, at most"
    )
    prdc_samples: PositiveInt = Field(
        10_000, description="images of either set for precision, recall, density, coverage, at most"
    )
    prdc_neighbours: PositiveInt = Field(5, description="their k: which neighbour is on a ball's surface")
    diversity_samples: int = Field(
        2000, ge=2, description="images of either set for pairwise distances, at most"
    )
    inception: InceptionSettings = InceptionSettings()
    feature_cache: str | None = Field(
        "features", description="directory that keeps features by content; null: none is kept"
    )
    neighbour_samples: PositiveInt = Field(1000, description="generated, and held-out, images to search for")
    copy_cells: PositiveInt = Field(
        50, description="k-means cells of C_T; one counts with more than 20 generated images"
    )
    probe_pool: PositiveInt = Field(5000, description="training images that labels are drawn from")
    probe_labels: list[PositiveInt] = Field([100], description="label counts of the linear probe")
    probe_draws: PositiveInt = Field(5, description="labelled subsets averaged for each count")

    @property
    def scored_samples(self) -> int:
        """Generated images that some metric looks at in the domain classifier's features."""
        return max(self.fid_samples, self.neighbour_samples)

    @field_validator("inception", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """`inception: true` for `inception: {use: true}`."""
        return {"use": value} if isinstance(value, bool) else value


class ClassifierSettings(Block):
    """The classifier whose features are the space of domain FID."""

    seed: NonNegativeInt = 0
    epochs: PositiveInt = 30


class Order(Block):
    """Two models of one view that the literature puts in an order of log-likelihood; the report judges it."""

    better: Name
    worse: Name
    source: str = Field(description="who reports it, and where")


class Params(Block):
    """Everything in `params.yaml`."""

    pipeline: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$", description="name; the report is in reports/<pipeline>"
    )
    datasets: list[str] = Field(min_length=1, description="names of dgmbench.data.datasets")
    seeds: list[NonNegativeInt] = Field(
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


def load_params(path: Path = PARAMS) -> Params:
    """Read and validate a settings file, model blocks included.

    Raises:
        SettingsError: naming every bad key, the file and the nearest valid choice.
    """
    return validate(_read_yaml(path), str(path))


def validate(raw: Any, where: str) -> Params:
    """Validate raw settings; `where` names their file in errors."""
    params = _checked(Params, raw, "", where)
    _check_names(params, where)
    for name in params.models:
        settings = model_settings(params, name, where)
        _check_views(params, name, settings.view, where)
        _check_shapes(params, name, settings, where)
    for name in params.controls:
        control_settings(params, name, where)
    for order in params.orders:
        _check_order(params, order, where)
    _check_counts(params, where)
    return params


def _check_order(params: Params, order: Order, where: str) -> None:
    views = {}
    for role in ("better", "worse"):
        name = getattr(order, role)
        if name not in params.models:
            raise SettingsError(
                f"{where}: 'orders.{role}': no model '{name}': {suggest(name, params.models)}"
            )
        views[name] = model_settings(params, name).view
    if len(set(views.values())) > 1:
        raise SettingsError(
            f"{where}: 'orders' compares views: {views}; likelihoods of two views say nothing"
        )


def _check_shapes(params: Params, name: str, settings: Any, where: str) -> None:
    """Build the model, without memory for its parameters, on every data set's image shape."""
    import torch

    from dgmbench.data.datasets import get_spec
    from dgmbench.models.registry import family_class

    for dataset in params.datasets:
        spec = get_spec(dataset)
        try:
            with torch.device("meta"):
                family_class(settings.family)(settings, spec.shape, spec.levels)
        except (SettingsError, ValueError) as error:
            raise SettingsError(f"{where}: 'models.{name}' does not fit {dataset}: {error}") from None


def _check_counts(params: Params, where: str) -> None:
    """Nothing can be scored that is not drawn."""
    evaluation = params.evaluation
    for key, count in (
        ("evaluation.fid_samples", evaluation.fid_samples),
        ("evaluation.neighbour_samples", evaluation.neighbour_samples),
        ("evaluation.parzen.samples", evaluation.parzen.samples),
    ):
        if count > params.sampling.n:
            raise SettingsError(
                f"{where}: '{key}' is {count}, but only {params.sampling.n} (sampling.n) are drawn"
            )


def _check_views(params: Params, name: str, view: str, where: str) -> None:
    from dgmbench.data.datasets import get_spec

    for dataset in params.datasets:
        views = get_spec(dataset).views
        if view not in views:
            raise SettingsError(
                f"{where}: 'models.{name}.view' is '{view}', but {dataset} has only: {', '.join(views)}"
            )


def model_settings(params: Params, name: str, where: str = str(PARAMS)) -> Any:
    """The validated settings of model entry `name`, an instance of its family's `Settings`."""
    from dgmbench.models.registry import FAMILIES, family_class

    if name not in params.models:
        raise SettingsError(f"{where}: no model '{name}': {suggest(name, params.models)}")
    block = params.models[name]
    key = f"models.{name}"
    family = block.get("family")
    if family is None:
        raise SettingsError(f"{where}: '{key}.family' is missing. Valid: {', '.join(sorted(FAMILIES))}")
    if not isinstance(family, str) or family not in FAMILIES:
        raise SettingsError(f"{where}: '{key}.family' is {family!r}: {suggest(str(family), FAMILIES)}")
    model = family_class(family)
    settings = _checked(model.Settings, block, key, where)
    if settings.view not in model.views:
        possible = " or ".join(model.views)
        raise SettingsError(
            f"{where}: '{key}.view' is '{settings.view}', but {family} models {possible} images"
        )
    return settings


def classifier_views(params: Params) -> list[str]:
    """The views that need a domain classifier: those of the models, and gray for the controls."""
    views = {model_settings(params, name).view for name in params.models}
    return sorted(views | ({"gray"} if params.controls else set()))


def control_settings(params: Params, name: str, where: str = str(PARAMS)) -> Any:
    """The validated settings of control `name`, an instance of its `Settings`."""
    from dgmbench.controls.registry import CONTROLS, control_class
    from dgmbench.data.datasets import get_spec

    if name not in params.controls:
        raise SettingsError(f"{where}: no control '{name}': {suggest(name, params.controls)}")
    if name not in CONTROLS:
        raise SettingsError(f"{where}: unknown control 'controls.{name}': {suggest(name, CONTROLS)}")
    for dataset in params.datasets:
        if "gray" not in get_spec(dataset).views:
            raise SettingsError(f"{where}: 'controls.{name}' needs gray images, and {dataset} has none")
    return _checked(control_class(name).Settings, params.controls[name], f"controls.{name}", where)


def _check_names(params: Params, where: str) -> None:
    from dgmbench.data.datasets import dataset_names

    for name in params.datasets:
        if name not in dataset_names():
            raise SettingsError(
                f"{where}: unknown data set '{name}' in 'datasets': {suggest(name, dataset_names())}"
            )
    for key, values in (("datasets", params.datasets), ("seeds", params.seeds)):
        if len(set(values)) != len(values):
            raise SettingsError(f"{where}: '{key}' has the same entry twice: {values}")
    for name in RESERVED:
        if name in params.models:
            raise SettingsError(f"{where}: a model cannot be called '{name}'; that name is taken")


def _checked(schema: type[Any], raw: Any, key: str, where: str) -> Any:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(schema, problem, key) for problem in error.errors()]
        raise SettingsError("\n".join(f"{where}: {line}" for line in lines)) from None


def _explain(schema: type[BaseModel], problem: Any, prefix: str) -> str:
    path = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join([prefix, *path] if prefix else path) or "the file"
    if problem["type"] == "extra_forbidden":
        block = _block_at(schema, problem["loc"][:-1])
        return f"unknown key '{key}': {suggest(path[-1], block.model_fields)}"
    if problem["type"] == "missing":
        return f"'{key}' is missing"
    return f"'{key}' is {problem['input']!r}: {problem['msg']}"


def _block_at(schema: type[BaseModel], loc: tuple[Any, ...]) -> type[BaseModel]:
    for part in loc:
        inner = schema.model_fields[str(part)].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        schema = inner
    return schema


def pipeline_names(folder: Path = PIPELINES) -> list[str]:
    """The named pipelines."""
    return sorted(path.stem for path in Path(folder).glob("*.yaml"))


def compose(name: str, folder: Path = PIPELINES) -> dict[str, Any]:
    """Raw settings of pipeline `name`: its file over the pipelines that it `extends`, outermost last.

    Mappings merge key by key; anything else replaces. A model or control set to null is taken out,
    and the orders that name it.

    Raises:
        SettingsError: for an unknown pipeline, with the nearest one there is, or a circle of `extends`.
    """
    merged: dict[str, Any] = {}
    for raw in _chain(name, folder):
        merged = _merge(merged, raw)
    for section in ("models", "controls"):
        blocks = merged.get(section) or {}
        merged[section] = {key: block for key, block in blocks.items() if block is not None}
        if section == "models":
            gone = blocks.keys() - merged[section].keys()
            orders = merged.get("orders") or []
            merged["orders"] = [o for o in orders if not gone & {o.get("better"), o.get("worse")}]
    return merged | {"pipeline": name}


def _chain(name: str, folder: Path) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    seen: list[str] = []
    current: str | None = name
    while current is not None:
        if current in seen:
            raise SettingsError(f"{folder}: pipelines extend in a circle: {' -> '.join([*seen, current])}")
        if current not in pipeline_names(folder):
            raise SettingsError(f"unknown pipeline '{current}': {suggest(current, pipeline_names(folder))}")
        seen.append(current)
        raw = dict(_read_yaml(Path(folder) / f"{current}.yaml"))
        current = raw.pop("extends", None)
        chain.insert(0, raw)
    return chain


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def select(
    raw: dict[str, Any], models: Sequence[str] | None, seeds: Sequence[int] | None, where: str
) -> dict[str, Any]:
    """Composed settings cut down to some models, without controls, or to other seeds, under their own name.

    Raises:
        SettingsError: for a model that the pipeline does not have.
    """
    chosen = raw | {"pipeline": f"{raw['pipeline']}-selection"}
    if seeds is not None:
        chosen["seeds"] = list(seeds)
    if models is not None:
        for name in models:
            if name not in raw["models"]:
                raise SettingsError(f"{where}: no model '{name}': {suggest(name, raw['models'])}")
        chosen |= {"models": {name: raw["models"][name] for name in models}, "controls": {}}
        pairs = raw.get("orders") or []
        chosen["orders"] = [order for order in pairs if {order["better"], order["worse"]} <= set(models)]
    return chosen


def render_params(raw: dict[str, Any], name: str) -> str:
    """The text of `params.yaml` for composed settings of the pipeline called `name`."""
    head = (
        f"# Composed from pipelines/{name}.yaml by `python -m dgmbench use {name}`.\n"
        "# Edit here to try something out, there to keep it.\n"
    )
    keys = [field for field in Params.model_fields if field in raw]
    ordered = {key: raw[key] for key in [*keys, *(key for key in raw if key not in keys)]}
    return head + yaml.safe_dump(ordered, sort_keys=False, width=100)


def full_settings(params: Params) -> dict[str, Any]:
    """Every setting in force, defaults filled in, as plain values."""
    filled = params.model_dump(mode="json")
    filled["models"] = {name: model_settings(params, name).model_dump(mode="json") for name in params.models}
    filled["controls"] = {
        name: control_settings(params, name).model_dump(mode="json") for name in params.controls
    }
    return filled


def mirror_of(params: Params) -> Path | None:
    """The local mirror directory of the settings, or of DGMBENCH_MIRROR, or none."""
    named = params.data.mirror or os.environ.get("DGMBENCH_MIRROR")
    return Path(named) if named else None


def _read_yaml(path: Path) -> Any:
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is not there; `python -m dgmbench use digits` writes it") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"{path} holds {type(raw).__name__}, not settings")
    return raw
