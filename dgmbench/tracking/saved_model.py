"""A trained model in MLflow's format, and what `mlflow.pyfunc` makes of it: something that samples.

The file holds the settings as text and the weights as tensors: `torch.load(weights_only=True)` reads it. To
load it, this package must be importable. MLflow itself imports whatever module a model's folder names, so
that a folder from a stranger is as dangerous as a program from one.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dgmbench.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model as Description

    from dgmbench.models.base import Model

DATA = "data"
_FILE, _READER = "model.pth", "pickle_module_info.txt"
# What a model is built from.
_KEPT = ("dataset", "model", "seed", "view", "settings", "schema")


def save_model(info: Mapping[str, Any], weights: Path, folder: Path, description: Description) -> None:
    """Write a trained model's folder; `description` becomes its MLmodel file.

    info: of `run-<seed>.json`. Only an entry whose run drew samples has the flavour that samples.
    """
    import torch

    from dgmbench.tracking import plain_pickle
    from dgmbench.training.checkpoints import load_tensors

    (folder / DATA).mkdir(parents=True)
    about = json.dumps({name: info[name] for name in _KEPT}, sort_keys=True)
    torch.save({"about": about, "weights": load_tensors(weights, weights)}, folder / DATA / _FILE)
    (folder / DATA / _READER).write_text(plain_pickle.__name__, encoding="utf-8")
    libraries = {name: info["versions"].get(name, "").partition("+")[0] for name in ("numpy", "torch")}
    pinned = [f"{name}=={version}\n" for name, version in libraries.items() if version]
    (folder / "requirements.txt").write_text("".join(pinned), encoding="utf-8")
    description.add_flavor("pytorch", model_data=DATA, pytorch_version=str(torch.__version__), code=None)
    if info.get("n_samples"):
        _add_sampler(description, info)
    description.save(str(folder / "MLmodel"))


def _add_sampler(description: Description, info: Mapping[str, Any]) -> None:
    """The flavour of `mlflow.pyfunc`: rows of `n` and `seed` in, arrays of images or tokens out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    rows = Schema([ColSpec("long", "n"), ColSpec("long", "seed", required=False)])
    samples = np.dtype("uint8" if info["view"] != "tokens" else "int64")
    shape = info["schema"]["target"].get("shape") or [-1]
    description.signature = ModelSignature(rows, Schema([TensorSpec(samples, (-1, *shape))]))
    # As mlflow.pyfunc.add_to_model writes it; importing mlflow.pyfunc takes seconds.
    version = platform.python_version()
    description.add_flavor("python_function", loader_module=__name__, data=DATA, python_version=version)


def rebuilt(saved: Mapping[str, Any]) -> Model:
    """The model, in eval mode, of what the file holds."""
    from dgmbench.data.schema import Schema
    from dgmbench.models.registry import family_class
    from dgmbench.training.loading import build

    about = json.loads(saved["about"])
    family = family_class(about["settings"]["family"])
    model = build(family.Settings.model_validate(about["settings"]), Schema.from_json(about["schema"]))
    model.load_state_dict(saved["weights"])
    return model.eval()


class Sampler:
    """What `mlflow.pyfunc.load_model` gives: `predict` draws samples."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(
        self, data: pd.DataFrame | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """`n` samples with `seed` (0 if not given) for each row of `data`, one after the other.

        Returns:
            uint8 levels ``[n, C, H, W]``, or token ids ``[n, T]``, as in ``samples-<seed>.npy``.

        Raises:
            SettingsError: if there are no rows, or they have no column `n`.
        """
        import pandas as pd
        import torch

        rows = pd.DataFrame(data)
        if not len(rows) or "n" not in rows:
            raise SettingsError("nothing to draw: give rows of `n`, how many samples, and `seed`")
        seeds = rows["seed"].fillna(0) if "seed" in rows else [0] * len(rows)
        with torch.no_grad():
            parts = [self._draw(int(n), int(seed)) for n, seed in zip(rows["n"], seeds, strict=True)]
        return np.concatenate(parts)

    def _draw(self, n: int, seed: int) -> np.ndarray[Any, Any]:
        import torch

        from dgmbench.models.capabilities import CanSample

        assert isinstance(self.model, CanSample)
        drawn = self.model.sample(n, torch.Generator().manual_seed(seed))
        return self.model.view.decode(drawn).numpy()


def _load_pyfunc(path: str, model_config: Any = None) -> Sampler:
    """Called by `mlflow.pyfunc.load_model` with the folder of the data."""
    import torch

    return Sampler(rebuilt(torch.load(Path(path) / _FILE, map_location="cpu", weights_only=True)))
