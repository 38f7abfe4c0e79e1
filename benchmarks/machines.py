"""What differs between machines: the measurements behind the allowances in `dgmbench/metrics/`.

All commands work in a temporary folder (or `--folder`, which is kept), on digits.

`python benchmarks/machines.py classifiers` trains the domain classifier of both views under several seeds
and scores the same samples with each: the standard deviation over classifiers of every score in its
features, by set of samples. That is the classifier's allowance, since a classifier trained on another
processor is in effect one of another seed.

`python benchmarks/machines.py seeds` prints the largest standard deviation over seeds that any entry of the
committed reports has, by metric.

`python benchmarks/machines.py verdict` runs a reduced pipeline (every training included) once for each
imitation and prints the verdict of the regression check, the baseline being of the first, and by how much
each number differs at most: the rounding allowance where nothing is trained.

Imitations hold PyTorch (ATEN_CPU_CAPABILITY, oneDNN, MKL), NumPy, OpenBLAS and the C library to older
instructions by environment variables; a processor without AVX-512 cannot play one that has it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.evaluation import suite
from dgmbench.evaluation.copies.memorisation import memorisation_domain
from dgmbench.evaluation.features.domain_classifier import load_classifier, train_classifiers
from dgmbench.evaluation.likelihood.annealed import annealed
from dgmbench.evaluation.pictures.completions import completions
from dgmbench.evaluation.pictures.generator_pictures import generator_pictures
from dgmbench.evaluation.pictures.latent_pictures import pictures
from dgmbench.evaluation.quality.class_coverage import coverage_of_classes
from dgmbench.evaluation.quality.class_shares import class_histogram
from dgmbench.evaluation.quality.in_features import domain_quality
from dgmbench.evaluation.registry import all_measures
from dgmbench.evaluation.subject import Subject
from dgmbench.files import write_text
from dgmbench.reporting.baseline.compared import comparable_records
from dgmbench.reporting.baseline.regression import compare, make_baseline, regressions
from dgmbench.reporting.baseline.wording import format_findings
from dgmbench.reporting.records import CLASSIFIER, headline_records, merge_results
from dgmbench.results import read_records
from dgmbench.settings import Params, compose, load_params, render_params, select
from dgmbench.training.entry import train_entry
from dgmbench.training.loading import open_run

ROOT = Path(__file__).resolve().parent.parent
DATA = "digits"
# Models of the reduced pipeline, and for how many epochs.
REDUCED = {"ppca": None, "vae": 40, "pixelcnn": 3}
MEASURES = (domain_quality, class_histogram, coverage_of_classes, memorisation_domain)
# What makes pictures, and annealing, whose accepted and rejected steps are another run's on other machines.
LEFT_OUT = (annealed, pictures, generator_pictures, completions)
# glibc's names of what it chooses functions by.
LIBC_512 = "-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ,-AVX512CD"


def imitations() -> dict[str, dict[str, str]]:
    """Environment variables by the name of the instructions that are left, the machine's own first."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]  # type: ignore[index]
    wide = [name for name in found if "512" in name or name == "X86_V4"]
    machines = {
        "avx512": {},
        "avx2": {
            "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": " ".join(wide),
            "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={LIBC_512}",
        },
        "default": {
            "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "OPENBLAS_CORETYPE": "Nehalem",
            "NPY_DISABLE_CPU_FEATURES": " ".join(found),
            "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={LIBC_512},-AVX2,-FMA,-AVX",
        },
    }  # fmt: skip
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        del machines["avx512"]
        machines["avx2"] = {}
    return machines


def settings(folder: Path, models: tuple[str, ...], seeds: list[int], threads: int = 1) -> None:
    """Write the folder's params.yaml: digits with those models and seeds, costly bounds cut down."""
    raw = select(compose(DATA, ROOT / "pipelines"), models, seeds, "digits")
    raw["training"] |= {"device": "cpu", "checkpoint_seconds": 1e6, "threads": threads, "processes": 1}
    raw["evaluation"] |= {"importance_samples": [10, 100], "elbo_samples": 20}
    raw["evaluation"]["parzen"] |= {"samples": 1000}
    raw["sampling"] |= {"n": 1000}
    raw["evaluation"] |= {"neighbour_samples": 1000}
    for name, epochs in REDUCED.items():
        if epochs is not None and name in raw["models"]:
            raw["models"][name]["training"]["epochs"] = epochs
    write_text(folder / "params.yaml", render_params(raw, DATA))


def prepared(folder: Path) -> Params:
    """Settings of the folder, whose data are made where they are not there yet. The folder is gone into."""
    os.chdir(folder)
    params = load_params()
    if not Path("data", DATA).exists():
        prepare(DATA, Path("data", DATA), seed=params.data.seed)
    return params


def carry_out(folder: Path) -> None:
    """Every stage up to one table of results; what is trained already is taken as it is."""
    params = prepared(folder)
    asked = [each for each in all_measures() if each not in LEFT_OUT]
    suite.all_measures = lambda: asked
    if not Path("runs", DATA, CLASSIFIER).exists():
        train_classifiers(params, DATA)
    for model in params.models:
        if not Path("runs", DATA, model).exists():
            train_entry(params, DATA, model)
        suite.evaluate_entry(params, DATA, model)
    merge_results(Path("results"), [DATA], list(params.models)).to_csv("results.csv", index=False)


