"""A short stretch of a training that can be replayed, to test whether other code gives the same numbers.

A run records the digest of 20 steps on a few examples, beginning with its own initialisation, `finish` and
scores included. Code that gives the same digest to the bit is taken to give the same run, which need not be
trained again (`python -m dgmbench accept`). This is evidence and no proof: what happens only late in a
training, or only on the whole data, is not replayed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dgmbench.data.schema import Schema
from dgmbench.errors import DgmbenchError
from dgmbench.models.base import Model, ModelSettings
from dgmbench.models.capabilities import CanEncode, CanSample, HasLogProb, HasLogWeights
from dgmbench.models.hooks import ClosedForm, EncodesOnce
from dgmbench.settings import SamplingSettings
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples
from dgmbench.training.loading import build
from dgmbench.training.outcome import How
from dgmbench.training.sampling import draw_conditions, draw_samples
from dgmbench.training.seeding import generator_for

# Of a digest's form: digests of different forms are not compared.
FORM = 1
STEPS = 20
# Training examples that a closed form is fitted to, validation examples, and examples that are scored.
FITTED, VALIDATED, SCORED = 500, 32, 4


def replay(
    settings: ModelSettings,
    schema: Schema,
    examples: Examples,
    seed: int,
    device: torch.device,
    precision: str,
) -> dict[str, Any]:
    """The digest of a short training: losses, a hash of the parameters, and scores, as JSON values.

    Losses are written in full, tensors as hashes. A stretch that fails has a digest of its error.
    """
    model = build(settings, schema, seed)
    closed = isinstance(model, ClosedForm)
    budget = settings.training
    few = _few(examples, FITTED if closed else STEPS * budget.batch_size)
    epochs = math.ceil(STEPS / math.ceil(len(few.train) / budget.batch_size))
    if isinstance(model, EncodesOnce):
        # One of each stage, at least.
        epochs = max(epochs, 2)
    short = budget.model_copy(update={"epochs": epochs, "select": "last"})
    how = How(device, precision, label=f"replay of seed {seed}", quiet=True)
    try:
        outcome = train(model, few, short, seed, how)
        scores = dict(_scores(model, few, seed, device))
    except (DgmbenchError, ValueError) as error:
        return {"form": FORM, "error": f"{type(error).__name__}: {error}"}
    curve = {f"step {step} {split} {name}": repr(value) for step, _, split, name, value in outcome.history}
    return {
        "form": FORM,
        "status": outcome.status,
        "losses": curve,
        "parameters": {name: _hash(value) for name, value in model.state_dict().items()},
        "scores": scores,
    }


def first_difference(recorded: Any, found: Any, where: str = "") -> str | None:
    """Where two digests differ first, in words; None if they are equal."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in [*recorded, *(key for key in found if key not in recorded)]:
            named = f"{where}, {key}" if where else key
            difference = first_difference(recorded.get(key, "nothing"), found.get(key, "nothing"), named)
            if difference:
                return difference
        return None
    return None if recorded == found else f"{where}: recorded {_short(recorded)}, now {_short(found)}"


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def _few(examples: Examples, n: int) -> Examples:
    """The first n training examples, all labelled ones of a pool, and a few for validation."""
    binary = examples.valid_binary
    return replace(
        examples,
        train=examples.train.at(slice(n)),
        valid=examples.valid.at(slice(VALIDATED)),
        valid_binary=None if binary is None else binary[:VALIDATED],
    )


def _scores(model: Model, examples: Examples, seed: int, device: torch.device) -> Iterator[tuple[str, str]]:
    """What the model can do on a few validation examples, as hashes of the numbers."""
    batch = examples.validation(model.view)[:SCORED]

    def noise() -> torch.Generator:
        return generator_for("replay", seed, device=device)

    asked: list[tuple[str, type, Callable[[], Tensor]]] = [
        ("samples", CanSample, lambda: _samples(model, examples, seed, device)),
        ("log_prob", HasLogProb, lambda: model.log_prob(batch.x)),  # type: ignore[operator]
        ("log_weights", HasLogWeights, lambda: model.log_weights(batch.x, 3, noise())),  # type: ignore[operator]
        ("features", CanEncode, lambda: model.encode(batch.x)),  # type: ignore[operator]
    ]
    model.eval()
    with torch.no_grad():
        for name, capability, compute in asked:
            if isinstance(model, capability):
                yield name, _hash(compute())


def _samples(model: Model, examples: Examples, seed: int, device: torch.device) -> Tensor:
    """A few samples as a run draws and writes them."""
    conditions = draw_conditions(examples.train, SCORED, seed)
    settings = SamplingSettings(n=SCORED, batch_size=SCORED)
    return torch.from_numpy(draw_samples(model, settings, seed, device, conditions, quiet=True)[0])


def _hash(values: Tensor) -> str:
    flat = values.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()
