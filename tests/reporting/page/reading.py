"""Pages written from invented results, and a reader of them, for all tests of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from fabricate import fabricate

from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.findings import load_findings
from dgmbench.reporting.page.content import Content
from dgmbench.reporting.page.html import render
from dgmbench.reporting.records import merge_results
from dgmbench.reporting.report import write_report
from dgmbench.reporting.run_files import load_manifests, load_runs


class Page(HTMLParser):
    """Collects tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data


def write(root: Path, settings: dict[str, Any]) -> Path:
    """The report of results under `root`, in the folder that is returned."""
    out = root / "reports" / "digits"
    write_report(settings, root / "runs", root / "results", root / "data", out)
    return out


def whole_page(root: Path, **how: Any) -> Page:
    """The page of invented results of all models; `how` as for `fabricate`."""
    return Page((write(root, fabricate(root, **how)) / "index.html").read_text(encoding="utf-8"))


def bare(root: Path, settings: dict[str, Any], pictures: Sequence[Picture] = ()) -> Page:
    """The page with these pictures alone: drawing all takes most of the time."""
    names = ["digits"], list(settings["models"]), settings["seeds"], list(settings["controls"])
    frame = merge_results(root / "results", *names)
    manifests = load_manifests(root / "data", names[0])
    runs = load_runs(root / "runs", *names[:3])
    findings = load_findings(root / "results", names[0], names[3])
    return Page(render(Content(settings, frame, comparisons(frame), runs, manifests, pictures, findings)))
