"""Whether two scores of a view order models, and seeds, the same way.

Only scores of one view and unit meet: a likelihood of the binary view says nothing of one of the gray view.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from dgmbench.claims.evidence import VIEWS, Evidence
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.relations.ranks import Correlation, over_models, over_seeds
from dgmbench.reporting.relations.scores import Scores, scores

NOTE = (
    "Spearman's ρ of ranks. Scores are turned so that more is better, FID and errors by their sign: +1 means "
    "that two scores order alike, −1 that they order the other way round. Over models: of means over seeds, "
    "every entry of the view counts once. Over seeds: within each model, so that what differs between models "
    "plays no part. p is two-sided and, for few values, counts all permutations; it is not corrected for the "
    "number of pairs. A likelihood is each model's tightest bound but for annealed ones: a loose one ranks "
    "too low. Annealed bounds (AIS) are of few images, so that models with no other have no rank in "
    "likelihood. A large distance to training images may also mean poor samples. A gap: too few values for "
    "any order to be rare."
)


@dataclass(frozen=True)
class Relation:
    """Two scores by name; None for a correlation that there are too few values for."""

    first: str
    second: str
    models: int
    over_models: Correlation | None
    over_seeds: Correlation | None


@dataclass(frozen=True)
class Relations:
    """All relations of a data set and view."""

    dataset: str
    view: str
    rows: Sequence[Relation]


def relations(tables: Sequence[Table], frame: pd.DataFrame, families: Mapping[str, str]) -> list[Relations]:
    """For each data set and view of images with two scores at least.

    tables: of views and of errors by labels. frame: all records. families: of each entry, by name.
    """
    found = []
    for table in tables:
        if table.view in VIEWS:
            own = [each for each in tables if each.dataset == table.dataset]
            evidence = Evidence(table.dataset, own, frame, (), families)
            pairs = combinations(scores(table.view, evidence), 2)
            rows = [relation(first, second, evidence) for first, second in pairs]
            found.append(Relations(table.dataset, table.view, [row for row in rows if row.models]))
    return [each for each in found if each.rows]


def relation(first: Scores, second: Scores, evidence: Evidence) -> Relation:
    """How two scores relate over the models that have both, and over their seeds."""
    models = [model for model in first.cells if model in second.cells]
    means = [[own.of(model) for model in models] for own in (first, second)]
    seeds = [_of_seeds(model, first, second, evidence) for model in models]
    return Relation(first.name, second.name, len(models), over_models(*means), over_seeds(seeds))


def _of_seeds(
    model: str, first: Scores, second: Scores, evidence: Evidence
) -> tuple[list[float], list[float]]:
    """A model's values in both scores, of the seeds that have both."""
    one, two = (own.of_seeds(model, evidence) for own in (first, second))
    seeds = [seed for seed in one if seed in two]
    return [one[seed] for seed in seeds], [two[seed] for seed in seeds]
