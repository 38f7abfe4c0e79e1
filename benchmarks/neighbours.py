"""Exact nearest neighbours: speed and memory against scikit-learn's brute force and FAISS's flat index.

`python benchmarks/neighbours.py` searches 60,000 images of 28 x 28 for 10,000 queries, the three interleaved
in one run, and checks that all find the same distances. Images are made up (blobs, with blank borders as
MNIST has) unless `--data` names a folder with `train.npy` and `test.npy`. FAISS takes part where it is
installed (`pip install faiss-cpu`; it is no dependency). Each library gets its own best form of the images,
float32, outside the clock; ours is given bytes. Memory is what the process holds beyond its inputs at the
peak of a search, not counting pages that merely map a file.

`python benchmarks/neighbours.py --million` searches 1,000,000 memory-mapped images: time and memory.
`--shifts` adds the cost of the shift-tolerant search, `--floats` that of float32 images.
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from dgmbench.evaluation.copies.neighbour_search import k_nearest, nearest_under_shifts

SIDE = 28
Search = Callable[[], tuple[np.ndarray, np.ndarray]]


def blobs(n: int, seed: int) -> np.ndarray:
    """Images of three blurred strokes within the middle 20 x 20, uint8 [n, 1, 28, 28]."""
    rng = np.random.default_rng(seed)
    place = np.arange(SIDE, dtype=np.float32)
    images = np.zeros((n, 1, SIDE, SIDE), np.uint8)
    for start in range(0, n, 10_000):
        some = images[start : start + 10_000]
        heat = np.zeros((len(some), SIDE, SIDE), np.float32)
        for _ in range(3):
            y, x = rng.uniform(6, 22, (2, len(some), 1)).astype(np.float32)
            tall, wide = rng.uniform(1, 4, (2, len(some), 1)).astype(np.float32)
            down, across = np.exp(-(((place - y) / tall) ** 2)), np.exp(-(((place - x) / wide) ** 2))
            np.maximum(heat, down[:, :, None] * across[:, None], out=heat)
        some[:, 0, 4:-4, 4:-4] = (255 * heat).astype(np.uint8)[:, 4:-4, 4:-4]
    return images


def bytewise(queries: np.ndarray, references: np.ndarray, k: int) -> Search:
    a, b = torch.from_numpy(queries), torch.from_numpy(references)

    def search() -> tuple[np.ndarray, np.ndarray]:
        distances, indices = k_nearest(a, b, k)
        return distances.numpy(), indices.numpy()

    return search


def sklearn_brute(queries: np.ndarray, references: np.ndarray, k: int) -> Search:
    a, b = as_floats(queries), as_floats(references)
    return lambda: NearestNeighbors(n_neighbors=k, algorithm="brute").fit(b).kneighbors(a)


def faiss_flat(queries: np.ndarray, references: np.ndarray, k: int, threads: int) -> Search:
    import faiss

    faiss.omp_set_num_threads(threads)
    a, b = as_floats(queries), as_floats(references)

    def search() -> tuple[np.ndarray, np.ndarray]:
        index = faiss.IndexFlatL2(b.shape[1])
        index.add(b)
        squared, indices = index.search(a, k)
        return np.sqrt(np.maximum(squared, 0)), indices

    return search


def as_floats(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32)


class Memory:
    """The largest anonymous memory of the process while it is watched, MiB beyond that at the start."""

    def __enter__(self) -> Memory:
        self.before, self.peak, self.done = anonymous_mib(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.01):
            self.peak = max(self.peak, anonymous_mib())

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()
        self.extra = max(self.peak - self.before, 0.0)


def anonymous_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def compare(searches: dict[str, Search], repeats: int, clock: Callable[[], float]) -> None:
    """Interleaved repetitions; ratios are of neighbouring ones, so that a busy machine harms all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    memory: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(repeats):
        found = {}
        for name, search in searches.items():
            with Memory() as watched:
                started = clock()
                found[name] = search()
                seconds[name].append(clock() - started)
            memory[name].append(watched.extra)
        check(found)
    for name, taken in seconds.items():
        ratios = [other / ours for ours, other in zip(seconds["ours"], taken, strict=True)]
        spread = f"{statistics.median(ratios):.2f} times ours ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:14} {statistics.median(taken):7.2f} s  {spread}  {max(memory[name]):6.0f} MiB")


