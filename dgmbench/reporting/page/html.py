"""The report: one self-contained HTML page that loads nothing from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dgmbench import __version__
from dgmbench.files import sha256_json, write_text
from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.comparison.cells import summarised
from dgmbench.reporting.comparison.tables import LEGEND, Table
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.records import CLASSIFIER, headline_records
from dgmbench.reporting.run_files import Run

TEMPLATE = "report.html.j2"
_ROLES = (
    "likelihoods",
    "convergence",
    "quality",
    "classes",
    "samples",
    "neighbours",
    "spectra",
    "completions",
    "latents",
    "curves",
)
_HASHES = ("fingerprint", "settings", "data", "code", "commit")
_DIRTY = "-dirty"
_SPLITS = "train valid test"
_LEFT = ("data set", "view", "status", "device", *_HASHES)


def render(
    params: Mapping[str, Any],
    frame: pd.DataFrame,
    tables: Sequence[Table],
    runs: Sequence[Run],
    manifests: Mapping[str, Mapping[str, Any]],
    pictures: Sequence[Picture],
    findings: Sequence[ControlFinding] = (),
    left_out: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page as text. Everything that comes from files is escaped by the template engine."""
    provenance = [_provenance(run) for run in runs]
    return _template().render(
        pipeline=params["pipeline"],
        models=list(params["models"]),
        seeds=list(params["seeds"]),
        datasets=[_dataset(name, m, frame, tables, pictures, findings) for name, m in manifests.items()],
        facts=_facts(params, runs),
        warnings=[*warnings(params, runs, manifests), *not_measured(left_out)],
        settings=yaml.safe_dump(_plain(params), sort_keys=False, allow_unicode=True),
        runs=provenance,
        run_columns=list(provenance[0]) if provenance else [],
        left_columns=_LEFT,
        hash_columns=_HASHES,
        version=__version__,
        legend=LEGEND,
    )


def write_report(path: Path, *args: Any, **kwargs: Any) -> None:
    """`render(...)` into a file, whole or not at all."""
    write_text(path, render(*args, **kwargs))


def _template() -> Any:
    import jinja2

    source = Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


def warnings(
    params: Mapping[str, Any], runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What a reader must know before trusting the tables, as sentences."""
    said = [
        f"{run.model} seed {run.seed} on {run.dataset} {run.info['status']}: "
        f"{run.info.get('reason') or 'no reason'}."
        for run in runs
        if run.failed
    ]
    said += _missing(params, runs)
    if len(params["seeds"]) < 2:
        said.append("One seed per model: no interval tells retraining noise from a difference.")
    for name, what in (("device", "devices"), ("commit", "commits")):
        values = {str(run.info.get(name)) for run in runs}
        if len(values) > 1:
            said.append(f"The runs come from different {what}: {', '.join(sorted(values))}.")
    if runs and all(run.info.get("commit") is None for run in runs):
        said.append("The commit of the runs is not known (trained outside a git checkout).")
    if any(str(run.info.get("commit")).endswith(_DIRTY) for run in runs):
        said.append(
            "Some runs were trained with uncommitted changes: their commit does not hold all the code."
        )
    said += _data_warnings(runs, manifests)
    return said


def not_measured(left_out: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each metric that could not be measured, with the models and seeds, and why."""
    seeds: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for each in left_out:
        models = seeds.setdefault((each["dataset"], each["metric"], each["reason"]), {})
        models.setdefault(each["model"], []).append(str(each["seed"]))
    return [
        f"{metric} on {dataset} left out for "
        + ", ".join(f"{model} (seed {', '.join(own)})" for model, own in models.items())
        + f": {reason.rstrip('.')}."
        for (dataset, metric, reason), models in seeds.items()
    ]


def _missing(params: Mapping[str, Any], runs: Sequence[Run]) -> list[str]:
    there = {(run.dataset, run.model, run.seed) for run in runs}
    wanted = [(d, m, s) for d in params["datasets"] for m in params["models"] for s in params["seeds"]]
    absent = [f"{model} seed {seed} on {dataset}" for dataset, model, seed in wanted
              if (dataset, model, seed) not in there]  # fmt: skip
    return [f"Runs are missing: {', '.join(absent)}."] if absent else []


def _data_warnings(runs: Sequence[Run], manifests: Mapping[str, Mapping[str, Any]]) -> list[str]:
    said = []
    for name, manifest in manifests.items():
        stale = [r for r in runs if r.dataset == name and r.info.get("data_sha256") != manifest["sha256"]]
        if stale:
            which = ", ".join(f"{run.model} seed {run.seed}" for run in stale)
            said.append(f"Trained on other {name} data than is now in data/: {which}.")
        if manifest.get("duplicates_across_splits"):
            count = manifest["duplicates_across_splits"]
            said.append(f"{count} images of {name} occur in more than one split.")
    return said


def _facts(params: Mapping[str, Any], runs: Sequence[Run]) -> list[tuple[str, str]]:
    seconds = sum(float(run.info.get("training_seconds") or 0) for run in runs)
    versions = {f"{name} {v}" for run in runs for name, v in run.info.get("versions", {}).items()}
    commits = {_short(str(run.info["commit"])) for run in runs if run.info.get("commit")}
    facts = [
        ("Pipeline", str(params["pipeline"])),
        ("Data sets", ", ".join(params["datasets"])),
        ("Models", ", ".join(params["models"])),
        ("Controls", ", ".join(params.get("controls") or {})),
        ("Seeds", ", ".join(str(seed) for seed in params["seeds"])),
        ("Device", _joined(run.info.get("device") for run in runs)),
        ("Versions", ", ".join(sorted(versions)) or "unknown"),
        ("Commit", ", ".join(sorted(commits)) or "unknown"),
        ("Training time", f"{duration(seconds)} over {len(runs)} runs"),
    ]
    return [(name, value) for name, value in facts if value]


def _dataset(
    name: str,
    manifest: Mapping[str, Any],
    frame: pd.DataFrame,
    tables: Sequence[Table],
    pictures: Sequence[Picture],
    findings: Sequence[ControlFinding],
) -> dict[str, Any]:
    own = [finding for finding in findings if finding.dataset == name]
    return {
        "name": name,
        "title": manifest.get("title") or name,
        "facts": _data_facts(manifest),
        "views": [_section(table, frame, pictures) for table in tables if table.dataset == name],
        "controls": [_control(finding, frame, pictures) for finding in own],
    }


def _data_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    channels, height, width = manifest["shape"]
    source = ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in manifest["source"].items())
    sizes = sorted(manifest["splits"].items(), key=lambda item: _SPLITS.find(item[0]))
    splits = ", ".join(f"{split} {n:,}" for split, n in sizes)
    facts = [
        ("Images", f"{channels} × {height} × {width} pixels, {manifest['levels']} levels"),
        ("Splits", f"{splits} (split seed {manifest['split_seed']})"),
        ("Source", source),
        ("Licence", str(manifest.get("licence") or "unknown")),
        ("Homepage", str(manifest.get("homepage") or "")),
        ("Hash", f"sha256 {manifest['sha256']}"),
    ]
    return [(name, value) for name, value in facts if value]


