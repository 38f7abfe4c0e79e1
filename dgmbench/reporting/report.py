"""Everything under `reports/<pipeline>/`, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dgmbench.claims.lecture import cards
from dgmbench.files import replacing
from dgmbench.reporting import markdown
from dgmbench.reporting.answer.answer import answers
from dgmbench.reporting.answer.markdown import write_answers
from dgmbench.reporting.claims import write_cards
from dgmbench.reporting.comparison.by_labels import by_labels
from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.comparison.table import Table, write_tables
from dgmbench.reporting.figures.draw import draw_all
from dgmbench.reporting.figures.learning_curves import write_curves
from dgmbench.reporting.findings import ControlFinding, load_findings, to_markdown
from dgmbench.reporting.headlines import headlines, write_bars, write_metrics
from dgmbench.reporting.page.content import Content
from dgmbench.reporting.page.html import write_page
from dgmbench.reporting.records import RunPoints, load_left_out, load_points, merge_results
from dgmbench.reporting.relations.markdown import write_relations
from dgmbench.reporting.relations.relations import relations
from dgmbench.reporting.run_files import Run, load_manifests, load_runs
from dgmbench.reporting.sentences import sampled_sentences, write_sentences
from dgmbench.results import COLUMNS

_OWNED = ("tables", "figures", "curves", "metrics")


def write_report(
    params: Mapping[str, Any], runs_root: Path, results_root: Path, data_root: Path, out_dir: Path
) -> pd.DataFrame:
    """Write results.csv, headlines.csv, index.html and four folders (`_OWNED`); returns the records.

    `params` is the composed settings as a plain mapping. Files of an earlier report that this one no longer
    has (a model taken out) are removed from the four folders. Raises `CheckpointError` or `DataError` when
    results or manifests are missing, before anything is written.
    """
    datasets, models, seeds = params["datasets"], list(params["models"]), params["seeds"]
    named = list(params.get("controls") or {})
    frame = merge_results(results_root, datasets, models, seeds, named)
    findings = load_findings(results_root, datasets, named)
    runs = load_runs(runs_root, datasets, models, seeds)
    manifests = load_manifests(data_root, datasets)
    points = load_points(results_root, frame)
    compared = comparisons(frame, models, manifests, params.get("orders") or (), points)
    out = Path(out_dir)
    compared = [*_by_labels(frame, manifests, points, runs), *compared]
    written = write_tables(compared, out / "tables")
    written += _write_findings(findings, out / "tables")
    claims = cards(compared, frame, findings, _families(params))
    written += write_cards(claims, out / "tables")
    found = answers(compared, frame, _families(params))
    written += write_answers(found, out / "tables")
    related = relations(compared, frame, _families(params))
    written += write_relations(related, out / "tables")
    sentences = sampled_sentences(runs, manifests, data_root)
    written += write_sentences(sentences, out / "tables")
    drawn = draw_all(frame, runs, manifests, results_root, data_root, out / "figures", compared, findings)
    written += [picture.path for picture in drawn] + write_curves(runs, out / "curves")
    written += _write_headlines(frame, out)
    _remove_others(out, written)
    _write_results(frame, out / "results.csv")
    left_out = load_left_out(results_root, datasets, models)
    content = Content(
        *(params, frame, compared, runs, manifests, drawn),
        findings=findings,
        left_out=left_out,
        sentences=sentences,
        cards=claims,
        answers=found,
        relations=related,
    )
    write_page(out / "index.html", content)
    return frame


def _families(params: Mapping[str, Any]) -> dict[str, str]:
    """The family of each entry, in the order of the settings; an entry without one is its own."""
    return {name: str(own.get("family") or name) for name, own in params["models"].items()}


def _by_labels(
    frame: pd.DataFrame,
    manifests: Mapping[str, Mapping[str, Any]],
    points: RunPoints,
    runs: Sequence[Run],
) -> list[Table]:
    tables = (by_labels(frame, dataset, manifest, points, runs) for dataset, manifest in manifests.items())
    return [table for table in tables if table is not None]


def _write_findings(findings: Sequence[ControlFinding], folder: Path) -> list[Path]:
    """`<data set>-controls.md` for each data set with controls."""
    return markdown.write_pages(findings, "controls", to_markdown, folder)


def _write_headlines(frame: pd.DataFrame, out: Path) -> list[Path]:
    """metrics/ and headlines.csv; returns the files of the folder."""
    found = list(headlines(frame))
    write_bars(found, out / "headlines.csv")
    return write_metrics(found, out / "metrics")


def _write_results(frame: pd.DataFrame, path: Path) -> None:
    """The merged records; floats in full, so that reading them back loses nothing."""
    with replacing(path) as aside:
        frame[list(COLUMNS)].to_csv(aside, index=False, lineterminator="\n")


def _remove_others(out: Path, written: list[Path]) -> None:
    keep = set(written)
    for name in _OWNED:
        for path in (out / name).rglob("*.*"):
            if path.is_file() and path not in keep:
                path.unlink()
