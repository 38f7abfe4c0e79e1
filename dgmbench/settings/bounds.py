"""Numbers of the settings that cannot work together, or at all: counts of images, and ranges of powers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from dgmbench.errors import SettingsError
from dgmbench.settings.schema import Params

# Beyond it, powers of ten overflow or vanish in the sums that they enter.
LARGEST_POWER = 10.0


def check_bounds(params: Params, where: str) -> None:
    """Refuse counts that the images cannot serve; `where` names the file.

    Raises:
        SettingsError: one line for each, with the valid range.
    """
    faults = [*_counts(params), *_neighbours(params), *_cells(params)]
    _refuse([*faults, *_ranges(params, "")], where)


def check_ranges(settings: BaseModel, key: str, where: str) -> None:
    """Refuse ranges of powers of ten, the fields `log10_*` of a block called `key` and of blocks in it.

    Raises:
        SettingsError: one line for each that does not ascend, or leaves [-10, 10].
    """
    _refuse(_ranges(settings, f"{key}."), where)


def _refuse(faults: Iterable[str], where: str) -> None:
    lines = [f"{where}: {fault}" for fault in faults]
    if lines:
        raise SettingsError("\n".join(lines))


def _counts(params: Params) -> Iterator[str]:
    """Nothing can be scored that is not drawn."""
    evaluation = params.evaluation
    for key, count in (
        ("evaluation.fid_samples", evaluation.fid_samples),
        ("evaluation.neighbour_samples", evaluation.neighbour_samples),
        ("evaluation.parzen.samples", evaluation.parzen.samples),
    ):
        if count > params.sampling.n:
            yield f"'{key}' is {count}, but only {params.sampling.n} (sampling.n) are drawn"


def _neighbours(params: Params) -> Iterator[str]:
    """An image has a k-th neighbour among more than k images. Defaults that do not fit cost those scores."""
    evaluation = params.evaluation
    asked = {"prdc_neighbours", "prdc_samples"} & evaluation.model_fields_set
    bounds = {
        "evaluation.prdc_samples": evaluation.prdc_samples,
        "evaluation.fid_samples": evaluation.fid_samples,
    }
    if asked:
        yield from _not_below("evaluation.prdc_neighbours", evaluation.prdc_neighbours, bounds)


def _cells(params: Params) -> Iterator[str]:
    """Each cell has an image at least, and some have several. Defaults that do not fit cost that score."""
    evaluation = params.evaluation
    bounds = {"evaluation.neighbour_samples": evaluation.neighbour_samples}
    if params.data.limit is not None:
        bounds["data.limit"] = params.data.limit
    if "copy_cells" in evaluation.model_fields_set:
        yield from _not_below("evaluation.copy_cells", evaluation.copy_cells, bounds)


def _not_below(key: str, value: int, bounds: dict[str, int]) -> Iterator[str]:
    name, lowest = min(bounds.items(), key=lambda bound: bound[1])
    if value >= lowest:
        yield f"'{key}' is {value}: it should be from 1 to {lowest - 1}, below {name}"


def _ranges(settings: BaseModel, prefix: str) -> Iterator[str]:
    for name, value in settings:
        if isinstance(value, BaseModel):
            yield from _ranges(value, f"{prefix}{name}.")
        elif name.startswith("log10_") and not _ascends(value):
            yield (
                f"'{prefix}{name}' is {list(value)}: it should be two powers of ten that ascend, from "
                f"{-LARGEST_POWER:g} to {LARGEST_POWER:g}"
            )


def _ascends(pair: Any) -> bool:
    low, high = pair
    return bool(-LARGEST_POWER <= low < high <= LARGEST_POWER)
