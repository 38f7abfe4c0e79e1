"""Score anybody's samples against a data set of ours by the suite's measures (all of them, or `--limit`).

  python -m dgmbench score --images samples/ --dataset digits
  python -m dgmbench score --images samples.npy --dataset mnist --inception --csv scores.csv

Samples are compared with the held-out test images: Fréchet and kernel distance, precision, recall, density
and coverage in the features of the data set's own classifier and, with --inception or on a GPU, of the
Inception network; sharpness and diversity in pixels. The data set is prepared if it is not there yet; its
classifier is trained by the pipeline (`python -m stages.classifier --dataset NAME`).
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.datasets import dataset_names, get_spec
from dgmbench.data.prepare import prepare
from dgmbench.data.views import binarise, intensity
from dgmbench.errors import CheckpointError, DataError, DgmbenchError, SettingsError, suggest
from dgmbench.evaluation.class_shares import class_histogram_scores
from dgmbench.evaluation.classifier import DomainClassifier
from dgmbench.evaluation.domain import load_classifier
from dgmbench.evaluation.feature_cache import FeatureCache
from dgmbench.evaluation.feature_spaces import DomainSpace, FeatureSpace
from dgmbench.evaluation.image_files import read_images
from dgmbench.evaluation.order import shuffled, some_images, training_rows
from dgmbench.evaluation.scores import (
    Floor,
    Score,
    diversity_score,
    space_scores,
    wanted_inception,
)
from dgmbench.evaluation.sharpness import ratios
from dgmbench.results import Record, write_records
from dgmbench.settings import EvaluationSettings, InceptionSettings
from dgmbench.training.devices import choose_device, exact_float32


@dataclass(frozen=True)
class ImageSets:
    """Samples, held-out and training images of one view, float32 [n, C, H, W] in [0, 1]."""

    samples: Tensor
    real: Tensor
    train: Tensor


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `score` to the commands of `python -m dgmbench`."""
    parser = commands.add_parser(
        "score",
        help="score anybody's samples (a folder of images, or a .npy file) against a data set",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of image files, or a .npy array "
                        "[n, C, H, W]: floats in [0, 1], or whole numbers")  # fmt: skip
    parser.add_argument("--dataset", required=True, help="one of: " + ", ".join(dataset_names()))
    parser.add_argument("--view", help="gray or binary (default: gray where the data set has it)")
    parser.add_argument("--levels", type=int, help="L of whole numbers 0..L-1 in a .npy file (default: 256)")
    parser.add_argument(
        "--limit", type=int, help="score so many of the samples, drawn whatever their order (default: all)"
    )
    parser.add_argument("--inception", action="store_true", help="Inception features on a CPU too, about 100 "
                        "ms an image")  # fmt: skip
    parser.add_argument("--inception-weights", type=Path, help="file of the Inception weights")
    parser.add_argument("--neighbours", type=int, default=5, help="k of precision, recall, density, coverage")
    parser.add_argument("--mirror", type=Path, help="directory of raw data and weights (DGMBENCH_MIRROR)")
    parser.add_argument("--cache", default="features", help="directory that keeps features; '' keeps none")
    parser.add_argument(
        "--csv", type=Path, help="write the scores there too, with the columns of results.csv"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


def score_command(arguments: argparse.Namespace) -> None:
    """Read, score, print; what cannot be scored is told below the table and costs no other score."""
    exact_float32()
    device = choose_device(arguments.device)
    spec = get_spec(arguments.dataset)
    view = arguments.view or ("gray" if "gray" in spec.views else spec.views[0])
    if view not in spec.views:
        raise SettingsError(f"--view {view}: {spec.name} has it not. {suggest(view, spec.views)}")
    limit = 2 if arguments.limit is None else arguments.limit
    if arguments.neighbours < 1 or min(limit, arguments.levels or 2) < 2:
        raise SettingsError("--neighbours is 1 or more, --limit and --levels are 2 or more")
    if arguments.csv is not None and (arguments.csv.is_dir() or not _folder_of(arguments.csv).is_dir()):
        raise SettingsError(f"--csv {arguments.csv}: name a file in a folder that there is")
    samples = shuffled(read_images(arguments.images, spec.shape, arguments.levels))[: arguments.limit]
    _check_view(samples, view, spec.views)
    sets = _image_sets(_dataset(arguments), view, samples)
    found, notes = _all_scores(arguments, view, sets, device)
    records = [_record(arguments, view, score, device) for score in found]
    print(
        _table(records, f"{arguments.images} against {spec.name} ({view} view, {len(sets.real)} test images)")
    )
    for note in notes:
        print(f"note: {note}")
    if arguments.csv is not None:
        write_records(arguments.csv, records)


def _folder_of(path: Path) -> Path:
    return path.expanduser().absolute().parent


def _check_view(samples: Tensor, view: str, views: Sequence[str]) -> None:
    """Samples of one view are never scored against the images of another."""
    two_valued = bool(((samples == 0) | (samples == 1)).all())
    if view == "binary" and not two_valued:
        raise DataError("--view binary: these samples have other values than black and white")
    if view == "gray" and two_valued and "binary" in views:
        raise DataError("these samples are all black and white: they are of the binary view (--view binary)")


def _dataset(arguments: argparse.Namespace) -> Dataset:
    folder = Path("data") / arguments.dataset
    if not (folder / "manifest.json").exists():
        print(f"preparing {arguments.dataset} in {folder}", file=sys.stderr)
        prepare(arguments.dataset, folder, seed=0, mirror=arguments.mirror)
    return load_dataset(arguments.dataset)


def _image_sets(data: Dataset, view: str, samples: Tensor) -> ImageSets:
    train = torch.from_numpy(data.images("train"))
    if view == "gray":
        test = torch.from_numpy(data.images("test"))
        return ImageSets(samples, intensity(test, data.levels), intensity(train, data.levels))
    generator = torch.Generator().manual_seed(0)
    return ImageSets(
        samples, torch.from_numpy(data.binary("test")).float(), binarise(train, data.levels, generator)
    )


def _all_scores(
    arguments: argparse.Namespace, view: str, sets: ImageSets, device: torch.device
) -> tuple[list[Score], list[str]]:
    """All scores that can be had, and a note on each group that cannot, or not as it should be."""
    inception = InceptionSettings(use=arguments.inception or None, weights=_text(arguments.inception_weights))
    settings = EvaluationSettings(
        prdc_neighbours=arguments.neighbours, inception=inception, feature_cache=arguments.cache or None
    )
    found: list[Score] = []
    notes: list[str] = []
    for name, scores in _groups(arguments, view, sets, settings, device):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found += scores()
            except (DgmbenchError, ValueError) as error:
                notes.append(f"{name} left out: {error}")
        notes += [f"{name}: {text}" for text in dict.fromkeys(str(w.message) for w in caught)]
    return found, notes


SPACES = {"domain": "domain", "inception": "Inception"}
Group = tuple[str, Callable[[], Iterable[Score]]]


def _groups(
    arguments: argparse.Namespace,
    view: str,
    sets: ImageSets,
    settings: EvaluationSettings,
    device: torch.device,
) -> Iterator[Group]:
    @cache
    def classifier() -> DomainClassifier:
        try:
            found = load_classifier(arguments.dataset, view, device)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} (after `python -m dgmbench use PIPELINE` with that data set)"
            ) from None
        if found is None:
            raise CheckpointError(f"{arguments.dataset} has no labels, hence no classifier")
        return found

    @cache
    def domain() -> tuple[Tensor, Tensor, Tensor]:
        return _features(DomainSpace(classifier()), sets, None, settings)

    @cache
    def inception() -> tuple[Tensor, Tensor, Tensor] | None:
        space = wanted_inception(settings.inception, device, arguments.mirror)
        return None if space is None else _features(space, sets, settings.inception.samples, settings)

    yield from _in_space("domain", domain, settings)
    yield "class histogram", lambda: class_histogram_scores(classifier(), *domain(), settings.seed)
    yield from _in_space("inception", inception, settings)
    yield "diversity", lambda: [diversity_score(sets.samples, sets.real, settings)]
    yield "sharpness", lambda: _sharpness(sets, view)


