"""Score anybody's samples against a data set of ours by the suite's measures (all of them, or `--limit`).

  python -m dgmbench score --images samples/ --dataset digits
  python -m dgmbench score --images samples.npy --dataset mnist --inception --csv scores.csv

Samples are compared with the held-out test images: Fréchet and kernel distance, precision, recall, density
and coverage in the features of the data set's own classifier and, with --inception or on a GPU, of the
Inception network; class shares; sharpness and diversity in pixels; memorisation of training images. The data
set is prepared if it is not there yet; the pipeline trains its classifier (`python -m stages.classifier
--dataset NAME`). Scores are comparable where data and classifier are the same: the classifier's accuracy and
both SHA-256 are printed beside the scores.

Image files: those of a folder and all folders in it; names that begin with a dot are skipped. They are turned
upright (EXIF). Colour becomes gray against a gray data set (.299 R + .587 G + .114 B); palettes are looked
up; transparent pixels are composed on --background; of several pages or frames the first is read; 16-bit gray
is kept, 16-bit colour read to 8. Colour profiles are not applied, so CMYK is refused, as are 32-bit pixels.
Nothing is resized. Of each, the output says how many files it concerned. Values outside [0, 1] by 1e-6 (in
float16: .002) are taken for rounding.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from dgmbench.data.datasets import dataset_names, get_spec
from dgmbench.data.schema import ImageTarget
from dgmbench.data.spec import DatasetSpec
from dgmbench.errors import DataError, SettingsError, suggest
from dgmbench.evaluation.score.measures import all_scores, too_few
from dgmbench.evaluation.score.output import rows, table, write_csv
from dgmbench.evaluation.score.places import check_target, mirror_folder, store_folder
from dgmbench.evaluation.score.reference import load_reference
from dgmbench.evaluation.score.samples import read_samples
from dgmbench.evaluation.subsets import shuffled
from dgmbench.files import expanded
from dgmbench.settings import EvaluationSettings, InceptionSettings
from dgmbench.terms import ViewName
from dgmbench.training.devices import choose_device, exact_float32
from dgmbench.training.loading import RUNS
from dgmbench.training.runs import DATA


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
    parser.add_argument("--levels", type=int, help="L of whole numbers 0..L-1 (default: 256)")
    parser.add_argument("--background", choices=("black", "white"), default="black",
                        help="behind transparent pixels (default: black)")  # fmt: skip
    parser.add_argument(
        "--limit", type=int, help="score so many of the samples, drawn whatever their order (default: all)"
    )
    parser.add_argument("--inception", action="store_true", help="Inception features on a CPU too, about 100 "
                        "ms an image")  # fmt: skip
    parser.add_argument("--inception-weights", type=Path, help="file of the Inception weights")
    parser.add_argument("--neighbours", type=int, default=5, help="k of precision, recall, density, coverage")
    parser.add_argument("--mirror", type=Path, help="directory of raw data and weights (DGMBENCH_MIRROR)")
    parser.add_argument("--store", default="store", help="directory that remembers features; '' for none")
    parser.add_argument("--csv", type=Path, help="write the scores there too: the columns of results.csv, "
                        "what they were measured against, and notes")  # fmt: skip
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def score_command(arguments: argparse.Namespace) -> None:
    """Read, score, write, print; a note below the table says what cannot be scored."""
    exact_float32()
    device = choose_device(arguments.device, "--device")
    spec = get_spec(arguments.dataset)
    view = _view(arguments.view, spec)
    mirror, settings = mirror_folder(arguments.mirror), _settings(arguments)
    target = check_target(arguments.csv, _inputs(arguments))
    samples = read_samples(arguments.images, spec.shape, arguments.levels, arguments.background)
    images = shuffled(samples.images)[: arguments.limit]
    decisions = [*samples.decisions, *_check_view(images, view, spec.views)]
    reference = load_reference(spec.name, view, device, mirror)
    found, notes = all_scores(images, reference, settings, mirror, _model(arguments.images))
    few = too_few(found, len(images), len(reference.real))
    cautions = [*few, *samples.cautions, *reference.cut_data()]
    if any(scored.space == "domain" for scored in found):
        cautions += reference.poor_judge()
    scored = rows(found, reference, cautions, bool(few))
    if target is not None:
        write_csv(target, scored)
    title = (
        f"{arguments.images} against {spec.name} ({view} view, {len(reference.real):,} test images, data "
        f"{reference.data.sha256[:8]})"
    )
    lines = [
        *_said("caution", cautions),
        title,
        *_said("read", decisions),
        *table(scored),
        *_said("note", notes),
    ]
    print("\n".join(lines), flush=True)


def _said(what: str, sentences: Sequence[str]) -> list[str]:
    return [f"{what}: {sentence}" for sentence in sentences]


def _view(wanted: ViewName | None, spec: DatasetSpec) -> ViewName:
    if not isinstance(spec.schema.target, ImageTarget):
        raise SettingsError(f"--dataset {spec.name}: images are scored, and it is a data set of sentences")
    view = wanted or ("gray" if "gray" in spec.views else spec.views[0])
    if view not in spec.views:
        raise SettingsError(f"--view {view}: {spec.name} has it not. {suggest(view, spec.views)}")
    return view


def _settings(arguments: argparse.Namespace) -> EvaluationSettings:
    if arguments.neighbours < 1 or any(n is not None and n < 2 for n in (arguments.limit, arguments.levels)):
        raise SettingsError("--neighbours is 1 or more, --limit and --levels are 2 or more")
    weights = _expanded(arguments.inception_weights)
    inception = InceptionSettings(
        use=arguments.inception or None, weights=None if weights is None else str(weights)
    )
    return EvaluationSettings(
        prdc_neighbours=arguments.neighbours, inception=inception, store=store_folder(arguments.store)
    )


def _inputs(arguments: argparse.Namespace) -> dict[str, Path]:
    """What is read, by what it is called."""
    weights = _expanded(arguments.inception_weights)
    found = {
        f"--images {arguments.images}": expanded(arguments.images),
        f"the prepared data in {DATA}/": DATA,
        f"the trained runs in {RUNS}/": RUNS,
    }
    return (
        found if weights is None else found | {f"--inception-weights {arguments.inception_weights}": weights}
    )


def _expanded(path: Path | None) -> Path | None:
    return None if path is None else expanded(path)


def _model(images: Path) -> str:
    """What the samples are called in the CSV file: the folder's name, or the array's without its suffix."""
    path = expanded(images).resolve()
    return path.name if path.is_dir() else path.stem


def _check_view(samples: Tensor, view: str, views: Sequence[str]) -> list[str]:
    """Samples of one view are never scored against the images of another; a sentence if some look so."""
    flat = samples.flatten(1)
    two_valued = ((flat == 0) | (flat == 1)).all(1)
    if view == "binary":
        if not bool(two_valued.all()):
            raise DataError("--view binary: these samples have other values than black and white")
        return []
    if bool((flat == flat[0, 0]).all()):
        raise DataError(f"these samples are blank: every pixel of all of them is {float(flat[0, 0]):g}")
    if bool(two_valued.all()) and "binary" in views:
        raise DataError("these samples are all black and white: they are of the binary view (--view binary)")
    drawn = int((two_valued & (flat != flat[:, :1]).any(1)).sum())
    return [f"{drawn:,} of {len(flat):,} images are in black and white alone"] if drawn else []
