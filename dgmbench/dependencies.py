"""What each stage's result follows from: source files by hash, versions of libraries, settings in force."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from dgmbench.controls.registry import control_module
from dgmbench.data.datasets import dataset_module
from dgmbench.files import write_json
from dgmbench.models.registry import family_module
from dgmbench.provenance import ROOT, code_hash, versions
from dgmbench.settings import Params, classifier_views, full_settings

FOLDER = Path("provenance")


def dependencies(params: Params, root: Path = ROOT) -> dict[str, dict[str, Any]]:
    """For each file name under `FOLDER`: its stage's code, libraries and settings; sources are of `root`."""
    libraries = versions()
    return {name: part | {"versions": libraries} for name, part in _code_and_settings(params, root).items()}


def _code_and_settings(params: Params, root: Path) -> dict[str, dict[str, Any]]:
    full = full_settings(params)
    # How often a checkpoint is written, and how many seeds run at once, changes no number.
    silent = ("checkpoint_seconds", "processes")
    training = {key: value for key, value in full["training"].items() if key not in silent}
    # Nor does the folder that remembers them.
    evaluation = {key: value for key, value in full["evaluation"].items() if key != "store"}
    found = {
        "classifier": {
            "code": code_hash("stages.classifier", root=root),
            "settings": {
                "classifier": full["classifier"],
                "training": training,
                "views": classifier_views(params),
            },
        },
        "report": {"code": code_hash("stages.report", root=root), "settings": full},
        "track": {"code": code_hash("stages.track", root=root), "settings": full},
    }
    for name in params.datasets:
        found[f"prepare-{name}"] = {
            "code": code_hash("stages.prepare", dataset_module(name), root=root),
            "settings": full["data"],
        }
    for name, settings in full["controls"].items():
        found[f"control-{name}"] = {
            "code": code_hash("stages.control", control_module(name), root=root),
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
            "code": code_hash("stages.train", model, root=root),
            "settings": shared | {"model": settings, "training": training, "sampling": full["sampling"]},
        }
        found[f"evaluate-{name}"] = {
            "code": code_hash("stages.evaluate", model, root=root),
            "settings": shared | {"evaluation": evaluation},
        }
    return found


def write_dependencies(params: Params, folder: Path = FOLDER) -> None:
    """Write one JSON file per stage and model; files of earlier settings go away."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in dependencies(params).items():
        write_json(folder / f"{name}.json", content)
