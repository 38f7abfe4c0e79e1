"""The test error of a model that classifies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dgmbench.evaluation.likelihood.estimators import PointEstimates
from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.models.capabilities import CanPredict
from dgmbench.points import Points
from dgmbench.results import Record


@measure(needs=(CanPredict,), labels=True)
def classification(subject: Subject, folder: Path) -> Iterator[Record]:
    """`ssl_error_<labels>` in percent and `test_cross_entropy` in nats, means over all test images.

    The labels are those that the entry was trained on, `all` for all training images.
    """
    model, labels = subject.run.model, subject.data.labels("test")
    assert isinstance(model, CanPredict)
    assert labels is not None
    truth = torch.from_numpy(np.array(labels))
    with torch.no_grad():
        batches = subject.inputs("test").split(subject.settings.batch_size)
        probabilities = torch.cat([model.predict(x).double().cpu() for x in batches])
    wrong = 100.0 * (probabilities.argmax(1) != truth).double()
    entropy = -probabilities[torch.arange(len(truth)), truth].clamp_min(1e-300).log()
    error = f"ssl_error_{subject.run.info['settings'].get('labels') or 'all'}"
    for metric, unit, values in ((error, "percent", wrong), ("test_cross_entropy", "nats", entropy)):
        found = PointEstimates(values)
        subject.points[metric, unit] = Points.of(values)
        yield subject.record(
            metric, found.mean(), found.std_error(),
            n=len(values), unit=unit, kind="exact", seconds=subject.lap(),
        )  # fmt: skip
