"""Test NLL of the IWAE paper's networks after a few epochs of its own schedule (Burda et al. 2016).

Trains on MNIST, binarised afresh at every step, with batches of 20, Adam (eps 1e-4) and a step size of
1e-3 * 10^(-i/7) for 3^i epochs, i = 0, 1, ...; after 1, 3 and 10 epochs it prints -L_K of the fixed binarised
test images in nats, with its standard error over images:

    python -m stages.prepare --dataset mnist
    python benchmarks/iwae_epochs.py --samples 1 5 --epochs 1 3 10 --importance-samples 5000

The paper's 3280 epochs end at 86.76 (k = 1) and 85.54 (k = 5) with one layer, at 85.33 and 83.89 with two.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.dataset import load_dataset
from dgmbench.data.pixels import binarise, intensity
from dgmbench.data.schema import image_schema
from dgmbench.evaluation.likelihood.estimators import importance_sampled_log_likelihood
from dgmbench.models.latent.iwae import IWAE, IWAESettings
from dgmbench.training.devices import choose_device
from dgmbench.training.seeding import generator_for, initialising

LAYERS = {1: [50], 2: [100, 50]}
BATCH, EPSILON = 20, 1e-4


def learning_rate(epoch: int) -> float:
    """1e-3 * 10^(-i/7) in stage i, which begins with epoch (3^i - 1) / 2."""
    stage = 0
    while (3 ** (stage + 1) - 1) // 2 <= epoch:
        stage += 1
    return 1e-3 * 10 ** (-stage / 7)


def minibatches(images: Tensor, levels: int, noise: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(images), generator=noise, device=images.device)
    for rows in order.split(BATCH):
        yield binarise(images[rows], levels, noise)


def train_epoch(
    model: IWAE, optimiser: torch.optim.Optimizer, batches: Iterator[Tensor], noise: torch.Generator
) -> None:
    model.train()
    for x in batches:
        optimiser.zero_grad(set_to_none=True)
        model.step(Batch(x), "model", noise)["loss"].backward()
        optimiser.step()


def evaluate(model: IWAE, test: Tensor, k: int) -> str:
    started = time.perf_counter()
    model.eval()
    found = importance_sampled_log_likelihood(model.log_weights, test, [k])[k]
    error = found.std_error() or math.nan
    return f"-L_{k} {-found.mean():.2f} +- {error:.2f} ({time.perf_counter() - started:.0f} s to evaluate)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 5], help="the k that are trained with")
    parser.add_argument("--objective", choices=["iwae", "vae"], default="iwae")
    parser.add_argument("--layers", type=int, choices=[1, 2], default=1, help="stochastic layers")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 10], help="when to evaluate")
    parser.add_argument("--importance-samples", type=int, default=5000, help="K of the estimate")
    parser.add_argument("--points", type=int, default=None, help="first so many test images; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of prepared data sets")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; more seldom help at this size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for k in arguments.samples:
        run(arguments, k)


def run(arguments: argparse.Namespace, k: int) -> None:
    device = choose_device(arguments.device)
    data = load_dataset("mnist", arguments.data)
    images = torch.from_numpy(data.images("train").copy()).to(device)
    test = torch.from_numpy(data.binary("test")[: arguments.points].copy()).float().to(device)
    block = {"latent_dims": LAYERS[arguments.layers], "samples": k, "objective": arguments.objective}
    settings = IWAESettings.model_validate({"family": "iwae", "view": "binary"} | block)
    with initialising("init", arguments.seed):
        model = IWAE(settings, image_schema(data.shape, data.levels)).to(device)
    model.use_training_mean(intensity(images, data.levels).mean(0))
    optimiser = torch.optim.Adam(model.parameters(), eps=EPSILON, fused=device.type in ("cpu", "cuda"))
    noise, seconds = generator_for("noise", arguments.seed, device=device), 0.0
    for epoch in range(max(arguments.epochs)):
        started = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(epoch)
        train_epoch(model, optimiser, minibatches(images, data.levels, noise), noise)
        seconds += time.perf_counter() - started
        if epoch + 1 in arguments.epochs:
            found = evaluate(model, test, arguments.importance_samples)
            print(
                f"{arguments.objective} k={k}, {arguments.layers} layer(s), seed {arguments.seed}, "
                f"{epoch + 1} epoch(s) of {len(images):,} images, {seconds:.0f} s: {found}",
                flush=True,
            )


if __name__ == "__main__":
    main()
