"""The data sets by name. To add one: a file in `dgmbench.data.sets`, a line here.

Listing them imports nothing; describing one imports its own file, neither torch nor scikit-learn.
"""

from __future__ import annotations

import importlib

from dgmbench.data.spec import DatasetSpec
from dgmbench.errors import DataError, suggest

# Strings, not imports, in the order in which they are listed to users.
DATASETS: dict[str, str] = {
    "digits": "dgmbench.data.sets.digits:DIGITS",
    "mnist": "dgmbench.data.sets.mnist:MNIST",
    "fashion": "dgmbench.data.sets.mnist:FASHION",
    "mnist_static": "dgmbench.data.sets.mnist:MNIST_STATIC",
    "frey": "dgmbench.data.sets.frey:FREY",
    "wordnet": "dgmbench.data.sets.wordnet:WORDNET",
}


def dataset_names() -> tuple[str, ...]:
    """The names of all data sets, in the order in which they are listed to users."""
    return tuple(DATASETS)


def dataset_module(name: str) -> str:
    """Dotted name of the module that declares a data set.

    Raises:
        DataError: there is none of that name; the nearest is suggested.
    """
    if name not in DATASETS:
        raise DataError(f"there is no data set {name!r}; {suggest(name, DATASETS)}")
    return DATASETS[name].partition(":")[0]


def get_spec(name: str) -> DatasetSpec:
    """The description of a data set; `DataError` naming the nearest if there is none of that name."""
    module = importlib.import_module(dataset_module(name))
    return getattr(module, DATASETS[name].partition(":")[2])
