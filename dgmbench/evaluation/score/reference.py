"""What samples are scored against: a data set's images and the classifier whose features they are seen in.

Scores against other images, or in the features of another classifier, are on another scale. So both are named
beside each score, and what is cut short is said first.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.prepare import prepare
from dgmbench.data.views import view_of
from dgmbench.errors import CheckpointError
from dgmbench.evaluation.features.classifier import DomainClassifier
from dgmbench.evaluation.features.domain_classifier import load_classifier, weights_file
from dgmbench.files import sha256_file
from dgmbench.statistics import binomial_std_error
from dgmbench.terms import ViewName
from dgmbench.training.runs import DATA

# Percent of test images that the classifiers of the pipelines get right, to whole numbers, rounded down.
REACHED = {
    ("digits", "gray"): 95.0,
    ("digits", "binary"): 86.0,
    ("mnist", "gray"): 98.0,
    ("mnist", "binary"): 98.0,
    ("fashion", "gray"): 89.0,
    ("fashion", "binary"): 84.0,
}


@dataclass(frozen=True)
class Judge:
    """The domain classifier, the SHA-256 of its weights' file, and its accuracy on test images in percent."""

    classifier: DomainClassifier
    sha256: str
    accuracy: float

    @property
    def words(self) -> str:
        """What names it beside a score."""
        return f"classifier {self.accuracy:.1f} % {self.sha256[:8]}"


@dataclass
class Reference:
    """A data set in one view, as [n, C, H, W] float32 in [0, 1], and its classifier."""

    data: Dataset
    view: ViewName
    device: torch.device

    @cached_property
    def real(self) -> Tensor:
        """The test images."""
        view = view_of(self.view, self.data.schema)
        # The generator binarises training images; test images have a fixed binarisation.
        return view.display(view.fixed(self.data, "test", torch.Generator()))

    @cached_property
    def judge(self) -> Judge:
        """The trained classifier. Raises CheckpointError where there is none, or a damaged one."""
        name = self.data.name
        try:
            classifier = load_classifier(name, self.view, self.device)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} (after `python -m dgmbench use PIPELINE` with that data set)"
            ) from None
        labels = self.data.labels("test")
        if classifier is None or labels is None:
            raise CheckpointError(f"{name} has no labels, hence no classifier")
        accuracy = classifier.accuracy(self.real, torch.from_numpy(labels))
        return Judge(classifier, sha256_file(weights_file(name, self.view)), accuracy)

    def cut_data(self) -> list[str]:
        """A sentence if the data set was cut when it was prepared."""
        limit = self.data.manifest.get("limit")
        if limit is None:
            return []
        return [
            f"{self.data.folder} was cut to {self.data.size('train'):,} training and {len(self.real):,} test "
            f"images (data.limit: {limit}): these scores are on another scale than those of the whole data "
            f"set, which `python -m stages.prepare --dataset {self.data.name}` with data.limit null writes"
        ]

    def poor_judge(self) -> list[str]:
        """A sentence if the classifier is worse than chance explains beside those of the pipelines."""
        usual = REACHED.get((self.data.name, self.view))
        if usual is None:
            return []
        accuracy = self.judge.accuracy
        if accuracy >= usual - 3 * binomial_std_error(usual, len(self.real)):
            return []
        return [
            f"the classifier is right about {accuracy:.1f} % of the test images, those of the pipelines "
            f"about {usual:.0f} %: these domain scores are on another scale. Was classifier.epochs shortened?"
        ]


def load_reference(name: str, view: ViewName, device: torch.device, mirror: Path | None) -> Reference:
    """The data set in `data/`, prepared if it is not there yet. Raises DataError as `load_dataset`."""
    folder = DATA / name
    if not (folder / "manifest.json").exists():
        print(f"preparing {name} in {folder}", file=sys.stderr)
        prepare(name, folder, seed=0, mirror=mirror)
    return Reference(load_dataset(name, DATA), view, device)
