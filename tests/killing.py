"""Trainings that are killed in a step, as by a signal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from torch import Tensor

from dgmbench.training.trainer import Trainer


class Killed(BaseException):
    """Stands in for a signal: nothing in the library catches it."""


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """A training within that begins the step `step` is killed there; one that does not is a failure."""
    original = Trainer._step

    def dying(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        if self.progress.step == step:
            raise Killed
        return original(self, chosen)

    with patch.object(Trainer, "_step", dying), pytest.raises(Killed):
        yield
