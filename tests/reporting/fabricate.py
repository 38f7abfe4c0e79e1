"""Invented runs, results and data in the pipeline's file formats, for tests that need no training."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dgmbench.claims.claim import Verdict
from dgmbench.controls.control import Control, ControlSettings, Curve, Finding, Panel, Sheet
from dgmbench.controls.run import write_finding
from dgmbench.data.schema import image_schema
from dgmbench.files import sha256_json, write_json
from dgmbench.points import Points, points_path, write_points
from dgmbench.results import COLUMNS, Record, write_records

SHAPE, LEVELS = (1, 8, 8), 17
VIEWS = {
    "ppca": "gray",
    "vae_gray": "gray",
    "gan": "gray",
    "pixelcnn_gray": "gray",
    "vae": "binary",
    "pixelcnn": "binary",
}
DOMAINS = {"ppca": "dequantised", "vae_gray": "dequantised", "gan": "dequantised", "pixelcnn_gray": "levels"}
# Test images: all of them, and those that annealing covers.
TEST, ANNEALED = 300, 100
# Log-likelihood of the invented models: nats of the discrete image (binary) or of a density (gray).
LEVEL = {"ppca": 60.0, "vae_gray": 64.0, "pixelcnn_gray": 85.0, "vae": -21.0, "pixelcnn": -18.0}


def settings_of(dataset: str = "digits", seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    """A composed params.yaml as a dict."""
    models = {name: {"view": view, "hidden": [64, 64], "rate": 0.001} for name, view in VIEWS.items()}
    return {
        "pipeline": "digits",
        "datasets": [dataset],
        "seeds": list(seeds),
        "data": {"seed": 0},
        "training": {"device": "cpu", "precision": "float32"},
        "models": models,
        "controls": {"planted": {}},
    }


def images(rng: np.random.Generator, n: int, levels: int) -> np.ndarray:
    """Blobs that look a little like digits: uint8 `[n, 1, 8, 8]` in 0..levels-1."""
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), -1)[None]
    centres = rng.uniform(1.5, 5.5, (n, 3, 1, 1, 2))
    heat = np.exp(-((grid[:, None] - centres) ** 2).sum(-1) / 2.5).max(1)
    return np.round(np.clip(heat, 0, 1) * (levels - 1)).astype(np.uint8)[:, None]


def fabricate(
    root: Path,
    dataset: str = "digits",
    seeds: tuple[int, ...] = (0, 1, 2),
    diverged: tuple[tuple[str, int], ...] = (("gan", 2),),
    n: int = 40,
    points: int = 12,
) -> dict[str, Any]:
    """Write `runs/`, `results/` and `data/` under `root`; returns the settings they belong to."""
    settings = settings_of(dataset, seeds)
    _data(root / "data" / dataset, dataset, n)
    for place, (model, view) in enumerate(VIEWS.items()):
        records: list[Record] = []
        for seed in seeds:
            rng = np.random.default_rng([place, seed])
            failed = (model, seed) in diverged
            _run(root, dataset, model, seed, settings["models"][model], rng, failed, n, points)
            records += _records(dataset, model, view, seed, rng, failed)
            if not failed:
                _neighbours(root / "results" / dataset / model, seed, view, rng)
                _points(root / "results" / dataset / model, seed, records, rng)
        write_records(root / "results" / dataset / model / "results.csv", records)
    write_records(root / "results" / dataset / "classifier" / "results.csv", _classifier(dataset))
    plant(root / "results", dataset)
    return settings


def _data(folder: Path, dataset: str, n: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    arrays = {}
    for split in ("train", "valid", "test"):
        np.save(folder / f"{split}.npy", images(rng, n, LEVELS))
        arrays[f"{split}.npy"] = "0" * 64
    manifest = {
        "name": dataset,
        "title": "Optical digits <8x8> & friends",
        "source": {"served_by": "wheel", "wheel": "scikit-learn"},
        "licence": "CC BY 4.0",
        "homepage": "https://archive.ics.uci.edu/dataset/80",
        "raw_files": {"digits.csv.gz": "a" * 64},
        "arrays": arrays,
        "splits": {"train": 1200, "valid": 297, "test": 300},
        "split_seed": 0,
        "schema": image_schema(SHAPE, LEVELS, 10).to_json(),
        "shape": list(SHAPE),
        "levels": LEVELS,
        "views": ["binary", "gray"],
        "classes": 10,
        "duplicates_across_splits": 0,
        "sha256": "d" * 64,
    }
    write_json(folder / "manifest.json", manifest)


def _run(
    root: Path,
    dataset: str,
    model: str,
    seed: int,
    settings: dict[str, Any],
    rng: np.random.Generator,
    failed: bool,
    n: int,
    points: int,
) -> None:
    folder = root / "runs" / dataset / model
    folder.mkdir(parents=True, exist_ok=True)
    info = {
        "dataset": dataset,
        "model": model,
        "seed": seed,
        "view": VIEWS[model],
        "domain": DOMAINS.get(model, "binary"),
        "status": "diverged" if failed else "completed",
        "reason": "loss is not a number at step 300" if failed else None,
        "settings": settings,
        "training": {"device": "cpu", "precision": "float32"},
        "fingerprint": sha256_json([settings, seed]),
        "data_sha256": "d" * 64,
        "code_sha256": "c" * 64,
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "parameters": 12345,
        "steps": 100 * points,
        "selected_step": 80 * points,
        "training_seconds": 21.5 + seed,
        "sampling_seconds": 0.4,
        "n_samples": n,
        "device": "cpu",
        "versions": {"torch": "2.15.0", "dgmbench": "0.1.0"},
    }
    write_json(folder / f"run-{seed}.json", info)
    _history(folder / f"history-{seed}.csv", model, rng, points)
    if not failed:
        levels = 2 if VIEWS[model] == "binary" else LEVELS
        np.save(folder / f"samples-{seed}.npy", images(rng, n, levels))


def _history(path: Path, model: str, rng: np.random.Generator, points: int) -> None:
    names = ["loss", "discriminator_loss"] if model == "gan" else ["loss", "kl"]
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["step", "epoch", "split", "name", "value"])
        for step in range(0, 100 * points, 100):
            for split in ("train", "valid"):
                for name in names:
                    noise = rng.normal(0, 0.3) + (0.4 if split == "valid" else 0)
                    value = 40 * math.exp(-step / 300) - LEVEL.get(model, 1.4) + noise
                    writer.writerow([step, step // 200, split, name, value])


def _records(
    dataset: str, model: str, view: str, seed: int, rng: np.random.Generator, failed: bool
) -> list[Record]:
    def record(metric: str, value: float, unit: str, kind: str, std_error: float | None = None) -> Record:
        n = (
            TEST
            if metric in ("elbo", "log_likelihood") or "_is_" in metric or "_parzen" in metric
            else ANNEALED
        )
        return Record(dataset, view, model, seed, metric, value, std_error, n, unit, kind, "test", 0.5, "cpu")

    if failed:
        flag = record("diverged", 1.0, "1", "exact")
        return [Record(**{**flag.__dict__, "split": "train", "n": 1})]
    records: list[Record] = []
    for metric, kind, offset in _likelihoods(model):
        nats = LEVEL.get(model, 40.0) + offset + rng.normal(0, 0.0 if model == "ppca" else 0.2)
        records.append(record(metric, nats, "nats", kind, 0.4))
        if view == "gray":
            bits = -(nats - 64 * math.log(LEVELS)) / (64 * math.log(2))
            bound = "lower_bound" if kind == "exact" and model == "ppca" else kind
            records.append(record(metric, bits, "bits_per_dim", bound, 0.01))
    records += [record(metric, value, unit, kind) for metric, value, unit, kind in _annealing(model, rng)]
    fid = {"ppca": 8.0, "vae_gray": 6.0, "gan": 2.5, "pixelcnn_gray": 2.4, "vae": 7.0, "pixelcnn": 3.0}[model]
    records += [
        record("fid_domain", fid + rng.normal(0, 0.1), "1", "estimate"),
        record("nn_distance_ratio", 0.97 + rng.normal(0, 0.01), "1", "estimate", 0.02),
        record("sampling_rate", 1e4 + 100 * rng.normal(), "images_per_second", "estimate"),
        record("training_seconds", 21.5 + seed, "seconds", "exact"),
        record("parameters", 12345.0, "1", "exact"),
    ]
    if "vae" in model or model == "ppca":
        records.append(record("probe_error_100", 20 + rng.normal(), "percent", "exact", 1.1))
    return records


def _points(folder: Path, seed: int, records: list[Record], rng: np.random.Generator) -> None:
    """Values of likelihoods by test image: what makes an image hard is the same for all models."""
    hard = np.random.default_rng(3).normal(0.0, 7.0, TEST)
    points = {}
    for record in records:
        if record.seed == seed and record.unit == "nats" and record.metric.startswith(("log_", "elbo")):
            values = hard[: record.n] + rng.normal(0.0, 0.5, record.n)
            points[record.metric, "nats"] = Points.of(record.value + values - values.mean())
    write_points(points_path(folder, seed), points, -1 / (64 * math.log(2)))


def _likelihoods(model: str) -> list[tuple[str, str, float]]:
    parzen = ("log_likelihood_parzen", "heuristic", -30.0)
    if model == "gan":
        return [parzen]
    if model.startswith("vae"):
        bounds = [("elbo", "lower_bound", -2.0), ("log_likelihood_is_50", "lower_bound", -0.5)]
        return [*bounds, ("log_likelihood_is_500", "lower_bound", 0.0), parzen]
    return [("log_likelihood", "exact", 0.0), parzen]


def _annealing(model: str, rng: np.random.Generator) -> list[tuple[str, float, str, str]]:
    """What annealing leaves, on the first test images; their log-likelihood lies 3 nats below the others'."""
    if model.startswith("pixelcnn"):
        return []
    nats = LEVEL.get(model, 45.0) - 3.0 + rng.normal(0, 0.2)
    found = [
        ("log_likelihood_ais", nats, "nats", "lower_bound"),
        ("bdmc_gap", 0.4 + rng.normal(0, 0.02), "nats", "estimate"),
        ("ais_acceptance", 0.65, "1", "estimate"),
    ]
    if model == "gan":
        found.append(("observation_variance", 0.02, "1", "estimate"))
    elif model == "ppca":
        found.append(("ais_error", -0.1, "nats", "estimate"))
    else:
        found.append(("ais_gain", 0.3 + rng.normal(0, 0.02), "nats", "estimate"))
    return found


