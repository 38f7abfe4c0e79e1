"""FID in Inception features: from tensors, against pytorch-fid from folders of PNG files.

`DGMBENCH_MIRROR=... python benchmarks/inception.py` scores the same two sets of gray 28x28 images both ways,
with the same weights, batch size and threads, repetitions interleaved, and checks that the distances agree to
1e-3. Theirs reads PNG files, as there is no other way into it; writing them is not counted. The parts are
timed apart, since at small n its matrix square root, whose cost does not depend on n, flatters ours. Then
the same sets again from the store, and the peak memory of either way in a process of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import scipy
import torch
from PIL import Image
from pytorch_fid import fid_score
from pytorch_fid.inception import InceptionV3
from torch import Tensor

from dgmbench.evaluation.features.embed import embedded
from dgmbench.evaluation.features.inception import InceptionSpace, Weights, load_weights
from dgmbench.evaluation.quality.frechet import fid
from dgmbench.store import Store

CLOCK = time.process_time if "--processor-time" in sys.argv else time.perf_counter


def image_sets(n: int) -> list[Tensor]:
    """Two sets of noise, bright and dark: what is timed does not depend on what is seen."""
    generator = torch.Generator().manual_seed(0)
    draws = [torch.rand(n, 1, 28, 28, generator=generator) ** power for power in (1, 3)]
    return [(images * 255).to(torch.uint8) for images in draws]


def write_folders(sets: list[Tensor], root: Path) -> list[str]:
    for name, images in zip("ab", sets, strict=True):
        (root / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image[0].numpy()).save(root / name / f"{i:05}.png")
    return [str(root / name) for name in "ab"]


def their_network(weights: Weights) -> InceptionV3:
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)} | weights.state
    with mock.patch("pytorch_fid.inception.load_state_dict_from_url", return_value=state):
        return InceptionV3()


def theirs(folders: list[str], network: InceptionV3, batch: int) -> tuple[float, float, float]:
    """Their distance, and seconds for features and for the distance."""
    started = CLOCK()
    with contextlib.redirect_stderr(io.StringIO()):
        moments = [
            fid_score.compute_statistics_of_path(folder, network, batch, 2048, "cpu", num_workers=0)
            for folder in folders
        ]
    middle = CLOCK()
    value = float(fid_score.calculate_frechet_distance(*moments[0], *moments[1]))
    return value, middle - started, CLOCK() - middle


def ours(sets: list[Tensor], space: InceptionSpace, store: Store) -> tuple[float, float, float]:
    started = CLOCK()
    features = [embedded(space, images, store) for images in sets]
    middle = CLOCK()
    value = fid(*features)
    return value, middle - started, CLOCK() - middle


def summary(name: str, parts: list[tuple[float, float, float]]) -> None:
    features, distance = (statistics.median(part[i] for part in parts) for i in (1, 2))
    print(f"{name:24} {features + distance:7.2f} s: features {features:.2f} s, distance {distance:.2f} s")


def ratios(name: str, above: list[float], below: list[float]) -> None:
    found = [a / b for a, b in zip(above, below, strict=True)]
    print(f"{name}: {statistics.median(found):.2f} (from {min(found):.2f} to {max(found):.2f})")


def compare(n: int, batch: int, repeats: int, weights: Weights) -> None:
    sets = image_sets(n)
    network, space = their_network(weights), InceptionSpace(weights, batch_size=batch)
    space.features(sets[0][:2])
    with tempfile.TemporaryDirectory() as root:
        folders = write_folders(sets, Path(root))
        their_parts, our_parts, kept_parts = [], [], []
        for i in range(repeats):
            store = Store(Path(root) / f"store-{i}")
            their_parts.append(theirs(folders, network, batch))
            our_parts.append(ours(sets, space, store))
            kept_parts.append(ours(sets, space, store))
            np.testing.assert_allclose(our_parts[-1][0], their_parts[-1][0], rtol=1e-3)
            assert kept_parts[-1][0] == our_parts[-1][0]
    apart = abs(our_parts[0][0] / their_parts[0][0] - 1)
    print(
        f"two sets of {n}; FID {our_parts[0][0]:.6f}, pytorch-fid {their_parts[0][0]:.6f}, apart {apart:.1e}"
    )
    summary("pytorch-fid, PNG files", their_parts)
    summary("ours, tensors", our_parts)
    summary("ours, features kept", kept_parts)
    ratios("end to end", [sum(p[1:]) for p in their_parts], [sum(p[1:]) for p in our_parts])
    ratios("features alone", [p[1] for p in their_parts], [p[1] for p in our_parts])
    ratios("kept against computed", [sum(p[1:]) for p in our_parts], [sum(p[1:]) for p in kept_parts])


def memory(side: str, n: int, batch: int, weights: Weights) -> None:
    """The most that this process holds while it scores, and what it held before the first image."""
    sets = image_sets(n)
    with tempfile.TemporaryDirectory() as root:
        if side == "theirs":
            folders, network = write_folders(sets, Path(root)), their_network(weights)
            before = forget_peak()
            theirs(folders, network, batch)
        else:
            space = InceptionSpace(weights, batch_size=batch)
            assert space.network is not None  # built here, as theirs is
            before = forget_peak()
            ours(sets, space, Store(None))
    print(f"{side:6} peak {peak_mib():.0f} MiB, {before:.0f} MiB before the first image (two sets of {n})")


def forget_peak() -> float:
    """Let the peak begin anew (Linux): until then it is that of loading weights, or of the parent process."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return status_mib("VmRSS")


def peak_mib() -> float:
    return status_mib("VmHWM")


def status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=150, help="images in either set")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="default: the mirror's, earlier downloads, the web")
    parser.add_argument(
        "--processor-time", action="store_true", help="for a machine in use by others; means --threads 1"
    )
    parser.add_argument("--memory", choices=["ours", "theirs"], help="measure the memory of one side alone")
    arguments = parser.parse_args()
    arguments.threads = 1 if arguments.processor_time else arguments.threads
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", message=".*rank-deficient")
    weights = load_weights(arguments.weights)
    if arguments.memory:
        memory(arguments.memory, arguments.n, arguments.batch_size, weights)
        return
    machine = platform.processor() or platform.machine()
    versions = f"torch {torch.__version__}, scipy {scipy.__version__}"
    clock = "processor time" if arguments.processor_time else "wall clock"
    print(f"{machine}, {arguments.threads} threads, {clock}, batch {arguments.batch_size}, {versions}")
    compare(arguments.n, arguments.batch_size, arguments.repeats, weights)
    for side in ("theirs", "ours"):
        rest = [f"--n={arguments.batch_size}", f"--batch-size={arguments.batch_size}"]
        command = [sys.executable, __file__, "--memory", side, *rest, f"--threads={arguments.threads}"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
