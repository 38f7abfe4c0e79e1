"""Where long estimates of a run keep what they have done until its results are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dgmbench.blocks import BlockStore
from dgmbench.evaluation.subject import Subject
from dgmbench.files import sha256_json
from dgmbench.models.registry import family_module
from dgmbench.provenance import code_key
from dgmbench.training.alone import CHECKPOINTS


def store_folder(dataset: str, model: str) -> Path:
    """Where the estimates of an entry keep what they have done, until its results are written."""
    return CHECKPOINTS / "evaluation" / dataset / model


def unfinished(subject: Subject, name: str, settings: Any, module: str) -> BlockStore:
    """Where a long estimate of this run keeps what it has done, outside of what DVC empties.

    settings: what the estimate reads, a block or a list; module: that of its code.
    """
    info = subject.run.info
    family = info["settings"]["family"]
    path = store_folder(info["dataset"], info["model"]) / f"{name}-{info['seed']}.pt"
    fingerprint = sha256_json(
        {
            "weights": info["weights_sha256"],
            "data": subject.data.sha256,
            "data_seed": subject.data_seed,
            "settings": settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings,
            "seed": subject.settings.seed,
            "batch_size": subject.settings.batch_size,
            "device": subject.device.type,
            "code": code_key(module, family_module(family)),
        }
    )
    return BlockStore(path, fingerprint)