def _features(
    space: FeatureSpace, sets: ImageSets, limit: int | None, settings: EvaluationSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of at most `limit` samples and test images, and of as many training images as samples."""
    cache = FeatureCache(settings.feature_cache)
    samples, real = (some_images(images, limit, settings.seed) for images in (sets.samples, sets.real))
    train = sets.train[training_rows(len(sets.train), len(samples), settings.seed)]
    return cache.features(space, samples), cache.features(space, real), cache.features(space, train)


def _in_space(
    space: str,
    features: Callable[[], tuple[Tensor, Tensor, Tensor] | None],
    settings: EvaluationSettings,
) -> Iterator[Group]:
    """Each score of a space by itself; where its features cannot be had, that alone."""
    try:
        found = features()
        if found is None:
            return
        generated, real, train = found
        groups = list(space_scores(space, generated, real, Floor.of(space, train, real, settings), settings))
    except (DgmbenchError, ValueError) as error:
        yield f"{SPACES[space]} features", partial(_refuse, error)
        return
    yield from ((name, scores.__iter__) for name, scores in groups)


def _refuse(error: Exception) -> Iterator[Score]:
    raise error


def _sharpness(sets: ImageSets, view: str) -> Iterator[Score]:
    for metric, measure in ratios(view).items():
        found = measure(sets.samples, sets.real)
        yield Score(metric, found.ratio, found.std_error, len(sets.samples))


def _record(arguments: argparse.Namespace, view: str, score: Score, device: torch.device) -> Record:
    return Record(
        dataset=arguments.dataset,
        view=view,
        model=arguments.images.expanduser().resolve().stem,
        seed=0,
        metric=score.metric,
        value=score.value,
        std_error=score.std_error,
        n=score.n,
        unit="1",
        kind=score.kind,
        split="test",
        seconds=0.0,
        device=device.type,
    )


def _table(records: list[Record], title: str) -> str:
    from dgmbench.reporting.vocabulary import direction, label

    signs = {"higher": "higher is better", "lower": "lower is better", "one": "1 is ideal", "none": ""}
    lines = [title, f"{'score':24} {'value':>10} {'std. error':>10} {'samples':>8}"]
    for record in records:
        if record.metric.startswith(("n_generated_", "n_real_")):
            continue
        error = "" if record.std_error is None else f"{record.std_error:.2g}"
        way = (
            "what real images score"
            if record.metric.endswith("_floor")
            else signs[direction(record.metric, "1")]
        )
        lines.append(
            f"{label(record.metric):24} {record.value:10.4g} {error:>10} {record.n:8,}  {way}".rstrip()
        )
    return "\n".join(lines)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