def _section(table: Table, frame: pd.DataFrame, pictures: Sequence[Picture]) -> dict[str, Any]:
    own = [p for p in pictures if (p.dataset, p.view) == (table.dataset, table.view)]
    by_role = {role: [_embedded(p) for p in own if p.role == role] for role in _ROLES}
    glossary = [(c.heading, declared(c.metric).text) for c in table.columns]
    return {
        "table": table,
        "notes": _classifier_notes(table, frame),
        "glossary": [(name, text) for name, text in glossary if text],
        **by_role,
    }


def _control(finding: ControlFinding, frame: pd.DataFrame, pictures: Sequence[Picture]) -> dict[str, Any]:
    own = [p for p in pictures if (p.dataset, p.model) == (finding.dataset, finding.control)]
    return {
        "finding": finding,
        "charts": [_embedded(p) for p in own if p.role == "control"],
        "images": [_embedded(p) for p in own if p.role == "control images"],
        "numbers": _control_numbers(finding, frame),
    }


def _control_numbers(finding: ControlFinding, frame: pd.DataFrame) -> list[dict[str, str]]:
    """The records behind a finding: one line per subject and metric, repetitions averaged."""
    own = frame[(frame["dataset"] == finding.dataset) & frame["model"].str.startswith(finding.prefix)]
    own = headline_records(own)
    lines = []
    for (model, metric, unit), records in own.groupby(["model", "metric", "unit"], sort=False):
        cell = summarised(records)
        name, unit_words = declared(str(metric)).label, UNITS[str(unit)]
        lines.append(
            {
                "subject": str(model).removeprefix(finding.prefix),
                "metric": f"{name} ({unit_words})" if unit_words else name,
                "value": cell.text,
                "kind": cell.kind.replace("_", " "),
                "repetitions": str(cell.n),
                "items": f"{cell.images:,}",
            }
        )
    return lines


def _classifier_notes(table: Table, frame: pd.DataFrame) -> list[str]:
    """How good the features behind the domain FID are."""
    if not any(column.metric == "fid_domain" for column in table.columns):
        return []
    own = frame[(frame["model"] == CLASSIFIER) & (frame["metric"] == "test_accuracy")]
    own = own[(own["dataset"] == table.dataset) & (own["view"] == table.view)]
    return [
        f"FID (domain) uses features of a classifier with {value:.1f} % test accuracy."
        for value in own["value"]
    ]


def _embedded(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    return {
        "uri": f"data:image/png;base64,{data}",
        "alt": picture.alt,
        "title": picture.title,
        "model": picture.model,
    }


def _provenance(run: Run) -> dict[str, str]:
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


def _short(commit: str) -> str:
    """Twelve digits of a commit, and whether there were changes on top of it."""
    dirty = " with uncommitted changes" if commit.endswith(_DIRTY) else ""
    return commit.removesuffix(_DIRTY)[:12] + dirty


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(sorted({str(value) for value in values if value})) or "unknown"


def _plain(value: Any) -> Any:
    """Mappings and sequences of whatever type as dicts and lists, which YAML can write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
