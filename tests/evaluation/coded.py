"""A run to evaluate without training or files: invented images, and models whose codes are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dgmbench.data.schema import Schema, image_schema
from dgmbench.data.views import view_of
from dgmbench.evaluation.subject import Subject
from dgmbench.models.parts.densities import standard_normal_log_prob

SHAPE, LEVELS = (1, 4, 4), 17
DIMS = 16


@dataclass
class Images:
    """Invented images of three classes, each brightest in a third of its own; as `Dataset` serves them."""

    shape: tuple[int, int, int] = SHAPE
    levels: int = LEVELS
    classes: int | None = 3
    sizes: dict[str, int] = field(default_factory=lambda: {"train": 60, "test": 31})

    @property
    def schema(self) -> Schema:
        return image_schema(self.shape, self.levels, self.classes)

    def labels(self, split: str) -> np.ndarray | None:
        return None if self.classes is None else np.arange(self.sizes[split]) % self.classes

    def images(self, split: str) -> np.ndarray:
        rng = np.random.default_rng(len(split))
        dim = rng.integers(0, self.levels // 3, (self.sizes[split], *self.shape))
        rows = np.arange(self.shape[1])[:, None] * 3 // self.shape[1]
        place = (np.arange(self.sizes[split]) % 3)[:, None, None, None]
        return (dim + np.where(rows == place, self.levels // 2, 0)).astype(np.uint8)

    def binary(self, split: str) -> np.ndarray:
        return (self.images(split) > self.levels // 2).astype(np.uint8)


@dataclass
class CodedSubject(Subject):
    """A subject that encodes discrete images (no dequantisation noise) and notes which it was asked for."""

    asked: list[tuple[str, int | None]] = field(default_factory=list)

    def inputs(self, split: str, limit: int | None = None) -> Tensor:
        return self.pixels(split, limit)

    def features(self, split: str, limit: int | None = None) -> np.ndarray:
        self.asked.append((split, limit))
        return self.run.model.encode(self.inputs(split, limit)).double().numpy()


def subject_of(model: nn.Module, folder: Path, view: str = "gray", **data: Any) -> CodedSubject:
    """A finished run of `model`, seed 3, the only one."""
    invented = Images(**data)
    model.view = view_of(view, invented.schema)  # type: ignore[arg-type,assignment]
    info = {"dataset": "invented", "view": view, "model": "m", "seed": 3, "status": "completed"}
    run = SimpleNamespace(model=model, info=info, folder=folder, conditions=lambda: None, is_first=True)
    settings = SimpleNamespace(batch_size=8, probe_pool=40, seed=5, store=None)
    return CodedSubject(invented, settings, 0, torch.device("cpu"), None, run=run)  # type: ignore[arg-type]


class Coder(nn.Module):
    """z is the image seen through an orthogonal matrix, or its first entries; decoding turns it back."""

    def __init__(self, latent_dim: int = DIMS) -> None:
        super().__init__()
        noise = torch.randn(DIMS, DIMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        self.register_buffer("turn", torch.linalg.qr(noise)[0][:, :latent_dim])
        self.latent_dim = latent_dim

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1).to(self.turn) @ self.turn

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.turn.T).reshape(-1, *SHAPE)


class PlainCoder(Coder):
    """An auto-encoder: no prior, no posterior, a reconstruction error."""

    def reconstruction_error(self, x: Tensor, seen: Tensor) -> Tensor:
        return (x - self.decode(self.encode(seen))).square().flatten(1).sum(1)


class PriorCoder(Coder):
    """A latent-variable model with p(z) = N(0, I) and p(x|z) = N(decode(z), I)."""

    def prior_sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=generator, dtype=torch.float64)

    def prior_log_prob(self, z: Tensor) -> Tensor:
        return standard_normal_log_prob(z)

    def decoder_log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        return -0.5 * (x.flatten(1) - z @ self.turn.T).square().sum(-1)

    def decoder_sample(self, z: Tensor, generator: torch.Generator) -> Tensor:
        return self.decode(z)
