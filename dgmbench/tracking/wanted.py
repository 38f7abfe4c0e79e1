"""Runs as they should stand in a store: of a seed, of a model entry (its parent), of a pipeline's report."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgmbench.files import sha256_file, sha256_json, write_json
from dgmbench.reporting.figures import neighbours, pictures
from dgmbench.reporting.run_files import Run, levels_of, load_neighbours
from dgmbench.tracking.entries import ModelEntry, SeedEntry, flatten
from dgmbench.tracking.names import final_metrics, mean_metrics

# What the run of a pipeline shows of its report; whichever are there.
_REPORT = ("index.html", "results.csv", "headlines.csv", "tables", "figures", "metrics")


@dataclass(frozen=True)
class Wanted:
    """One run.

    Args:
        key: what it is of, in the tag `dgmbench.run`.
        name: for readers.
        dataset: whose experiment it is in.
        identity: tags that a stored run must have to be this one.
        tags: further ones, `pipeline` among them.
        content: hash of all that is logged; the tag is set last.
        end, seconds: when it ended (since 1970), and how long it took.
        run: whose learning curves are logged, or None.
        files: writes its artifacts into a folder.
        manifest: of the data set, which is logged as its input.
        parent: key of the run that it is a child of; empty for none.
        trained: the run whose model is logged, or None.
    """

    key: str
    name: str
    dataset: str
    identity: Mapping[str, str]
    tags: Mapping[str, str]
    content: str
    end: float
    seconds: float
    files: Callable[[Path], None]
    manifest: Mapping[str, Any] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    run: Run | None = None
    failed: bool = False
    parent: str = ""
    trained: Run | None = None

    @property
    def pipeline(self) -> str:
        """Whose run it is."""
        return self.tags["pipeline"]

    @property
    def all_tags(self) -> dict[str, str]:
        """What identifies it, and what a reader filters by."""
        fixed = {"mlflow.source.name": "dvc repro", "mlflow.source.type": "PROJECT"}
        own = {"dgmbench.run": self.key, "dgmbench.superseded": "false"}
        return {**fixed, **own, **self.tags, **self.identity}


def of_seed(entry: ModelEntry, seed: SeedEntry) -> Wanted:
    """The run of one seed, a child of its entry's."""
    run, info = seed.run, seed.run.info
    return Wanted(
        key=seed.key,
        name=f"{run.model} seed {run.seed}",
        dataset=run.dataset,
        identity={
            "dgmbench.fingerprint": str(info.get("fingerprint")),
            "dgmbench.history": seed.history_hash,
        },
        tags=_tags(entry, [run]) | {"level": "seed", "seed": str(run.seed)} | _failure(run),
        content=seed.content_hash,
        end=seed.ended,
        seconds=seed.seconds,
        files=lambda folder: _write_files(seed, entry.manifest, folder),
        manifest=entry.manifest,
        metrics=final_metrics(seed.results),
        params=_params(run),
        run=run,
        failed=run.failed,
        parent=entry.key,
        trained=run if seed is entry.first else None,
    )


def of_entry(entry: ModelEntry) -> Wanted:
    """The run of a model entry: means over its seeds, with half of each 95 % interval.

    Settings are those of its first seed: all seeds have the same.
    """
    runs = [seed.run for seed in entry.seeds]
    trainings = [[s.run.seed, s.run.info.get("fingerprint"), s.history_hash] for s in entry.seeds]
    counts = {"level": "model", "seeds": ", ".join(str(seed.run.seed) for seed in entry.seeds)}
    return Wanted(
        key=entry.key,
        name=entry.model,
        dataset=entry.dataset,
        identity={"dgmbench.trainings": sha256_json(trainings)},
        tags=_tags(entry, runs) | counts | _failures(runs),
        content=sha256_json([seed.content_hash for seed in entry.seeds]),
        end=max(seed.ended for seed in entry.seeds),
        seconds=sum(seed.seconds for seed in entry.seeds),
        files=lambda folder: None,
        manifest=entry.manifest,
        metrics=mean_metrics(entry.results, entry.points),
        params=_params(runs[0]),
        failed=entry.first is None,
    )


