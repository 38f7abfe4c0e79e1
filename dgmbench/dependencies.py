"""What each stage's result depends on: source files by hash, versions of libraries, settings in force."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dgmbench.controls.registry import control_module
from dgmbench.data.datasets import dataset_module
from dgmbench.errors import DamagedFileError
from dgmbench.evaluation.registry import MEASURES
from dgmbench.files import read_object, sha256_json, write_json
from dgmbench.metrics import catalogue as metrics
from dgmbench.models.registry import family_module
from dgmbench.provenance import ROOT, Sources, versions
from dgmbench.settings import Params, classifier_views, full_settings

FOLDER = Path("provenance")


def dependencies(params: Params, root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """For each file name under `FOLDER`: its stage's code, libraries and settings; sources are of `root`."""
    libraries = versions()
    found = _code_and_settings(params, Sources(root))
    return {name: part | {"versions": libraries} for name, part in found.items()}


def recorded_settings(params: Params, folder: Path = FOLDER) -> dict[str, Any]:
    """`full_settings`, from what the check stage wrote if it was of the same settings.

    Filling in the defaults anew imports every family, and torch with them.
    """
    try:
        known = read_object(folder / "report.json", ("settings", "params"))
    except (OSError, DamagedFileError):
        return full_settings(params)
    is_known = known["params"] == _digest(params)
    return _in_order(known["settings"], params) if is_known else full_settings(params)


def _in_order(settings: dict[str, Any], params: Params) -> dict[str, Any]:
    """Models and controls in the order of the settings, which a JSON file with sorted keys has lost."""
    names = {"models": params.models, "controls": params.controls}
    return settings | {part: {name: settings[part][name] for name in own} for part, own in names.items()}


def _digest(params: Params) -> str:
    return sha256_json(params.model_dump(mode="json"))


def _code_and_settings(params: Params, sources: Sources) -> dict[str, dict[str, Any]]:
    full = full_settings(params)
    # How often a checkpoint is written, and how many seeds run at once, changes no number.
    silent = ("checkpoint_seconds", "processes")
    training = {key: value for key, value in full["training"].items() if key not in silent}
    # Nor does the folder that remembers them.
    evaluation = {key: value for key, value in full["evaluation"].items() if key != "store"}
    found: dict[str, dict[str, Any]] = {
        "classifier": {
            "code": sources.hashes("stages.classifier"),
            "settings": {
                "classifier": full["classifier"],
                "training": training,
                "views": classifier_views(params),
            },
        },
        "report": {
            "code": sources.hashes("stages.report", *metrics.modules()),
            "settings": full,
            "params": _digest(params),
        },
        "track": {"code": sources.hashes("stages.track", *metrics.modules()), "settings": full},
    }
    for name in params.datasets:
        found[f"prepare-{name}"] = {
            "code": sources.hashes("stages.prepare", dataset_module(name)),
            "settings": full["data"],
        }
    for name, settings in full["controls"].items():
        found[f"control-{name}"] = {
            "code": sources.hashes("stages.control", control_module(name)),
            "settings": {
                "control": settings,
                # Some controls train networks.
                "training": training,
                "seed": full["evaluation"]["seed"],
                "data_seed": full["data"]["seed"],
            },
        }
    for name, settings in full["models"].items():
        model = family_module(settings["family"])
        shared = {"seeds": full["seeds"], "data_seed": full["data"]["seed"]}
        found[f"train-{name}"] = {
            "code": sources.hashes("stages.train", model),
            "settings": shared | {"model": settings, "training": training, "sampling": full["sampling"]},
        }
        found[f"evaluate-{name}"] = {
            "code": sources.hashes("stages.evaluate", model, *MEASURES.values()),
            "settings": shared | {"evaluation": evaluation},
        }
    return found


def write_dependencies(params: Params, folder: Path = FOLDER) -> None:
    """Write one JSON file per stage and model; files of earlier settings go away."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in dependencies(params).items():
        write_json(folder / f"{name}.json", content)
