"""The report: one self-contained HTML page that loads nothing from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dgmbench import __version__
from dgmbench.files import write_text
from dgmbench.metrics import UNITS, declared
from dgmbench.reporting.comparison.cells import summarised
from dgmbench.reporting.comparison.table import LEGEND, Table
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.page.facts import data_facts, pipeline_facts, provenance
from dgmbench.reporting.page.warnings import not_measured, warnings
from dgmbench.reporting.records import CLASSIFIER, headline_records
from dgmbench.reporting.run_files import Run
from dgmbench.reporting.sentences import Sentences
from dgmbench.reporting.words import of_examples

TEMPLATE = "report.html.j2"
_ROLES = (
    "labels",
    "likelihoods",
    "convergence",
    "quality",
    "classes",
    "samples",
    "neighbours",
    "spectra",
    "conditional",
    "completions",
    "latents",
    "curves",
)
_HASHES = ("fingerprint", "settings", "data", "code", "commit")
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
    sentences: Mapping[str, Sequence[Sentences]] | None = None,
) -> str:
    """The page as text. Everything that comes from files is escaped by the template engine."""
    sources = [provenance(run) for run in runs]
    return _template().render(
        pipeline=params["pipeline"],
        models=list(params["models"]),
        seeds=list(params["seeds"]),
        datasets=[
            _dataset(name, manifest, frame, tables, pictures, findings)
            | {"sentences": (sentences or {}).get(name, [])}
            for name, manifest in manifests.items()
        ],
        facts=pipeline_facts(params, runs),
        warnings=[*warnings(params, runs, manifests), *not_measured(left_out)],
        settings=yaml.safe_dump(_plain(params), sort_keys=False, allow_unicode=True),
        runs=sources,
        run_columns=list(sources[0]) if sources else [],
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
    environment.filters["of_examples"] = of_examples
    return environment.from_string(source)


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
        "facts": data_facts(manifest),
        "views": [_section(table, frame, pictures) for table in tables if table.dataset == name],
        "controls": [_control(finding, frame, pictures) for finding in own],
    }


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


def _plain(value: Any) -> Any:
    """Mappings and sequences of whatever type as dicts and lists, which YAML can write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
