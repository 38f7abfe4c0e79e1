"""M2 of several label sets in one batched program against one after the other, in as many threads.

The batched program stacks the parameters (`torch.func.stack_module_state`), and `vmap` maps the objective
over them; each set has its own batches and its own noise, drawn outside. Its optimiser is Adam on the stacked
parameters, which is elementwise. The alternative is a step of each model by itself. Both do the same
arithmetic: the largest difference between their losses is printed.

Prints medians of interleaved repetitions and their ratio: `python benchmarks/label_sets.py --task mnist`.
On one thread of a Xeon with AVX-512 that other processes shared, one after the other took 0.74 (digits) and
0.75 (mnist) of the time of one program for three sets. So label sets train in processes of their own
(`training.processes`).
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from dgmbench.models.semisupervised.class_latent import ClassLatent, Half, Noise, objective
from dgmbench.models.semisupervised.m1_m2 import gaussian_features

CLASSES, ALPHA = 10, 0.1
# Inputs, hidden, latent, images of the pool and labelled ones in a batch.
TASKS = {"mnist": (50, 300, 50, 500, 100), "digits": (20, 200, 5, 50, 50)}
Data = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class Loss(nn.Module):
    """The objective as a module's forward, which `functional_call` needs."""

    def __init__(self, net: ClassLatent) -> None:
        super().__init__()
        self.net = net

    def forward(self, pool: Tensor, known: Tensor, y: Tensor, noise: Tensor, labelled: Tensor) -> Tensor:
        used = torch.ones(pool.shape[-1])
        first, second = (Half(x, x, gaussian_features(x, used)) for x in (pool, known))
        share = torch.tensor(0.002)
        return objective(self.net, first, second, y, Noise(noise, labelled), share, ALPHA)["loss"]


def batch(task: str, generator: torch.Generator) -> Data:
    """Features of a batch, its labels and the noise of z."""
    inputs, _, latent, n, m = TASKS[task]
    shapes = ((n, inputs), (m, inputs), (CLASSES, n, latent), (m, latent))
    pool, known, noise, labelled = (torch.randn(shape, generator=generator) for shape in shapes)
    return pool, known, torch.arange(m) % CLASSES, noise, labelled


def one_by_one(models: list[Loss], data: list[Data]) -> Callable[[], Tensor]:
    """A step of every set, one after the other; returns their losses."""
    optimisers = [torch.optim.Adam(model.parameters(), 1e-3, fused=True) for model in models]

    def step() -> Tensor:
        losses = []
        for model, optimiser, given in zip(models, optimisers, data, strict=True):
            optimiser.zero_grad(set_to_none=True)
            loss = model(*given)
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    return step


def batched(models: list[Loss], data: list[Data]) -> Callable[[], Tensor]:
    """The same as one program."""
    parameters, _ = stack_module_state(models)
    parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    optimiser = torch.optim.Adam(parameters.values(), 1e-3, fused=True)
    skeleton = copy.deepcopy(models[0])
    together = [torch.stack(parts) for parts in zip(*data, strict=True)]

    def loss_of(values: dict[str, Tensor], *given: Tensor) -> Tensor:
        return functional_call(skeleton, values, given)

    def step() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        losses = vmap(loss_of)(parameters, *together)
        losses.sum().backward()
        optimiser.step()
        return losses.detach()

    return step


def seconds(step: Callable[[], Tensor], steps: int) -> float:
    """Of one call."""
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=list(TASKS), default="mnist")
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    inputs, hidden, latent, n, m = TASKS[arguments.task]
    models = [Loss(ClassLatent(inputs, CLASSES, latent, [hidden], 2 * inputs)) for _ in range(arguments.sets)]
    generators = [torch.Generator().manual_seed(seed) for seed in range(arguments.sets)]
    data = [batch(arguments.task, generator) for generator in generators]
    ways = batched(models, data), one_by_one(copy.deepcopy(models), data)
    apart = max(float((ways[0]() - ways[1]()).abs().max()) for _ in range(5))
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(arguments.repeats):
        for times, step in zip(found, ways, strict=True):
            times.append(seconds(step, arguments.steps))
    ratios = [alone / together for together, alone in zip(*found, strict=True)]
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {arguments.threads} threads, torch {torch.__version__}")
    print(
        f"{arguments.task}: {arguments.sets} sets, batches of {n} + {m}, {inputs} features, hidden {hidden}"
    )
    together, alone = (1000 * statistics.median(times) for times in found)
    print(f"batched {together:.2f} ms, one after the other {alone:.2f} ms a step of all sets")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    print(f"losses differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
