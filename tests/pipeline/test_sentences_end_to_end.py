"""Language models from raw sentences to the report: prepared, trained, evaluated, loaded back."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packing import tar
from places import ROOT

from dgmbench.data.dataset import load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.schema import Schema, TokenTarget
from dgmbench.data.sets import wordnet
from dgmbench.data.text import decode
from dgmbench.evaluation.features.domain_classifier import train_classifiers
from dgmbench.evaluation.suite import evaluate_entry
from dgmbench.reporting.report import write_report
from dgmbench.results import read_records
from dgmbench.settings import compose, validate
from dgmbench.training.entry import train_entry
from dgmbench.training.loading import open_run

SCHEMA = Schema(TokenTarget(length=21, vocabulary=30))
NOUNS, VERBS = ("dog", "cat", "bird", "fish"), ("saw", "heard", "met")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a data set of simple sentences, prepared."""
    monkeypatch.chdir(tmp_path)
    chosen = itertools.product(NOUNS, VERBS, NOUNS, ("!", " again", " today"))
    texts = [f"the {a} {verb} the {b}{end}" for a, verb, b, end in chosen]
    content = "".join(f'1 2 n | thing; "{text}"\n' for text in texts).encode()
    members = {"data.noun": content, "data.verb": b"", "data.adj": b"", "data.adv": b""}
    (tmp_path / "mirror" / "wordnet").mkdir(parents=True)
    (tmp_path / "mirror" / "wordnet" / "wordnet-3.0-data.tar.xz").write_bytes(tar(members))
    (file,) = wordnet.WORDNET_RAW.files
    file = replace(file, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    raw = replace(wordnet.WORDNET_RAW, files=(file,), urls=())
    monkeypatch.setattr(wordnet, "HELD_OUT", {"valid": 16, "test": 16})
    monkeypatch.setattr(wordnet, "WORDNET", replace(wordnet.WORDNET, raw=raw, schema=SCHEMA))
    prepare("wordnet", tmp_path / "data" / "wordnet", seed=0, mirror=tmp_path / "mirror")
    return tmp_path


def settings() -> Any:
    raw = compose("sentences", ROOT / "pipelines")
    raw["seeds"] = [10]
    raw["training"] |= {"processes": 1}
    raw["sampling"] = {"n": 30, "batch_size": 20}
    raw["models"]["lstm"] |= {"embedding": 16, "hidden": 32, "dropout": 0.1}
    raw["models"]["lstm"]["training"] |= {"epochs": 30, "batch_size": 16, "learning_rate": 0.02}
    return validate(raw, "here")


def test_from_raw_sentences_to_the_report(place: Path) -> None:
    params = settings()
    train_classifiers(params, "wordnet")
    found = {}
    for model in ("unigram", "lstm"):
        train_entry(params, "wordnet", model)
        folder = evaluate_entry(params, "wordnet", model)
        found[model] = read_records(folder / "results.csv").set_index("metric")
    data = load_dataset("wordnet")
    tokens = data.manifest["tokens"]["test"]
    for model, records in found.items():
        assert set(records["view"]) == {"tokens"}
        nats = records.loc["nats_per_token", "value"]
        assert nats == pytest.approx(-16 * records.loc["log_likelihood", "value"] / tokens)
        assert records.loc["perplexity", "value"] == pytest.approx(math.exp(nats))
        assert records.loc["perplexity", "std_error"] > 0
        points = np.load(place / "results" / "wordnet" / model / "points-10.npz")
        assert points["values/1/perplexity"].mean() == pytest.approx(math.exp(nats))
    assert found["lstm"].loc["perplexity", "value"] < 0.4 * found["unigram"].loc["perplexity", "value"]

    run = open_run("wordnet", "lstm", 10)
    samples = run.samples()
    assert samples.shape == (30, 21) and samples.dtype == np.int32
    assert sum(text.startswith("the ") for text in decode(samples, data.vocabulary())) > 15
    x = torch.from_numpy(data.examples("test").astype("int64"))
    with torch.no_grad():
        log_probs = run.model.log_prob(x)  # type: ignore[operator]
    assert float(log_probs.mean()) == pytest.approx(found["lstm"].loc["log_likelihood", "value"])

    write_report(
        params.model_dump(mode="json"), Path("runs"), Path("results"), Path("data"), place / "report"
    )
    first = decode(data.examples("test")[:1], data.vocabulary())[0]
    table = (place / "report" / "tables" / "wordnet-sentences.md").read_text()
    assert "| test data | unigram | lstm |" in table and first in table
    page = (place / "report" / "index.html").read_text()
    assert first in page and "at most 20 tokens and an end, 30 tokens in the vocabulary" in page
    assert "perplexity" in (place / "report" / "tables" / "wordnet-tokens.md").read_text()
    figures = sorted(path.name for path in (place / "report" / "figures").iterdir())
    assert figures == [f"wordnet-tokens-{name}.png" for name in ("costs", "curves", "likelihoods")]
