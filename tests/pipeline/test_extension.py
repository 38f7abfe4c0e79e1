"""What a newcomer adds: a model, a metric, a data set and a control, each one file and at most two lines."""

from __future__ import annotations

import pytest
from project import Project, copied

MODEL = '''
"""Every pixel is gray with a Gaussian around it, as wide as training images are."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dgmbench.data.batch import Batch
from dgmbench.data.schema import Schema
from dgmbench.models.base import Model, ModelSettings
from dgmbench.terms import LEVELLED


class Fog(Model):
    """N(m, s^2) for all pixels alike."""

    Settings = ModelSettings
    views = LEVELLED

    def __init__(self, settings: ModelSettings, schema: Schema) -> None:
        super().__init__(settings, schema)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def parameter_count(self) -> int:
        return 2

    def fit(self, train: Batch, valid: Batch, generator: torch.Generator) -> dict[str, float]:
        self.mean.copy_(train.x.mean())
        self.deviation.copy_(train.x.std())
        return {"loss": -float(self.log_prob(valid.x).mean())}

    def log_prob(self, x: Tensor) -> Tensor:
        scaled = (x.flatten(1).double() - self.mean) / self.deviation
        return -(0.5 * scaled.square() + self.deviation.log() + 0.5 * math.log(2 * math.pi)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return self.mean + self.deviation * torch.randn((n, *self.image_shape), generator=generator)
'''
MEASURE = '''
"""How bright samples are, over how bright test images are."""

from __future__ import annotations

from collections.abc import Iterator

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record


@measure(samples=True)
def brightness(subject: Subject, folder: Path) -> Iterator[Record]:
    """`brightness_ratio`: mean intensities."""
    ratio = float(subject.sample_pixels().mean() / subject.pixels("test").mean())
    n = len(subject.samples)
    yield subject.record("brightness_ratio", ratio, n=n, unit="1", kind="estimate", seconds=subject.lap())
'''
METRIC = (
    '    Metric("brightness_ratio", "brightness", "1", "one", Topic.COLLAPSE, "mean intensity of samples '
    'over that of test images"),\n'
)
DATASET = '''
"""Stripes: which column is lit is the class."""

from __future__ import annotations

import numpy as np

from dgmbench.data import streams
from dgmbench.data.fetch.raw import Fetched
from dgmbench.data.schema import image_schema
from dgmbench.data.spec import DatasetSpec
from dgmbench.data.splits import Split, stratified

SIZES = {"train": 240, "valid": 80, "test": 80}


def drawn() -> Fetched:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 5, (400, 1, 8, 8)).astype(np.uint8)
    images[np.arange(400), 0, :, 2 * (np.arange(400) % 4)] += 8
    return Fetched({"images": images.tobytes()}, {"served_by": "this test"})


def cut(contents: dict[str, bytes], seed: int) -> dict[str, Split]:
    images = np.frombuffer(contents["images"], np.uint8).reshape(-1, 1, 8, 8)
    labels = np.arange(400, dtype=np.int64) % 4
    parts = stratified(labels, SIZES, streams.generator(seed, "split"))
    return {split: Split(images[rows], labels[rows]) for split, rows in parts.items()}


STRIPES = DatasetSpec(
    name="stripes", title="Stripes", licence="none", homepage="http://example.org",
    schema=image_schema((1, 8, 8), levels=17, classes=4), views=("binary", "gray"), raw=None, cut=cut,
    bundled=drawn,
)
'''
CONTROL = '''
"""Data are as bright as themselves."""

from __future__ import annotations

from dgmbench.claims.claim import judge
from dgmbench.controls.control import Context, Control, ControlSettings, Finding
from dgmbench.statistics import Interval


class Brightness(Control[ControlSettings]):
    """Training images stand for samples."""

    Settings = ControlSettings
    title = "Brightness of data"
    claim = "Training images are more than half as bright as test images."
    source = "this test"

    def run(self, context: Context) -> Finding:
        train, test = (float(context.pixels(split).mean()) for split in ("train", "test"))
        ratio = train / test
        record = context.record("train", "brightness_ratio", ratio, n=1, unit="1", kind="estimate")
        outcome = judge([Interval(ratio - 0.5, 0.1)])
        return Finding(outcome, f"They are {ratio:.2f} times as bright.", [record])
'''
SETTINGS = """
extends: smoke
keep: [vae]
keep_controls: []
datasets: [stripes]
data: {limit: null}
models:
  vae: {latent_dim: 4, hidden: [32], training: {epochs: 5}}
  fog: {family: fog, view: gray}
controls:
  brightness: {}
orders: []
"""


def add_line(project: Project, file: str, before: str, line: str) -> None:
    """One line more, in front of another."""
    path = project.path(file)
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, line + before), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copied(tmp_path_factory.mktemp("extended"), "extended")
    files = {
        "dgmbench/models/baselines/fog.py": MODEL,
        "dgmbench/evaluation/quality/brightness.py": MEASURE,
        "dgmbench/data/sets/stripes.py": DATASET,
        "dgmbench/controls/likelihoods/brightness.py": CONTROL,
    }
    for name, text in files.items():
        made.path(name).write_text(text.lstrip(), encoding="utf-8")
    line = '    "uniform": "dgmbench.models.baselines.uniform:Uniform",\n'
    add_line(made, "dgmbench/models/registry.py", line, '    "fog": "dgmbench.models.baselines.fog:Fog",\n')
    line = '    "sharpness": "dgmbench.evaluation.quality.sharpness",\n'
    added = '    "brightness": "dgmbench.evaluation.quality.brightness",\n'
    add_line(made, "dgmbench/evaluation/registry.py", line, added)
    add_line(made, "dgmbench/metrics/diversity.py", '    Metric(\n        "class_coverage"', METRIC)
    line = '    "mnist": "dgmbench.data.sets.mnist:MNIST",\n'
    add_line(
        made, "dgmbench/data/datasets.py", line, '    "stripes": "dgmbench.data.sets.stripes:STRIPES",\n'
    )
    line = '    "gan_ring": "dgmbench.controls.gans.ring:GANRing",\n'
    added = '    "brightness": "dgmbench.controls.likelihoods.brightness:Brightness",\n'
    add_line(made, "dgmbench/controls/registry.py", line, added)
    made.use(SETTINGS)
    return made


def test_each_runs_through_every_stage(project: Project) -> None:
    ran = set(project.repro())
    assert {
        "prepare@stripes",
        "train@stripes-fog",
        "evaluate@stripes-fog",
        "control@stripes-brightness",
    } <= ran
    frame = project.results()
    rows = frame[frame["metric"] == "brightness_ratio"]
    assert {"fog", "vae", "control/brightness/train"} == set(rows["model"])
    fog = frame[(frame["model"] == "fog") & (frame["metric"] == "log_likelihood")]
    assert set(fog["unit"]) == {"nats", "bits_per_dim"} and len(fog) == 4
    page = project.path("reports", "extended", "index.html").read_text(encoding="utf-8")
    for words in ("fog", "brightness", "mean intensity of samples", "Brightness of data", "Stripes"):
        assert words in page, words
    assert len(project.mlflow_runs()) >= 4
    loaded = 'from dgmbench import load_run; print(type(load_run("stripes", "fog", 0)).__name__)'
    assert "Fog" in project.run("python", "-c", loaded)
