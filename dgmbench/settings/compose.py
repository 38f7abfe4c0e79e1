"""How pipelines compose, are cut down to a part, and become the text of `params.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dgmbench.errors import SettingsError, suggest
from dgmbench.settings.block import checked, shown
from dgmbench.settings.read import dump_yaml, read_yaml
from dgmbench.settings.schema import Order, Params

PIPELINES = Path("pipelines")
# What names the entries that stay, and the section that they are in.
KEEP = {"keep": "models", "keep_controls": "controls"}


def pipeline_names(folder: Path = PIPELINES) -> list[str]:
    """The named pipelines."""
    return sorted(path.stem for path in Path(folder).glob("*.yaml"))


def compose(name: str, folder: Path = PIPELINES) -> dict[str, Any]:
    """Raw settings of pipeline `name`: its file over the pipelines that it `extends`, outermost last.

    Mappings merge key by key; anything else replaces. A model or control set to null is taken out,
    and the orders that name it. `keep` lists the models (and `keep_controls` the controls) of the pipelines
    below that stay; without it all do.

    Raises:
        SettingsError: for an unknown pipeline, with the nearest one there is, a circle of `extends`, and a
            section of a wrong kind, with the file that it stands in.
    """
    merged: dict[str, Any] = {}
    for path, raw in _chain(name, folder).items():
        merged = _kept(raw, merged, str(path))
        _check_taken_out(raw, merged, str(path))
        merged = _merge(merged, raw)
    for section in ("models", "controls"):
        blocks = merged.get(section) or {}
        merged[section] = {key: block for key, block in blocks.items() if block is not None}
        if section == "models":
            gone = blocks.keys() - merged[section].keys()
            orders = merged.get("orders") or []
            merged["orders"] = [o for o in orders if not gone & {o["better"], o["worse"]}]
    return merged | {"pipeline": name}


def where_of(name: str, folder: Path = PIPELINES) -> str:
    """The files behind pipeline `name`, for errors: ``pipelines/smoke.yaml (extends digits)``."""
    *below, own = _chain(name, folder)
    return f"{own} (extends {', '.join(path.stem for path in reversed(below))})" if below else str(own)


def _chain(name: str, folder: Path) -> dict[Path, dict[str, Any]]:
    """The raw settings of each file, innermost first."""
    chain: dict[Path, dict[str, Any]] = {}
    current, asked = name, ""
    valid = pipeline_names(folder)
    if not valid:
        raise SettingsError(f"there are no pipelines in {Path(folder).absolute()}; start in the repository")
    while True:
        if current not in valid:
            raise SettingsError(f"{asked}unknown pipeline '{current}': {suggest(current, valid)}")
        path = Path(folder) / f"{current}.yaml"
        if path in chain:
            circle = " -> ".join([*(each.stem for each in reversed(chain)), current])
            raise SettingsError(f"{folder}: pipelines extend in a circle: {circle}")
        raw = read_yaml(path)
        above = raw.pop("extends", None)
        if raw.get("pipeline", current) != current:
            raise SettingsError(
                f"{path}: 'pipeline' is {shown(raw['pipeline'])}: the file's name says '{current}'"
            )
        _check_sections(raw, str(path))
        chain = {path: raw} | chain
        if above is None:
            return chain
        if not isinstance(above, str):
            raise SettingsError(f"{path}: 'extends' is {shown(above)}: one of: {', '.join(valid)}")
        current, asked = above, f"{path}: 'extends': "


def _check_sections(raw: dict[str, Any], where: str) -> None:
    """That sections which compose entry by entry can: null, or of the right kind."""
    for section, family in (("models", "a block of settings with `family`"), ("controls", "settings or {}")):
        blocks = raw.get(section)
        if blocks is None:
            continue
        if not isinstance(blocks, dict):
            raise SettingsError(
                f"{where}: '{section}' is {shown(blocks)}: it should be a mapping of names to {family}"
            )
        for name, block in blocks.items():
            if block is not None and not isinstance(block, dict):
                raise SettingsError(
                    f"{where}: '{section}.{name}' is {shown(block)}: it should be {family}, "
                    "or null to take it out"
                )
    orders = raw.get("orders")
    if orders is None:
        return
    if not isinstance(orders, list):
        raise SettingsError(
            f"{where}: 'orders' is {shown(orders)}: it should be a list of mappings with: "
            f"{', '.join(Order.model_fields)}"
        )
    for i, order in enumerate(orders):
        checked(Order, order, f"orders.{i}", where)


def _kept(raw: dict[str, Any], below: dict[str, Any], where: str) -> dict[str, Any]:
    """What is below with the models and controls that `raw` keeps, and the orders between these."""
    for key, section in KEEP.items():
        names = raw.pop(key, None)
        if names is None:
            continue
        blocks = below.get(section) or {}
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SettingsError(f"{where}: '{key}' is {shown(names)}: it should be a list of names")
        for name in names:
            if name not in blocks:
                raise SettingsError(f"{where}: '{key}': there is no '{name}': {suggest(name, blocks)}")
        below = below | {section: {name: block for name, block in blocks.items() if name in names}}
        if section == "models":
            below["orders"] = _orders_between(names, below)
    return below


def _orders_between(names: Sequence[str], raw: dict[str, Any]) -> list[dict[str, Any]]:
    """The orders of some settings that are between these models."""
    return [order for order in raw.get("orders") or [] if {order["better"], order["worse"]} <= set(names)]


def _check_taken_out(raw: dict[str, Any], below: dict[str, Any], where: str) -> None:
    """That what is set to null, to take it out, is there."""
    for section in ("models", "controls"):
        there = [key for key, block in (below.get(section) or {}).items() if block is not None]
        for key, block in (raw.get(section) or {}).items():
            if block is None and key not in there:
                raise SettingsError(
                    f"{where}: '{section}.{key}' is null, but there is no '{key}' to take out: "
                    f"{suggest(str(key), there)}"
                )


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
        for i, name in enumerate(models):
            if name in models[:i]:
                raise SettingsError(f"{where}: --models names '{name}' twice")
            if name not in raw["models"]:
                raise SettingsError(f"{where}: no model '{name}': {suggest(name, raw['models'])}")
        chosen |= {"models": {name: raw["models"][name] for name in models}, "controls": {}}
        chosen["orders"] = _orders_between(models, raw)
    return chosen


def render_params(raw: dict[str, Any], name: str) -> str:
    """The text of `params.yaml` for composed settings of the pipeline called `name`.

    Sections that the pipeline leaves to their defaults are there, empty: DVC refuses a parameter that is not
    in the file.
    """
    head = (
        f"# Composed from pipelines/{name}.yaml by `python -m dgmbench use {name}`.\n"
        "# Edit here to try something out, there to keep it.\n"
    )
    empty: dict[str, Any] = {"orders": []}
    ordered = {key: raw.get(key, empty.get(key, {})) for key in Params.model_fields}
    return head + dump_yaml(ordered | raw)
