"""How long a GAN's discriminator was right about everything, when a saturating loss has no gradient.

By itself that is no failure: a generator may recover from it, and under the Wasserstein loss a better critic
is a better guide (Arjovsky et al. 2017, section 3). So it stands beside the scores, whatever they are.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from dgmbench.evaluation.measure import measure
from dgmbench.evaluation.subject import Subject
from dgmbench.results import Record

# An accuracy above this, over an epoch of training, counts as saturated.
SATURATED = 0.99


@measure(cheap=True)
def saturation(subject: Subject, folder: Path) -> Iterator[Record]:
    """`discriminator_saturated`: percent of epochs with a saturated discriminator; nothing without."""
    seed = subject.seed
    accuracies = training_curve(subject.run.folder / f"history-{seed}.csv", "discriminator_accuracy")
    if accuracies:
        share = sum(accuracy > SATURATED for accuracy in accuracies) / len(accuracies)
        yield subject.record(
            "discriminator_saturated",
            100 * share,
            n=len(accuracies),
            unit="percent",
            kind="exact",
            split="train",
        )


def training_curve(path: Path, name: str) -> list[float]:
    """The values of one training curve of a history file, in the order of steps; empty if there are none."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        return [float(row["value"]) for row in rows if (row["split"], row["name"]) == ("train", name)]
