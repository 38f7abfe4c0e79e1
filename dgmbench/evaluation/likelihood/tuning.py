"""Step sizes of Hamiltonian transitions along the annealing path, found by pilot chains.

The step of latent i at one distribution of the path is s / sqrt(F_i). F_i is the mean of the squared gradient
of the log density, E[(d log p/d z_i)^2]: the curvature -E[d^2 log p/d z_i^2] (Fisher's identity), and the
precision of z_i for a diagonal Gaussian. In these units a Gaussian has unit scale, and a trajectory of length
pi/2, a quarter of its period, ends at a point that is independent of its start; a longer one turns back, and
mixes worse at the same cost. So s is pi/2 over the number of leapfrog steps, shortened where fewer moves than
the target would be accepted.

The pilot's chains have noise of their own and are thrown away. The reported chains run with recorded steps,
so that their kernels do not depend on their past and the average weight stays unbiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dgmbench.evaluation.likelihood.annealing_path import Annealing, sigmoid_schedule
from dgmbench.evaluation.likelihood.hmc import NOISE_STEPS, Block

# Least length of the pilot's path.
SHORTEST = 200
# How fast the logarithm of s follows the acceptance, and the curvature the squared gradients. The acceptance
# of a Gaussian target falls by .65 for each unit of log s at the target .65 (Beskos et al. 2013).
GAIN, FOLLOW = 1.0, 0.1
LEAST_SCALE, LEAST_CURVATURE, LARGEST_CURVATURE = 1e-4, 1e-6, 1e200
# Share of the path to either side over which a recorded number is averaged (for which the pilot stays at both
# ends for so long), and how many steps are kept.
WINDOW, KNOTS = 0.05, 200


@dataclass(frozen=True)
class Steps:
    """Step sizes along the path: ``knots [k, points, latent]`` at even spacing, interpolated linearly."""

    knots: Tensor

    def at(self, t: int, distributions: int) -> Tensor:
        """``[points, latent]`` for transition t, from 1 to `distributions`."""
        position = (t - 1) / max(distributions - 1, 1) * (len(self.knots) - 1)
        low = int(position)
        if low + 1 >= len(self.knots):
            return self.knots[-1]
        return torch.lerp(self.knots[low], self.knots[low + 1], position - low)


def tuned_steps(block: Block, plan: Annealing) -> Steps:
    """Step sizes for each point and latent of `block` along the path of `plan`.

    Pilot chains start from the prior and go the same path in fewer steps. s follows the acceptance
    (Robbins and Monro 1951) and F the squared gradients. What is kept of both is averaged along the path,
    as far to either side, which takes out most noise and no trend.
    """
    length = max(SHORTEST, math.ceil(plan.pilot_share * plan.distributions))
    beyond = int(WINDOW * length)
    schedule = [0.0] * beyond + sigmoid_schedule(length)[1:] + [1.0] * beyond
    chains = block.start(plan.pilot_chains, purpose="pilot start")
    quarter = math.log(math.pi / 2 / plan.leapfrog_steps)
    scale = torch.full((len(block.x), 1), quarter, dtype=torch.float64, device=block.x.device)
    curvature = torch.ones_like(chains.z[0])
    scales, squares = [], []
    for t, b in enumerate(schedule):
        part, offset = divmod(t, NOISE_STEPS)
        if offset == 0:
            momenta, uniforms = block.noise("pilot", part, plan.pilot_chains, NOISE_STEPS)
        squared = chains.gradient(b).square().mean(0).clamp(max=LARGEST_CURVATURE)
        curvature = torch.lerp(curvature, squared, FOLLOW)
        scales.append(scale)
        squares.append(squared)
        step = _step(scale, curvature)
        accepted = block.transition(chains, b, step, momenta[offset], uniforms[offset]).mean(0)
        scale = scale + GAIN * (accepted - plan.target_acceptance).unsqueeze(-1)
        scale = scale.clamp(math.log(LEAST_SCALE), quarter)
    smooth = [torch.stack(rows).unfold(0, 2 * beyond + 1, 1).mean(-1) for rows in (scales, squares)]
    kept = torch.linspace(0, length - 1, min(KNOTS, length)).round().long()
    return Steps(_step(smooth[0], smooth[1])[kept])


def _step(log_scale: Tensor, curvature: Tensor) -> Tensor:
    return log_scale.exp().to(curvature.dtype) * curvature.clamp(min=LEAST_CURVATURE).rsqrt()
