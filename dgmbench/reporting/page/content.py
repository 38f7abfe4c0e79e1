"""All that the page is made from, and nothing else: results of a pipeline and what was drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dgmbench.claims.card import Card
from dgmbench.reporting.answer.answer import Answer
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.figures.canvas import Picture
from dgmbench.reporting.findings import ControlFinding
from dgmbench.reporting.relations.relations import Relations
from dgmbench.reporting.run_files import Run
from dgmbench.reporting.sentences import Sentences


@dataclass(frozen=True)
class Content:
    """What `reporting.report` gathers.

    params: the composed settings. frame: all records. tables: of views and of errors by labels. left_out:
    what evaluations could not measure. sentences: by data set. cards: verdicts on the lecture's claims.
    answers, relations: by data set and view.
    """

    params: Mapping[str, Any]
    frame: pd.DataFrame
    tables: Sequence[Table]
    runs: Sequence[Run]
    manifests: Mapping[str, Mapping[str, Any]]
    pictures: Sequence[Picture] = ()
    findings: Sequence[ControlFinding] = ()
    left_out: Sequence[Mapping[str, Any]] = ()
    sentences: Mapping[str, Sequence[Sentences]] = field(default_factory=dict)
    cards: Sequence[Card] = ()
    answers: Sequence[Answer] = ()
    relations: Sequence[Relations] = ()
