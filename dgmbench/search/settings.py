"""The schema of a search file, `searches/<name>.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from dgmbench.errors import SettingsError, suggest
from dgmbench.models.base import ModelSettings
from dgmbench.models.registry import family_class
from dgmbench.search.space import Choices, Range, value_at, with_settings
from dgmbench.settings import PIPELINES, Params, compose, model_settings, read_yaml, validate
from dgmbench.settings.block import Strict, checked

SEARCHES = Path("searches")

Dimension = Annotated[Range | Choices, Field(union_mode="left_to_right")]


class Entry(Strict):
    """What is varied of one model entry, and how long one of its trainings is."""

    epochs: PositiveInt | None = Field(None, description="of one training; null: a closed form has none")
    objective: Literal["loss", "error", "fid_domain"] = Field(
        "loss",
        description="on validation images: the entry's own bound in nats, a classifier's error in percent, "
        "or domain FID of samples",
    )
    space: dict[str, Dimension] = Field({}, description="settings by dotted key; empty: none to search")


class SearchSettings(Strict):
    """Everything in a search file."""

    pipeline: str = Field(description="whose entries and whose data are searched")
    dataset: str
    trials: PositiveInt = Field(description="settings tried of every entry, the committed ones included")
    startup: PositiveInt = Field(6, description="trials drawn at random before the sampler learns")
    confirmed: PositiveInt = Field(3, description="best trials that are trained again from the other seeds")
    longer: PositiveInt = Field(4, description="how many times as long the chosen settings are trained")
    trial_seed: NonNegativeInt = 100
    confirming_seeds: list[NonNegativeInt] = Field([101, 102], min_length=1)
    samples: PositiveInt = Field(2000, description="generated images behind a domain FID")
    processes: PositiveInt = Field(2, description="entries searched at once")
    entries: dict[str, Entry] = Field(min_length=1)
    apart: dict[str, str] = Field({}, description="entries that are not searched, and how theirs were chosen")

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        seeds = [self.trial_seed, *self.confirming_seeds]
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"trial_seed and confirming_seeds name a seed twice: {seeds}")
        return self


def check(search: SearchSettings, where: str) -> Params:
    """The settings of the pipeline that is searched, once every entry and dimension of the search fits them.

    Raises:
        SettingsError: for an entry that the pipeline lacks or that the search lacks, a data set that is not
            the pipeline's, a setting or choice that the entry's family refuses, or a seed that is reported.
    """
    raw = compose(search.pipeline)
    params = validate(raw, str(PIPELINES / f"{search.pipeline}.yaml"))
    if search.dataset not in params.datasets:
        raise SettingsError(
            f"{where}: 'dataset' {search.dataset}: {suggest(search.dataset, params.datasets)}"
        )
    for name in search.entries.keys() - params.models.keys():
        raise SettingsError(f"{where}: 'entries.{name}': no such model: {suggest(name, params.models)}")
    for name in search.apart.keys() - params.models.keys():
        raise SettingsError(f"{where}: 'apart.{name}': no such model: {suggest(name, params.models)}")
    missing = sorted(params.models.keys() - search.entries.keys() - search.apart.keys())
    if missing:
        raise SettingsError(
            f"{where}: 'entries' lacks {', '.join(missing)}: every entry gets the same search, or stands "
            "under 'apart' with how its settings were chosen"
        )
    reported = {search.trial_seed, *search.confirming_seeds} & set(params.seeds)
    if reported:
        raise SettingsError(f"{where}: seeds {sorted(reported)} are reported by {search.pipeline}")
    for name, entry in search.entries.items():
        fault = _fault_of_objective(entry.objective, model_settings(params, name))
        if fault:
            raise SettingsError(f"{where}: 'entries.{name}.objective': {fault}")
        for key, dimension in entry.space.items():
            _check_dimension(params, name, key, dimension, where)
    return params


def _fault_of_objective(objective: str, settings: ModelSettings) -> str | None:
    classifies = family_class(settings.family).supervision in ("labelled", "partial")
    if objective == "fid_domain" and settings.view != "gray":
        return f"fid_domain is of gray images, not {settings.view}"
    if classifies and objective == "loss":
        return f"{settings.family} is a classifier: score it by error"
    if objective == "error" and not classifies:
        return f"{settings.family} is no classifier: score it by loss or fid_domain"
    return None


def _check_dimension(params: Params, name: str, key: str, dimension: Range | Choices, where: str) -> None:
    for value in dimension.examples():
        _check_value(params, name, key, value, where)
    present = value_at(model_settings(params, name).model_dump(mode="json"), key)
    if not dimension.holds(present):
        raise SettingsError(
            f"{where}: 'entries.{name}.space.{key}' leaves out {present!r}, which {params.pipeline} has"
        )


def _check_value(params: Params, name: str, key: str, value: Any, where: str) -> None:
    block = with_settings(params.models[name], {key: value})
    changed = params.model_copy(update={"models": params.models | {name: block}})
    try:
        model_settings(changed, name)
    except SettingsError as error:
        raise SettingsError(f"{where}: 'entries.{name}.space.{key}': {error}") from None


def load_search(path: Path) -> SearchSettings:
    """Read and validate a search file.

    Raises:
        SettingsError: naming every bad key, the file and the nearest valid choice.
    """
    if not path.exists():
        names = [file.stem for file in path.parent.glob("*.yaml") if file.name != "dvc.yaml"]
        raise SettingsError(f"no search '{path.stem}': {suggest(path.stem, names)}")
    return checked(SearchSettings, read_yaml(path), "", str(path))
