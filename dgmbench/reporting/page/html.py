"""The report: one self-contained HTML page that loads nothing from elsewhere.

Its parts, from the top: the answer, the lecture's claims, pictures, how the metrics relate, all tables,
controls, and where the numbers come from. Each has a template beside this file.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dgmbench import __version__
from dgmbench.claims.evidence import VIEWS
from dgmbench.files import write_text
from dgmbench.reporting.comparison.table import LABELS, LEGEND, Table
from dgmbench.reporting.page.answers import answer_view
from dgmbench.reporting.page.cards import card_view, verdicts
from dgmbench.reporting.page.content import Content
from dgmbench.reporting.page.controls import control_view
from dgmbench.reporting.page.facts import command, data_facts, pipeline_facts
from dgmbench.reporting.page.images import groups
from dgmbench.reporting.page.places import Places
from dgmbench.reporting.page.relations import relations_grid
from dgmbench.reporting.page.sources import runs_grid
from dgmbench.reporting.page.topics import Runs, glossary, topic_grids
from dgmbench.reporting.page.warnings import not_measured, warnings
from dgmbench.reporting.relations.relations import NOTE
from dgmbench.reporting.words import of_examples

FOLDER = Path(__file__).parent
BASE, STYLE, SCRIPT = "base.html.j2", "page.css", "tables.js"


def render(content: Content) -> str:
    """The page as text. Everything that comes from files is escaped by the template engine."""
    params, runs = content.params, list(content.runs)
    script = (FOLDER / SCRIPT).read_text(encoding="utf-8")
    datasets = [_dataset(name, content) for name in content.manifests]
    return _template().render(
        pipeline=params["pipeline"],
        datasets=datasets,
        has_relations=any(v["relations"] or v["correlations"] for d in datasets for v in d["views"]),
        note_on_relations=NOTE,
        has_pictures=any(d["sentences"] or any(v["pictures"] for v in d["views"]) for d in datasets),
        command=command(params, runs),
        facts=pipeline_facts(params, runs),
        warnings=[*warnings(params, runs, content.manifests), *not_measured(content.left_out)],
        settings=yaml.safe_dump(_plain(params), sort_keys=False, allow_unicode=True),
        runs=runs_grid(runs),
        version=__version__,
        legend=LEGEND,
        style=(FOLDER / STYLE).read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def write_page(path: Path, content: Content) -> None:
    """`render(content)` into a file, whole or not at all."""
    write_text(path, render(content))


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["of_examples"] = of_examples
    environment.tests["finite"] = lambda value: value is not None and math.isfinite(value)
    return environment.get_template(BASE)


def _dataset(name: str, content: Content) -> dict[str, Any]:
    manifest, tables = content.manifests[name], in_order([t for t in content.tables if t.dataset == name])
    places = Places.of(tables)
    return {
        "name": name,
        "title": manifest.get("title") or name,
        "facts": data_facts(manifest),
        "views": [_view(table, content) for table in tables],
        "cards": [
            card_view(card, content.pictures, places) for card in content.cards if card.dataset == name
        ],
        "verdicts": verdicts([card for card in content.cards if card.dataset == name]),
        "controls": [
            control_view(finding, content.frame, content.pictures)
            for finding in content.findings
            if finding.dataset == name
        ],
        "answers": [
            answer_view(answer, content.pictures, Runs(list(content.runs)))
            for answer in content.answers
            if answer.dataset == name
        ],
        "sentences": content.sentences.get(name, []),
    }


def in_order(tables: Sequence[Table]) -> list[Table]:
    """The view where every family meets first; errors by labels, which are of all views, last."""
    order = [*VIEWS, LABELS]
    return sorted(tables, key=lambda table: order.index(table.view) if table.view in order else len(order))


def _view(table: Table, content: Content) -> dict[str, Any]:
    """A view's tables, and its figures by part of the page."""
    name, view = table.dataset, table.view
    own = [p for p in content.pictures if (p.dataset, p.view) == (name, view)]
    return {
        "table": table,
        "sections": topic_grids(table, Runs(list(content.runs))),
        "glossary": glossary(table),
        "pictures": groups(own, "pictures", name, view),
        "relations": groups(own, "relations", name, view),
        "correlations": [
            relations_grid(each) for each in content.relations if (each.dataset, each.view) == (name, view)
        ],
        "figures": groups(own, "tables", name, view),
    }


def _plain(value: Any) -> Any:
    """Mappings and sequences of whatever type as dicts and lists, which YAML can write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
