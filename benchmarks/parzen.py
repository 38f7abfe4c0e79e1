"""Parzen windows: speed against scikit-learn's kernel density, and memory at a million centres.

`python benchmarks/parzen.py` compares `gaussian_kernel_log_density` with `sklearn.neighbors.KernelDensity`
(one leaf, so that it is exact: with smaller ones it loses digits in 784 dimensions), after checking that both
give the same densities. scikit-learn uses one thread whatever it is given; `--threads 1` gives ours no more.

`python benchmarks/parzen.py --million` streams 1,000,000 centres past 10,000 points and prints the peak of
the process's memory; with `--points 500` it takes a twentieth of the time and nearly the same memory.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import sklearn
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor
from tqdm import tqdm

from dgmbench.kernel_density import gaussian_kernel_log_density

DIMS, BANDWIDTH, CHUNK = 784, 0.2, 4000


def compare(centres: Tensor, x: Tensor, repeats: int, clock: Callable[[], float]) -> None:
    """Fitting is part of scikit-learn's time, as centring is of ours."""
    ours, theirs = [], []
    for _ in range(repeats):
        started = clock()
        mine = gaussian_kernel_log_density(centres, x, [BANDWIDTH])[:, 0]
        ours.append(clock() - started)
        started = clock()
        density = KernelDensity(bandwidth=BANDWIDTH, leaf_size=len(centres)).fit(centres.numpy())
        other = density.score_samples(x.numpy())
        theirs.append(clock() - started)
        np.testing.assert_allclose(mine.numpy(), other, rtol=1e-9)
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    print(f"{len(centres)} centres, {len(x)} points, {DIMS} dimensions; equal to a relative 1e-9")
    print(f"ours {statistics.median(ours):.3f} s, scikit-learn {statistics.median(theirs):.2f} s")
    print(f"ratio {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})")


def stream(count: int) -> Iterator[Tensor]:
    """Uniform noise in chunks, standing for a generator's images."""
    generator = torch.Generator().manual_seed(0)
    for start in tqdm(range(0, count, CHUNK), unit="chunk", mininterval=5.0):
        yield torch.rand(min(CHUNK, count - start), DIMS, generator=generator)


def peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure_memory(count: int, x: Tensor, bandwidths: list[float]) -> None:
    before, started = peak_mib(), time.perf_counter()
    values = gaussian_kernel_log_density(stream(count), x, bandwidths)
    passed, after = time.perf_counter() - started, peak_mib()
    print(
        f"{count} centres, {len(x)} points, {DIMS} dimensions, {len(bandwidths)} bandwidths: {passed:.0f} s"
    )
    print(
        f"peak memory {after:.0f} MiB, of which {before:.0f} MiB before the first centre; x {mib(x):.0f} MiB"
    )
    print(f"mean log density {values.mean(0).tolist()}")


def mib(tensor: Tensor) -> float:
    return tensor.numel() * tensor.element_size() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--million", action="store_true", help="the memory of a long stream")
    parser.add_argument("--centres", type=int, help="default 10,000, or 1,000,000 with --million")
    parser.add_argument("--points", type=int, help="default 300, or 10,000 with --million")
    parser.add_argument("--bandwidths", type=int, default=1, help="how many at once with --million")
    parser.add_argument("--repeats", type=int, default=5)
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
    versions = f"torch {torch.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{machine}, {arguments.threads} threads, {versions}; python {' '.join(sys.argv)}")
    points = arguments.points or (10_000 if arguments.million else 300)
    centres = arguments.centres or (1_000_000 if arguments.million else 10_000)
    generator = torch.Generator().manual_seed(1)
    if arguments.million:
        x = torch.rand(points, DIMS, generator=generator)
        measure_memory(centres, x, np.logspace(-1, 0, 10)[: arguments.bandwidths].tolist())
    else:
        x, samples = (torch.rand(n, DIMS, generator=generator).double() for n in (points, centres))
        compare(samples, x, arguments.repeats, clock)


if __name__ == "__main__":
    main()