class Planted(Control[ControlSettings]):
    """A control that finds what it is told to; its texts need escaping."""

    Settings = ControlSettings
    title = "Planted <copies> & noise"
    claim = "A metric is fooled by planted copies."
    source = "Nobody et al. 2016, section 3"


def plant(
    results: Path, dataset: str, name: str = "planted", outcome: Verdict = "supported", repetitions: int = 3
) -> Finding:
    """Write a control's files through the control stage's own writer; returns what was written."""
    rng = np.random.default_rng(11)
    records = [
        Record(dataset, "gray", f"control/{name}/{subject}", seed, metric, value + rng.normal(0, 0.1), 0.2,
               TEST, unit, "heuristic", "test", 0.1, "cpu")
        for seed in range(repetitions)
        for subject, metric, value, unit in (
            ("copies, m=100", "log_likelihood_parzen", 12.0, "nats"),
            ("truth", "log_likelihood_parzen", 9.0, "nats"),
            ("copies, m=100", "nn_distance_ratio", 0.5, "1"),
        )
    ]  # fmt: skip
    m = [100.0, 1000.0, 10000.0]
    growing = Panel(
        "Parzen over the number of samples", "samples m", "nats",
        [Curve("k-means centres", m, [10.0, 12.0, 12.5], [9.5, 11.8, 12.4], [10.5, 12.2, 12.6]),
         Curve("training images", m, [7.0, 9.0, 9.5])],
        levels={"true value": 14.25, "uniform": 0.0}, log_x=True,
    )  # fmt: skip
    ranking = Panel(
        "Two models, two rulers", "model", "nats",
        [Curve("exact", [0.0, 1.0], [14.25, -20.0]),
         Curve("Parzen", [0.0, 1.0], [9.0, 12.0], [8.8, 11.7], [9.2, 12.3])],
        x_names=["the truth", "narrow Gaussians at k-means centres"],
    )  # fmt: skip
    sheets = [
        Sheet("centres", images(rng, 100, LEVELS), LEVELS),
        Sheet("copies", images(rng, 9, LEVELS), LEVELS),
    ]
    sentence = "Copies score 12.0 nats, 3.0 above the truth."
    finding = Finding(outcome, sentence, records, [growing, ranking], sheets)
    write_finding(results / dataset / f"control-{name}", Planted(ControlSettings()), finding)
    return finding


