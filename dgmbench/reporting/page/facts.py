"""Facts of the report: of the pipeline, its data sets and its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dgmbench.data.schema import ImageTarget, Schema
from dgmbench.files import sha256_json
from dgmbench.reporting.run_files import Run

# Ends a commit that there were changes on top of.
DIRTY = "-dirty"
_SPLITS = "train valid test"


def pipeline_facts(params: Mapping[str, Any], runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Name and value of what all runs share or add up to."""
    seconds = sum(float(run.info.get("training_seconds") or 0) for run in runs)
    versions = {f"{name} {v}" for run in runs for name, v in run.info.get("versions", {}).items()}
    commits = {_short(str(run.info["commit"])) for run in runs if run.info.get("commit")}
    facts = [
        ("Pipeline", str(params["pipeline"])),
        ("Data sets", ", ".join(params["datasets"])),
        ("Models", ", ".join(params["models"])),
        ("Controls", ", ".join(params.get("controls") or {})),
        ("Seeds", ", ".join(str(seed) for seed in params["seeds"])),
        ("Other seeds", _other_seeds(params)),
        ("Device", _joined(run.info.get("device") for run in runs)),
        ("Machine", _joined(run.info.get("machine") for run in runs)),
        ("Processes", _processes(params)),
        ("Versions", ", ".join(sorted(versions)) or "unknown"),
        ("Commit", ", ".join(sorted(commits)) or "unknown"),
        ("Training time", f"{duration(seconds)} over {len(runs)} runs"),
    ]
    return [(name, value) for name, value in facts if value]


def command(params: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """What to type to have the page made again: at the commit of the runs, if they share one."""
    commits = {str(run.info.get("commit") or "") for run in runs}
    clean = len(commits) == 1 and not any(commit.endswith(DIRTY) for commit in commits)
    at = f"git checkout {commit}\n" if clean and (commit := commits.pop()) else ""
    return f"{at}make benchmark PIPELINE={params['pipeline']}"


def data_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what a manifest says of a data set."""
    source = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in manifest["source"].items())
    sizes = sorted(manifest["splits"].items(), key=lambda item: _SPLITS.find(item[0]))
    splits = ", ".join(f"{split} {n:,}" for split, n in sizes)
    facts = [
        _examples(manifest),
        ("Splits", f"{splits} (split seed {manifest['split_seed']})"),
        ("Source", source),
        ("Licence", str(manifest.get("licence") or "unknown")),
        ("Homepage", str(manifest.get("homepage") or "")),
        ("Hash", f"sha256 {manifest['sha256']}"),
    ]
    return [(name, value) for name, value in facts if value]


def _examples(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """What the data set consists of."""
    target = Schema.from_json(manifest["schema"]).target
    if isinstance(target, ImageTarget):
        channels, height, width = target.shape
        return "Images", f"{channels} × {height} × {width} pixels, {target.levels} levels"
    shares = ", ".join(f"{split} {share:.1%}" for split, share in manifest["unknown_share"].items())
    return "Sentences", (
        f"at most {target.length - 1} tokens and an end, {target.vocabulary:,} tokens in the vocabulary; "
        f"words outside of it: {shares}"
    )


def provenance(run: Run) -> dict[str, str]:
    """What a run can be repeated by: its settings, data and code."""
    info = run.info
    return {
        "model": run.model,
        "data set": run.dataset,
        "view": run.view,
        "seed": str(run.seed),
        "status": str(info.get("status")),
        "training": f"{float(info.get('training_seconds') or 0):,.1f} s",
        "steps": f"{int(info.get('steps') or 0):,}",
        "device": str(info.get("device")),
        "fingerprint": str(info.get("fingerprint")),
        "settings": sha256_json([info.get("settings"), info.get("training")]),
        "data": str(info.get("data_sha256")),
        "code": str(info.get("code_sha256")),
        "commit": str(info.get("commit") or "–"),
    }


def duration(seconds: float) -> str:
    """`1 h 02 min`, `3 min 20 s` or `12 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def _other_seeds(params: Mapping[str, Any]) -> str:
    """Of the split, of what evaluations draw, and of the classifier behind the domain scores."""
    parts = [(name, params.get(name) or {}) for name in ("data", "evaluation", "classifier")]
    return ", ".join(f"{name} {own['seed']}" for name, own in parts if "seed" in own)


def _processes(params: Mapping[str, Any]) -> str:
    """How many trainings shared the machine, which timings depend on."""
    training = params.get("training") or {}
    if not training.get("processes"):
        return ""
    threads = training.get("threads") or "all"
    return f"{training['processes']} trainings at once, threads of each: {threads}"


def _short(commit: str) -> str:
    """Twelve digits of a commit, and whether there were changes on top of it."""
    dirty = " with uncommitted changes" if commit.endswith(DIRTY) else ""
    return commit.removesuffix(DIRTY)[:12] + dirty


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values if value})) or "unknown"
