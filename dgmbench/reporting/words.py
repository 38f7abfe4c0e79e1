"""Words of the report that belong to no metric: kinds of values, and views."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from dgmbench.data.schema import Schema
from dgmbench.metrics import declared
from dgmbench.terms import ViewName

# All views, in the order of a report.
VIEWS: tuple[ViewName, ...] = get_args(ViewName)
KIND_MARKS = {"exact": "=", "lower_bound": "≥", "estimate": "~", "heuristic": "*"}
KIND_WORDS = {
    "exact": "exact: computed without approximation on the test images",
    "lower_bound": "lower bound of the log-likelihood: the model is at least this good "
    "(shown as ≤ in bits/dim, where lower is better)",
    "estimate": "estimate: right on average, with sampling error (of a density of dequantised images, over "
    "draws of the noise)",
    "heuristic": "heuristic: may order models wrongly, never compare it with the other kinds",
}


def view_words(view: str, manifest: Mapping[str, Any] | None = None) -> str:
    """A view's name for headings and, in the binary view, how its pixels became 0 or 1."""
    if view != "binary" or manifest is None:
        return f"{view} view"
    if Schema.from_json(manifest["schema"]).image.levels > 2:
        return "binary view: binarised afresh in training, fixed by the data seed in validation and test"
    whose = "Larochelle's" if manifest["name"] == "mnist_static" else "its publisher's"
    return f"binary view: {whose} fixed binarisation (static)"


def kind_mark(metric: str, kind: str, unit: str) -> str:
    """The sign before a likelihood; a lower bound of it is an upper bound where lower is better, hence ≤."""
    upper = kind == "lower_bound" and declared(metric).direction(unit) == "lower"
    return "≤" if upper else KIND_MARKS[kind]


def escaped(text: str) -> str:
    """Text that Markdown reads as it stands: a heuristic's `*`, underscores and `|` are no signs."""
    for sign in "\\|*_":
        text = text.replace(sign, f"\\{sign}")
    return text


def of_examples(text: str, view: str) -> str:
    """Words about images as they are for the examples of a view: of sentences where those are modelled."""
    return re.sub(r"\bimage(s?)\b", r"sentence\1", text) if view == "tokens" else text
