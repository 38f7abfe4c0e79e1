"""What a run costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dgmbench.evaluation.measure import EVERY_VIEW, measure
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record


@measure(views=EVERY_VIEW, cheap=True)
def costs(subject: Subject, folder: Path) -> Iterator[Record]:
    """Parameters, training time and, of what samples, the sampling rate."""
    info = subject.run.info
    yield subject.record("parameters", info["parameters"], n=1, unit="1", kind="exact", split="train")
    yield _timing(subject, "training_seconds", info["training_seconds"], info["steps"], "seconds")
    if not info["n_samples"]:
        return
    rate = info["n_samples"] / max(info["sampling_seconds"], 1e-9)
    yield _timing(subject, "sampling_rate", rate, info["n_samples"], "images_per_second")


def _timing(subject: Subject, metric: str, value: float, n: int, unit: str) -> Record:
    return subject.record(metric, value, n=n, unit=unit, kind="exact", split="train")