def of_report(pipeline: str, dataset: str, reports_dir: Path) -> Wanted | None:
    """The run that shows a pipeline's report; None where there is none. A new report is a new run."""
    paths = [path for name in _REPORT if (path := reports_dir / name).exists()]
    files = sorted(
        f for path in paths for f in ([path] if path.is_file() else path.rglob("*.*")) if f.is_file()
    )
    if not files:
        return None
    content = sha256_json([[str(f.relative_to(reports_dir)), sha256_file(f)] for f in files])
    tags = {"pipeline": pipeline, "level": "report"}
    return Wanted(
        key=f"report/{pipeline}",
        name=f"report of {pipeline}",
        dataset=dataset,
        identity={"dgmbench.report": content},
        tags=tags | {"mlflow.note.content": "The report: open `index.html` under Artifacts."},
        content=content,
        end=max(f.stat().st_mtime for f in files),
        seconds=0.0,
        files=lambda folder: _copy(files, reports_dir, folder),
    )


def _tags(entry: ModelEntry, runs: Sequence[Run]) -> dict[str, str]:
    """What runs are of and were made with; where they differ, each value."""
    infos = [run.info for run in runs]
    found = {
        name: _each(info.get(name) for info in infos) for name in ("device", "data_sha256", "code_sha256")
    }
    found |= {
        "status": _statuses(infos),
        "pipeline": entry.pipeline,
        "model": entry.model,
        "view": runs[0].view,
    }
    versions = [info.get("versions", {}) for info in infos]
    for name in dict.fromkeys(name for own in versions for name in own):
        found[f"version.{name}"] = _each(own.get(name) for own in versions)
    commit = _each(info.get("commit") or "" for info in infos)
    source = {} if ", " in commit else {"mlflow.source.git.commit": commit}
    return found | ({"commit": commit} | source if commit else {})


def _each(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


def _statuses(infos: Sequence[Mapping[str, Any]]) -> str:
    """The status of all; where they differ, how many have which: `2 completed, 1 diverged`."""
    counted = Counter(str(info.get("status")) for info in infos)
    return next(iter(counted)) if len(counted) == 1 else ", ".join(f"{n} {s}" for s, n in counted.items())


def _failure(run: Run) -> dict[str, str]:
    reason = run.info.get("reason")
    return {"mlflow.note.content": f"{str(run.info['status']).capitalize()}: {reason}"} if reason else {}


def _failures(runs: Sequence[Run]) -> dict[str, str]:
    """Which seeds failed, and why."""
    failed = [run for run in runs if run.failed]
    lines = [
        f"- Seed {run.seed} {run.info['status']}: {run.info.get('reason') or 'no reason'}" for run in failed
    ]
    said = f"{len(failed)} of {len(runs)} seeds failed:\n\n" + "\n".join(lines)
    return {"mlflow.note.content": said} if failed else {}


def _params(run: Run) -> dict[str, str]:
    settings = flatten(run.info.get("settings", {}))
    return settings | flatten(run.info.get("training", {}), "training.")


def _write_files(seed: SeedEntry, manifest: Mapping[str, Any], folder: Path) -> None:
    run = seed.run
    write_json(folder / "run.json", run.info)
    # Sentences are read in the report, which has their vocabulary.
    if run.view == "tokens":
        return
    levels, samples = levels_of(manifest, run.view), run.samples()
    if samples is not None and len(samples):
        pictures.write_png(pictures.sample_sheet(samples, levels), folder / "samples.png")
    content = load_neighbours(seed.results_root, run)
    if content is not None and len(content["samples"]):
        neighbours.neighbour_figure(run, content, levels, folder / "nearest_neighbours.png")


def _copy(files: Sequence[Path], root: Path, folder: Path) -> None:
    for file in files:
        target = folder / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
