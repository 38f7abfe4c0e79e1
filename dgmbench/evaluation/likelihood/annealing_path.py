"""How annealing goes from the prior to the posterior: its settings and the schedule of the path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgmbench.errors import CapabilityError


@dataclass(frozen=True)
class Annealing:
    """How to anneal. The defaults cost a tenth of the published protocol (10,000 distributions).

    chains: independent chains per test point, averaged as weights.
    distributions: intermediate distributions; the bound tightens with their number.
    leapfrog_steps: gradient steps of one Hamiltonian transition.
    target_acceptance: pilot chains shorten the steps until at least this share of moves is accepted.
    pilot_chains, pilot_share: chains of the pilot, and its length as a share of `distributions`.
    block_points: test points annealed at once (times `chains` rows in one call of the decoder).
    """

    chains: int = 16
    distributions: int = 1000
    leapfrog_steps: int = 10
    target_acceptance: float = 0.65
    pilot_chains: int = 4
    pilot_share: float = 0.25
    block_points: int = 32

    def __post_init__(self) -> None:
        for name in ("chains", "distributions", "leapfrog_steps", "pilot_chains", "block_points"):
            if getattr(self, name) < 1:
                raise CapabilityError(f"annealing needs {name} >= 1, not {getattr(self, name)}")
        if not 0 < self.target_acceptance < 1:
            raise CapabilityError(f"target_acceptance lies inside (0, 1): {self.target_acceptance} does not")
        if not 0 < self.pilot_share <= 1:
            raise CapabilityError(f"pilot_share lies in (0, 1]: {self.pilot_share} does not")


def sigmoid_schedule(distributions: int, sharpness: float = 4.0) -> list[float]:
    """b_0 = 0 < ... < b_T = 1, dense at both ends: the rescaled logistic of Wu et al.'s section 4.1."""
    positions = np.linspace(-sharpness, sharpness, distributions + 1)
    raw = 1 / (1 + np.exp(-positions))
    return list(((raw - raw[0]) / (raw[-1] - raw[0])).tolist())
