"""A whole report with errors by labels: what its runs were given reaches the table's notes and the page."""

from __future__ import annotations

import json
from pathlib import Path

from fabricate import fabricate

from dgmbench.files import write_json
from dgmbench.reporting.report import write_report
from dgmbench.results import Record, read_records, write_records


def test_settings_of_runs_and_failed_seeds_are_told(tmp_path: Path) -> None:
    settings = fabricate(tmp_path, seeds=(0, 1), diverged=(("gan", 0), ("gan", 1)))
    settings["models"] = {name: settings["models"][name] for name in ("vae", "gan")}
    given = {"vae": {"labels": 100, "valid_labels": 70}, "gan": {"labels": 20, "valid_labels": None}}
    for model, labels in given.items():
        for path in (tmp_path / "runs" / "digits" / model).glob("run-*.json"):
            info = json.loads(path.read_text(encoding="utf-8"))
            write_json(path, info | {"settings": info["settings"] | labels})
    path = tmp_path / "results" / "digits" / "vae" / "results.csv"
    own = [Record(**row) for row in read_records(path).to_dict("records")]
    own += [Record("digits", "binary", "vae", seed, "ssl_error_100", 5.0 + seed, 0.1, 300, "percent", "exact",
                   "test", 0.0, "cpu") for seed in (0, 1)]  # fmt: skip
    write_records(path, own)
    write_report(settings, tmp_path / "runs", tmp_path / "results", tmp_path / "data", tmp_path / "out")
    text = (tmp_path / "out" / "tables" / "digits-labels.md").read_text(encoding="utf-8")
    assert "Labelled validation images: 70 (vae), all 297 (gan)" in text
    assert "| gan (2 of 2 seeds diverged) | – |" in text
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert (
        "Labelled validation images: 70 (vae), all 297 (gan)" in page and "over label sets, train" not in page
    )
