"""What a search varies: ranges and choices of settings, and how a draw of them changes an entry's block."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, RootModel, model_validator

from dgmbench.settings.block import Strict

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Range(Strict):
    """A range of real numbers; log: even on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low above 0, not {self.low}")
        return self

    def examples(self) -> list[Any]:
        """Values that a family must accept if it is to accept all."""
        return [self.low, self.high]

    def holds(self, value: Any) -> bool:
        """Whether a value lies in the range."""
        return self.low <= value <= self.high

    def is_end(self, value: float) -> bool:
        """Whether a value lies within a twentieth of the range of an end: a better one may lie outside."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return min(at - low, high - at) < (high - low) / 20

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log)

    def encode(self, value: Any) -> Any:
        """A value as Optuna stores it."""
        return float(value)

    def decode(self, stored: Any) -> Any:
        """A stored value as a setting, to three significant digits: what is committed is what was tried."""
        return float(f"{stored:.3g}")


class Choices(RootModel[list[Any]]):
    """A list of values; lists and mappings too, which Optuna knows by their JSON."""

    root: list[Any] = Field(min_length=2)

    def examples(self) -> list[Any]:
        """Every one."""
        return self.root

    def holds(self, value: Any) -> bool:
        """Whether a value is among them."""
        return value in self.root

    def is_end(self, value: Any) -> bool:
        """Whether a number is the least or the largest."""
        numbers = [each for each in self.root if isinstance(each, int | float)]
        return len(numbers) == len(self.root) and value in (min(numbers), max(numbers))

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([json.dumps(value) for value in self.root])

    def encode(self, value: Any) -> Any:
        """A value as Optuna stores it."""
        return json.dumps(value)

    def decode(self, stored: Any) -> Any:
        """A stored value as a setting."""
        return json.loads(stored)


def with_settings(block: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """A copy of a model block with values at dotted keys: ``{"training.learning_rate": 1e-3}``."""
    changed = json.loads(json.dumps(block))
    for key, value in settings.items():
        *path, last = key.split(".")
        target = changed
        for part in path:
            target = target.setdefault(part, {})
        target[last] = value
    return changed


def value_at(settings: dict[str, Any], key: str) -> Any:
    """The value at a dotted key of an entry's full settings."""
    for part in key.split("."):
        settings = settings[part]
    return settings