def _neighbours(folder: Path, seed: int, view: str, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    levels = 2 if view == "binary" else LEVELS
    np.savez(
        folder / f"neighbours-{seed}.npz",
        samples=images(rng, 8, levels),
        neighbours=images(rng, 8, levels),
        distances=rng.uniform(0.8, 2.0, 8).astype(np.float32),
        generated_distances=rng.normal(1.5, 0.3, 200).astype(np.float32),
        heldout_distances=rng.normal(1.6, 0.3, 200).astype(np.float32),
    )


def _classifier(dataset: str) -> list[Record]:
    return [
        Record(dataset, view, "classifier", 0, "test_accuracy", 97.3, 0.9, 300, "percent", "exact", "test",
               0.1, "cpu")
        for view in ("binary", "gray")
    ]  # fmt: skip


def row(model: str, seed: int, metric: str, value: float, **other: Any) -> dict[str, Any]:
    """One line of a results table: 300 test images of the binary view, in nats, exact, unless told."""
    base = {"dataset": "d", "view": "binary", "std_error": 0.4, "n": TEST, "unit": "nats", "kind": "exact",
            "split": "test", "seconds": 0.1, "device": "cpu"}  # fmt: skip
    return base | {"model": model, "seed": seed, "metric": metric, "value": value} | other


def frame_of(*rows: dict[str, Any]) -> pd.DataFrame:
    """A results table of such lines."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def read_json(path: Path) -> Any:
    """Parsed JSON, for tests that look into what was written."""
    return json.loads(path.read_text(encoding="utf-8"))
