"""Whole settings: read, validated against families, data sets and each other, and with defaults filled in.

A stage validates what it uses: `read_params`, then `check_entries` of its model or control. The check stage
validates everything (`load_params`), which imports every family and builds every model.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, cast

from dgmbench.errors import SettingsError, suggest
from dgmbench.provenance import code_key
from dgmbench.settings.block import checked, shown
from dgmbench.settings.bounds import check_bounds, check_ranges
from dgmbench.settings.places import with_places
from dgmbench.settings.read import read_yaml
from dgmbench.settings.schema import Order, Params
from dgmbench.store import Store
from dgmbench.terms import ViewName

PARAMS = Path("params.yaml")
# Names under data/, runs/ and results/ that are not models.
RESERVED = ("classifier",)
# The sections of params.yaml that dvc.yaml names: DVC stops at one that is not there.
DVC_READS = (
    "pipeline",
    "datasets",
    "seeds",
    "data",
    "sampling",
    "evaluation",
    "classifier",
    "models",
    "controls",
    "orders",
)


def load_params(path: Path = PARAMS, *, remember: bool = False) -> Params:
    """Read and validate a settings file, the blocks of models and controls included.

    remember: keep in the store of the settings which models were built, and do not build them again.

    Raises:
        SettingsError: naming every bad key, the file and the nearest valid choice.
    """
    params = read_params(path)
    return _validated(params, str(path), Store(params.evaluation.store if remember else None))


def read_params(path: Path = PARAMS) -> Params:
    """Read a settings file and validate all but the blocks of models and controls.

    Raises:
        SettingsError: as `load_params`.
    """
    raw = read_yaml(path)
    checked(Params, raw, "", str(path))
    missing = [key for key in DVC_READS if key not in raw]
    if missing:
        raise SettingsError(
            "\n".join(
                f"{path}: '{key}' is missing, which dvc.yaml reads: write `{key}: "
                f"{'[]' if key == 'orders' else '{}'}`"
                for key in missing
            )
        )
    return _parsed(raw, str(path))


def validate(raw: Any, where: str) -> Params:
    """Validate raw settings; `where` names their file in errors."""
    return _validated(_parsed(raw, where), where, Store(None))


def check_entries(params: Params, models: Iterable[str], controls: Iterable[str], where: str) -> None:
    """Validate the blocks of some models and controls.

    Raises:
        SettingsError: as `load_params`.
    """
    for name in models:
        _check_views(params, name, model_settings(params, name, where).view, where)
    for name in controls:
        control_settings(params, name, where)


def _parsed(raw: Any, where: str) -> Params:
    """Settings of which all is validated that concerns no block of a model or control."""
    params = with_places(_fitted(checked(Params, raw, "", where)), where)
    _check_names(params, where)
    check_bounds(params, where)
    return params


def _validated(params: Params, where: str, store: Store) -> Params:
    check_entries(params, params.models, params.controls, where)
    for i, order in enumerate(params.orders):
        _check_order(params, order, f"orders.{i}", where)
    # Last, as it takes the longest, and leaves files in the store.
    for name in params.models:
        _check_shapes(params, name, model_settings(params, name, where), where, store)
    return params


def _fitted(params: Params) -> Params:
    """Settings whose defaults agree: no default asks for more images than `sampling.n`."""
    drawn, evaluation = params.sampling.n, params.evaluation
    parzen = evaluation.parzen
    if "samples" not in parzen.model_fields_set:
        parzen = parzen.model_copy(update={"samples": min(parzen.samples, drawn)})
    counts = {"fid_samples", "neighbour_samples"} - evaluation.model_fields_set
    fitted = {key: min(getattr(evaluation, key), drawn) for key in counts}
    return params.model_copy(update={"evaluation": evaluation.model_copy(update=fitted | {"parzen": parzen})})


def _check_names(params: Params, where: str) -> None:
    from dgmbench.data.datasets import dataset_names

    for name in params.datasets:
        if name not in dataset_names():
            raise SettingsError(
                f"{where}: unknown data set {shown(name)} in 'datasets': {suggest(name, dataset_names())}"
            )
    for name in RESERVED:
        if name in params.models:
            raise SettingsError(f"{where}: a model cannot be called '{name}'; that name is taken")


def _check_views(params: Params, name: str, view: str, where: str) -> None:
    from dgmbench.data.datasets import get_spec

    for dataset in params.datasets:
        views = get_spec(dataset).views
        if view not in views:
            raise SettingsError(
                f"{where}: 'models.{name}.view' is '{view}', but {dataset} has only: {', '.join(views)}"
            )


def _check_shapes(params: Params, name: str, settings: Any, where: str, store: Store) -> None:
    """Build the model, without memory for its parameters, on every data set's image shape.

    A model that was built before is not built again: for that, torch imports its compiler, which is slow.
    """
    from dgmbench.data.datasets import get_spec
    from dgmbench.models.registry import family_class, family_module

    for dataset in params.datasets:
        schema = get_spec(dataset).schema
        if schema.classes is None and family_class(settings.family).supervision != "none":
            # No fault of the settings: the entry is left out on this data set (`unavailable`).
            continue
        code = code_key(family_module(settings.family)) if store.folder else None
        key = ("built", code, settings.model_dump(mode="json"), repr(schema))
        try:
            store.remembered(key, partial(_build, settings, schema))
        # The others are torch's and NumPy's words for layers of more numbers than they can count.
        except (SettingsError, ValueError, RuntimeError, TypeError, OverflowError, MemoryError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise SettingsError(f"{where}: 'models.{name}' does not fit {dataset}: {reason}") from None


def _build(settings: Any, schema: Any) -> None:
    import torch

    from dgmbench.models.registry import family_class

    with torch.device("meta"):
        family_class(settings.family)(settings, schema)


def _check_order(params: Params, order: Order, key: str, where: str) -> None:
    views = {}
    for role in ("better", "worse"):
        name = getattr(order, role)
        if name not in params.models:
            raise SettingsError(f"{where}: '{key}.{role}': no model '{name}': {suggest(name, params.models)}")
        views[name] = model_settings(params, name).view
    if len(views) < 2:
        raise SettingsError(f"{where}: '{key}' compares '{order.better}' with itself")
    if len(set(views.values())) > 1:
        raise SettingsError(f"{where}: '{key}' compares views: {views}; likelihoods of two views say nothing")


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
        raise SettingsError(f"{where}: '{key}.family' is {shown(family)}: {suggest(str(family), FAMILIES)}")
    model = family_class(family)
    settings = checked(model.Settings, block, key, where)
    check_ranges(settings, key, where)
    if settings.view not in model.views:
        raise SettingsError(
            f"{where}: '{key}.view' is '{settings.view}', but {family} has only: {', '.join(model.views)}"
        )
    return settings


def classifier_views(params: Params) -> list[ViewName]:
    """The views that need a domain classifier: those of the models, and gray for the controls."""
    views = {_view_of(params, name) for name in params.models}
    return sorted(views | ({"gray"} if params.controls else set()))


def _view_of(params: Params, name: str) -> ViewName:
    """As the block of the model says, whose family takes seconds to import."""
    view = params.models[name].get("view")
    return cast("ViewName", view) if isinstance(view, str) else model_settings(params, name).view


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
    settings = checked(control_class(name).Settings, params.controls[name], f"controls.{name}", where)
    check_ranges(settings, f"controls.{name}", where)
    return settings


def full_settings(params: Params) -> dict[str, Any]:
    """Every setting in force, defaults filled in, as plain values."""
    filled = params.model_dump(mode="json")
    filled["models"] = {name: model_settings(params, name).model_dump(mode="json") for name in params.models}
    filled["controls"] = {
        name: control_settings(params, name).model_dump(mode="json") for name in params.controls
    }
    return filled