def on_every_machine(
    folder: Path, models: tuple[str, ...], seeds: list[int], jobs: int
) -> dict[str, pd.DataFrame]:
    """Results by imitation and number of threads, `jobs` of them at a time."""
    places = {}
    with ThreadPoolExecutor(jobs) as pool:
        for machine, variables in imitations().items():
            for threads in (1, 2):
                name, place = f"{machine}, threads: {threads}", folder / f"{machine}-{threads}"
                places[name] = place
                if not (place / "results.csv").exists():
                    shutil.rmtree(place, ignore_errors=True)
                    place.mkdir(parents=True)
                    settings(place, models, seeds, threads)
                    pool.submit(in_process, place, variables | {"OMP_NUM_THREADS": str(threads)})
    return {name: headline_records(read_records(place / "results.csv")) for name, place in places.items()}


def in_process(folder: Path, variables: dict[str, str]) -> None:
    """`carry_out` in a process of its own, under environment variables."""
    # Waiting threads leave the processor to others; numbers do not depend on it.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"} | variables
    command = [sys.executable, __file__, "stages", "--folder", str(folder)]
    log = folder / "log.txt"
    with open(log, "w", encoding="utf-8") as handle:
        done = subprocess.run(command, env=environment, stdout=handle, stderr=subprocess.STDOUT)
    if done.returncode:
        print(log.read_text(encoding="utf-8")[-3000:], file=sys.stderr)


def classifiers(folder: Path, count: int) -> None:
    """The spread of every domain score over classifiers, by set of samples."""
    entries = ("ppca", "independent_gray", "vae_gray", "gan", "independent", "bernoulli_mixture", "vae")
    settings(folder, entries, [0])
    params = prepared(folder)
    for model in params.models:
        if not Path("runs", DATA, model).exists():
            train_entry(params, DATA, model)
    rows = []
    for seed in range(count):
        one = params.model_copy(update={"classifier": params.classifier.model_copy(update={"seed": seed})})
        train_classifiers(one, DATA)
        accuracies = read_records(Path("results", DATA, CLASSIFIER, "results.csv"))
        rows += [("test images", seed, f"test_accuracy_{r.view}", r.value) for r in accuracies.itertuples()]
        rows += list(scores(one, seed))
        print(f"classifier {seed}", file=sys.stderr)
    table = pd.DataFrame(rows, columns=["samples", "classifier", "metric", "value"])
    table.to_csv("classifiers.csv", index=False)
    print(spread(table.groupby(["metric", "samples"], sort=False)["value"]).to_string())


def scores(params: Params, seed: int) -> Iterator[tuple[str, int, str, float]]:
    """Every score in the features of the classifier at hand, of seed 0 of each entry and of real images."""
    data, device = load_dataset(DATA, Path("data")), torch.device("cpu")
    for model in params.models:
        run = open_run(DATA, model, 0)
        classifier = load_classifier(DATA, run.model.view, device)
        for split in ("", "valid") if model.startswith("independent") else ("",):
            subject = Subject(data, params.evaluation, params.data.seed, device, classifier, run=run)
            if split:
                subject.samples = subject.raw(split)
            name = f"{split} images, {run.model.view}" if split else model
            for measure in MEASURES:
                for found in subject.attempt(measure.__name__, partial(measure, subject, Path("results"))):
                    yield name, seed, found.metric, found.value


def spread(groups: Any) -> pd.DataFrame:
    """Mean, standard deviation and their ratio by group, and the largest of each metric."""
    table = pd.DataFrame({"mean": groups.mean(), "sd": groups.std(), "n": groups.count()})
    return table.assign(relative=table["sd"] / table["mean"].abs())


def over_seeds() -> None:
    """The entry of the largest spread over seeds, by metric, of all committed results."""
    for path in sorted((ROOT / "reports").glob("*/results.csv")):
        table = spread(
            comparable_records(headline_records(read_records(path))).groupby(["key", "model"])["value"]
        )
        several = table[table["n"] > 2].sort_values("sd")
        if len(several):
            print(f"\n{path.parent.name}\n{several.groupby('key').tail(1).sort_index().to_string()}")


def mean_values(frame: pd.DataFrame) -> pd.Series:
    """Means over seeds by key and model."""
    return comparable_records(frame).groupby(["key", "model"])["value"].mean()


def verdict(folder: Path, jobs: int) -> None:
    """What the regression check says on each imitation, the baseline being of the first, and differences."""
    frames = on_every_machine(folder, tuple(REDUCED), [0, 1, 2], jobs)
    first, *others = frames
    baseline, means = make_baseline(frames[first]), {name: mean_values(f) for name, f in frames.items()}
    for name in others:
        findings = compare(frames[name], baseline)
        same = means[name].eq(means[first]).mean()
        print(f"\n{name}: {len(regressions(findings))} regressions; {same:.0%} of the means are the same")
        print(format_findings(findings))
    differences = pd.DataFrame({name: (means[name] - means[first]).abs() for name in others})
    table = pd.DataFrame({"mean": means[first], "difference": differences.max(axis=1)})
    table["relative"], table["most in"] = (
        table["difference"] / table["mean"].abs(),
        differences.idxmax(axis=1),
    )
    print(table[table["difference"] > 0].to_string())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("classifiers", "seeds", "verdict", "stages"))
    parser.add_argument("--folder", type=Path, help="where to work; what is there already is not made again")
    parser.add_argument("--classifiers", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=1, help="imitations at a time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as aside:
        folder = (arguments.folder or Path(aside)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.command == "classifiers":
            classifiers(folder, arguments.classifiers)
        elif arguments.command == "stages":
            carry_out(folder)
        elif arguments.command == "seeds":
            over_seeds()
        else:
            verdict(folder, arguments.jobs)


if __name__ == "__main__":
    main()
