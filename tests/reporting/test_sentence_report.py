"""The report of a data set of sentences: its table, its sampled sentences, no pictures of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.files import write_json
from dgmbench.reporting.report import write_report
from dgmbench.results import Record, write_records

WORDS = ["<pad>", "<end>", "<unk>", "a", "cat", "sleeps"]
SETTINGS = {"pipeline": "tiny", "datasets": ["text"], "models": {"lstm": {}}, "seeds": [0, 1]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data, run = tmp_path / "data" / "text", tmp_path / "runs" / "text" / "lstm"
    data.mkdir(parents=True)
    np.save(data / "test.npy", np.array([[3, 4, 5, 1]] * 4, dtype=np.int32))
    write_json(data / "vocabulary.json", WORDS)
    manifest = {
        "name": "text", "title": "Sentences of cats", "source": {"served_by": "test"}, "licence": "MIT",
        "homepage": "", "arrays": {"test.npy": "0" * 64}, "splits": {"train": 9, "valid": 3, "test": 4},
        "split_seed": 0, "schema": Schema(TokenTarget(4, len(WORDS))).to_json(), "views": ["tokens"],
        "classes": None, "sha256": "d" * 64,
    }  # fmt: skip
    write_json(data / "manifest.json", manifest)
    records = []
    for seed in (0, 1):
        info = {
            "view": "tokens",
            "status": "completed",
            "device": "cpu",
            "commit": "c",
            "data_sha256": "d" * 64,
        }
        write_json(run / f"run-{seed}.json", info)
        np.save(run / f"samples-{seed}.npy", np.array([[4, 5, 1, 0]] * 3, dtype=np.int32))
        for metric, value, unit in (("log_likelihood", -9.0, "nats"), ("perplexity", 20.0, "1"),
                                    ("nats_per_token", 3.0, "nats")):  # fmt: skip
            records.append(Record("text", "tokens", "lstm", seed, metric, value + seed, 0.5, 4, unit, "exact",
                                  "test", 0.0, "cpu"))  # fmt: skip
    write_records(tmp_path / "results" / "text" / "lstm" / "results.csv", records)
    return tmp_path


def test_a_report_of_sentences_has_their_table_and_their_text(root: Path) -> None:
    out = root / "reports"
    write_report(SETTINGS, root / "runs", root / "results", root / "data", out)
    table = (out / "tables" / "text-tokens.md").read_text(encoding="utf-8")
    assert "| model | log-likelihood ↑ (nats) | nats per token ↓ | perplexity ↓ |" in table
    assert "= 20.5 ± 6.4" in table
    sentences = (out / "tables" / "text-sentences.md").read_text(encoding="utf-8")
    assert "a cat sleeps | cat sleeps" in sentences.lower()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "up to 4 tokens, 6 words and signs" in page and 'id="text-sentences"' in page
    assert [path.name for path in (out / "figures").iterdir()] == ["text-tokens-likelihoods.png"]
