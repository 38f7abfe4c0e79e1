"""Importance-sampled likelihood of a VAE: ours against `get_nll` of pythae, draw for draw.

Both score the same images with the same weights (784-200-200-z50-200-200-784, Bernoulli), pythae's networks
being wrappers of our modules, and first have to agree: pythae's function returns the mean log-likelihood,
its sign notwithstanding. It runs at its default batch size, as it is called (it then records gradients that
no caller needs) and, since that is easily avoided, also inside `torch.no_grad()`.

Measured on an Intel Xeon with AMX (2 cores), torch 2.15.0, two threads, otherwise idle; microseconds per draw
and image, ranges in brackets: ours 2.41 (2.35-2.55); pythae as called 18.3, a ratio of 7.6 (7.4-7.8); without
gradients 15.5, a ratio of 6.2 (6.1-6.8). Of ours the three matrix products take 1.4, at 290 GFLOPS of the 320
that these cores reach at all, drawing normals 0.13, a sigmoid for each pixel and hidden unit 0.3: in float32
there is little left to gain.

pythae is not among this project's dependencies: `pip install pythae==0.1.2` into an environment that has
them, then `python benchmarks/importance_sampling.py`.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

from dgmbench.data.schema import image_schema
from dgmbench.evaluation.likelihood.estimators import importance_sampled_log_likelihood
from dgmbench.evaluation.likelihood.noise_blocks import Weigher
from dgmbench.models.latent.vae import VAE, VAESettings

SHAPE = (1, 28, 28)


class Encoder(BaseEncoder):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.layers, self.head = model.encoder, model.posterior_head

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.head(self.layers(2 * x - 1)).chunk(2, dim=-1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.layers = nn.Sequential(model.decoder, nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, *SHAPE))


def models(activation: str, seed: int) -> tuple[VAE, PythaeVAE]:
    torch.manual_seed(seed)
    sizes = {"latent_dim": 50, "hidden": [200, 200], "activation": activation}
    ours = VAE(
        VAESettings.model_validate({"family": "vae", "view": "binary", **sizes}), image_schema(SHAPE, 256)
    ).eval()
    settings = VAEConfig(input_dim=SHAPE, latent_dim=50, reconstruction_loss="bce")
    return ours, PythaeVAE(settings, Encoder(ours), Decoder(ours)).eval()


def our_values(model: VAE, x: Tensor, draws: int) -> Tensor:
    return importance_sampled_log_likelihood(Weigher(model), x, [draws], progress=False)[draws].values


def their_mean(model: PythaeVAE, x: Tensor, draws: int, *, gradients: bool = False) -> float:
    with torch.set_grad_enabled(gradients):
        return model.get_nll(x, n_samples=draws)


def check_agreement(ours: VAE, theirs: PythaeVAE, x: Tensor, draws: int) -> None:
    """Two unbiased estimates of one likelihood: their logarithms differ by sampling noise alone."""
    other = torch.tensor([their_mean(theirs, image[None], draws) for image in x], dtype=torch.float64)
    differences = our_values(ours, x, draws) - other
    mean, error = float(differences.mean()), float(differences.std()) / math.sqrt(len(x))
    print(f"nats per image {float(other.mean()):.2f}; ours minus pythae's {mean:+.3f} ± {error:.3f}")
    if abs(mean) > 4 * error:
        raise SystemExit("the two estimates disagree; their times say nothing")


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    started = clock()
    work()
    return clock() - started


def spread(values: list[float], digits: int) -> str:
    low, middle, high = (f"{of(values):.{digits}f}" for of in (min, statistics.median, max))
    return f"{middle} (from {low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--activation", default="tanh", help="of both networks; pythae's own have relu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--processor-time", action="store_true", help="for a machine in use by others; means --threads 1"
    )
    arguments = parser.parse_args()
    if arguments.processor_time:
        arguments.threads = 1
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    machine = platform.processor() or platform.machine()
    versions = f"torch {torch.__version__}, pythae {version('pythae')}"
    print(f"{machine}, {arguments.threads} threads, {versions}; python {' '.join(sys.argv)}")
    ours, theirs = models(arguments.activation, seed=0)
    x = (torch.rand(arguments.images, *SHAPE, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    check_agreement(ours, theirs, x, arguments.draws)
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: our_values(ours, x, arguments.draws),
        "pythae as called": lambda: their_mean(theirs, x, arguments.draws, gradients=True),
        "pythae without gradients": lambda: their_mean(theirs, x, arguments.draws),
    }
    rows = [{name: timed(side, clock) for name, side in sides.items()} for _ in range(arguments.repeats)]
    micro = 1e6 / (arguments.images * arguments.draws)
    for name in sides:
        print(f"{name}: {spread([micro * row[name] for row in rows], 2)} microseconds per draw and image")
    for name in list(sides)[1:]:
        print(f"ratio to {name}: {spread([row[name] / row['ours'] for row in rows], 1)}")


if __name__ == "__main__":
    main()