def check(found: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """All find the same distances, to the float32 that the others' are computed in."""
    distances = found["ours"][0]
    for name, (others, _) in found.items():
        worst = float(np.abs(others - distances).max() / distances.mean())
        if worst > 1e-2:
            raise SystemExit(f"{name} disagrees by {worst:.1e} of the mean distance")


def million(queries: np.ndarray, count: int, k: int) -> None:
    """References on disk, bytes; what is held in memory does not grow with their number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.npy"
        mapped = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 1, SIDE, SIDE))
        for start in range(0, count, 50_000):
            mapped[start : start + 50_000] = blobs(min(50_000, count - start), start + 1)
        mapped.flush()
        del mapped
        search = bytewise(queries, np.load(path, mmap_mode="c"), k)
        with Memory() as watched:
            started = time.perf_counter()
            search()
            taken = time.perf_counter() - started
    size = count * SIDE**2 / 2**20
    print(
        f"{len(queries)} queries, {count} memory-mapped references ({size:.0f} MiB), k = {k}: {taken:.1f} s,"
    )
    print(f"{watched.extra:.0f} MiB of memory beyond the queries")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--references", type=int, help="default 60,000, or 1,000,000 with --million")
    parser.add_argument("--data", type=Path, help="folder with train.npy and test.npy, uint8 28 x 28")
    parser.add_argument("--k", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--floats", action="store_true", help="also time our search of float32 images")
    parser.add_argument("--shifts", action="store_true", help="also time our search under one-pixel shifts")
    parser.add_argument("--million", action="store_true", help="memory and time on a million images")
    parser.add_argument("--processor-time", action="store_true", help="for a machine in use by others")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    versions = f"torch {torch.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {arguments.threads} threads, {versions}; python {' '.join(sys.argv)}")
    with threadpool_limits(limits=arguments.threads):
        run(arguments, clock)


def run(arguments: argparse.Namespace, clock: Callable[[], float]) -> None:
    n, k = arguments.queries, arguments.k
    if arguments.million:
        million(blobs(n, 0), arguments.references or 1_000_000, k)
        return
    m = arguments.references or 60_000
    if arguments.data:
        pair = [np.load(arguments.data / f"{split}.npy") for split in ("test", "train")]
        queries, references = pair[0][:n], pair[1][:m]
    else:
        queries, references = blobs(n, 0), blobs(m, 1)
    print(f"{len(queries)} queries, {len(references)} references of {references[0].size} values, k = {k}")
    searches = {
        "ours": bytewise(queries, references, k),
        "scikit-learn": sklearn_brute(queries, references, k),
    }
    if importlib.util.find_spec("faiss"):
        searches["FAISS flat"] = faiss_flat(queries, references, k, arguments.threads)
    if arguments.floats:
        searches["ours, float32"] = bytewise(as_floats(queries) / 255, as_floats(references) / 255, k)
        searches["ours, float32"] = scaled(searches["ours, float32"], 255.0)
    compare(searches, arguments.repeats, clock)
    if arguments.shifts:
        started = clock()
        nearest_under_shifts(torch.from_numpy(queries), torch.from_numpy(references))
        print(f"under shifts of one pixel {clock() - started:.2f} s (nine searches)")


def scaled(search: Search, factor: float) -> Search:
    def search_in_units() -> tuple[np.ndarray, np.ndarray]:
        distances, indices = search()
        return factor * distances, indices

    return search_in_units


if __name__ == "__main__":
    main()
