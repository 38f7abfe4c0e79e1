"""Asking the measures of the evaluation about images that a control made."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from dgmbench.controls.control import Context
from dgmbench.data.views import view_of
from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.given import Given
from dgmbench.evaluation.measure import Measure
from dgmbench.results import Record
from dgmbench.settings import EvaluationSettings


def given(
    context: Context,
    images: Tensor,
    subject: str,
    *,
    seed: int | None = None,
    against: str = "test",
    real: Mapping[str, Tensor] | None = None,
) -> Given:
    """Images of the gray view, uint8 ``[n, C, H, W]``, as the measures of samples take them; all are scored.

    Args:
        subject: what records call them: ``control/<control>/<subject>``.
        seed: where the control repeats itself.
        against: the split that they are compared with.
        real: images in place of the data set's, by split.
    """
    return Given(
        context.data,
        EvaluationSettings(store=None if real else context.store, fid_samples=len(images)),
        context.data_seed,
        context.device,
        context.classifier,
        images=images,
        own_view=view_of(context.view, context.data.schema),
        called=context.named(subject),
        number=context.seed if seed is None else seed,
        against=against,
        real=real or {},
        kept_features={} if real else context.kept_features,
    )


def found_by(images: Given, wanted: Sequence[str], *measures: Measure) -> list[Record]:
    """The records of the wanted metrics, in that order, by measures of samples.

    Raises:
        DgmbenchError: where one of them could not be measured.
    """
    if images.classifier is None and any(measure.labels for measure in measures):
        raise DgmbenchError(f"{images.name} needs a data set with labels")
    with tempfile.TemporaryDirectory() as figures:
        found = {record.metric: record for measure in measures for record in measure(images, Path(figures))}
    missing = [metric for metric in wanted if metric not in found]
    if missing:
        reasons = "; ".join(f"{each.metric}: {each.reason}" for each in images.left_out)
        raise DgmbenchError(f"{images.name}: {', '.join(missing)} could not be measured. {reasons}")
    return [found[metric] for metric in wanted]
