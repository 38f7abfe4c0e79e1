"""Annealed importance sampling against the decoder alone: what a gradient step of a chain costs.

The alternative is a bare loop over the same rows: log p(x|z) forward and its gradient in z, nothing else, in
float64 as the chains are. What the same loop takes in the model's own float32 is printed beside it: the
price of double precision, which keeps estimates independent of block sizes.
Prints medians of interleaved repetitions and their ratio: `python benchmarks/annealing.py`.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time

import torch
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.likelihood.annealing import annealed_log_likelihood
from dgmbench.evaluation.likelihood.annealing_path import Annealing
from dgmbench.evaluation.likelihood.tuning import SHORTEST, WINDOW
from dgmbench.models.latent.vae import VAE, VAESettings

SHAPE = (1, 28, 28)


def decoder_alone(model: VAE, x: Tensor, z: Tensor, steps: int, dtype: torch.dtype) -> float:
    """Seconds of one forward and backward pass, parameters frozen as in annealing."""
    model, x, z = copy.deepcopy(model).to(dtype), x.to(dtype), z.to(dtype)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    started = time.perf_counter()
    for _ in range(steps):
        latents = z.detach().requires_grad_()
        torch.autograd.grad(model.decoder_log_prob(x, latents).sum(), latents)
    return (time.perf_counter() - started) / steps


def annealing_step(model: VAE, x: Tensor, settings: Annealing) -> float:
    """Seconds of one leapfrog step of the estimate, its pilot and noise included in proportion to rows."""
    started = time.perf_counter()
    annealed_log_likelihood(model, x, settings, progress=False)
    seconds = time.perf_counter() - started
    pilot = (1 + 2 * WINDOW) * max(SHORTEST, settings.pilot_share * settings.distributions)
    rows = settings.distributions + pilot * settings.pilot_chains / settings.chains
    return seconds / (rows * settings.leapfrog_steps)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--hidden", type=int, nargs="+", default=[200, 200])
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--view", choices=("binary", "gray"), default="binary")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    settings = VAESettings(
        family="vae", view=arguments.view, latent_dim=arguments.latent, hidden=arguments.hidden
    )
    model = VAE(settings, image_schema(SHAPE, 256))
    x = (torch.rand(arguments.points, *SHAPE) < 0.2).float()
    z = torch.randn(arguments.chains, arguments.points, arguments.latent)
    plan = Annealing(arguments.chains, 50, 10, block_points=arguments.points)
    decoder_alone(model, x, z, 20, torch.float64)
    single, bare, ours = [], [], []
    for _ in range(arguments.repeats):
        single.append(decoder_alone(model, x, z, 100, torch.float32))
        bare.append(decoder_alone(model, x, z, 100, torch.float64))
        ours.append(annealing_step(model, x, plan))
    ratios = [b / a for a, b in zip(bare, ours, strict=True)]
    machine = platform.processor() or platform.machine()
    decoder = "-".join(map(str, [arguments.latent, *arguments.hidden, 784]))
    times = [1000 * statistics.median(seconds) for seconds in (single, bare, ours)]
    print(f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{arguments.chains} chains x {arguments.points} points, {arguments.view} decoder {decoder}")
    print(f"bare {times[1]:.2f} ms (float32: {times[0]:.2f} ms), annealing {times[2]:.2f} ms a step")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
