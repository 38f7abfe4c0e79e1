"""The claims of the 2017 UvA lecture "Unsupervised learning, representation and generative models".

Each is judged on each data set of images by hypotheses and thresholds that were argued from what the claim
means. They were written by somebody who had seen the tables of digits, and the allowance for a machine's load
(`comparison.LOAD`) came after a verdict there: only other data sets are judged unseen.

An interval at 95 % decides each claim; over all claims there is no correction, so that about one verdict in
forty may be due to chance where nothing is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dgmbench.claims import autoencoders, evaluation, gan, pixelrnn, vae
from dgmbench.claims.card import Card, Claim
from dgmbench.claims.evidence import VIEWS, Evidence
from dgmbench.reporting.comparison.table import Table
from dgmbench.reporting.findings import ControlFinding

# In the order of the lecture.
CLAIMS: tuple[Claim, ...] = (
    *autoencoders.CLAIMS,
    *vae.CLAIMS,
    *gan.CLAIMS,
    *pixelrnn.CLAIMS,
    *evaluation.CLAIMS,
)


def cards(
    tables: Sequence[Table],
    frame: pd.DataFrame,
    findings: Sequence[ControlFinding],
    families: Mapping[str, str],
) -> list[Card]:
    """A card for each claim on each data set of images, data sets in the order of the tables.

    tables: of views and of errors by labels, as the report has them. frame: all records. families: of each
    entry, by name, in the order of the settings.
    """
    datasets = dict.fromkeys(table.dataset for table in tables if table.view in VIEWS)
    found = []
    for dataset in datasets:
        evidence = Evidence(
            dataset,
            [table for table in tables if table.dataset == dataset],
            frame,
            [finding for finding in findings if finding.dataset == dataset],
            families,
        )
        found += [claim.card(evidence) for claim in CLAIMS]
    return found
