"""Invented results of a data set `d`, and the card that a claim gives on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fabricate import frame_of, row

from dgmbench.claims.card import Card
from dgmbench.claims.lecture import cards
from dgmbench.reporting.comparison.by_labels import by_labels
from dgmbench.reporting.comparison.from_records import comparisons
from dgmbench.reporting.findings import ControlFinding

Lines = list[dict[str, Any]]
# Entries by family; names that say nothing, since claims may not go by them.
FAMILIES = {
    "a": "vae",
    "b": "gan",
    "c": "dcgan",
    "d": "pixelcnn",
    "e": "independent",
    "f": "autoencoder",
    "g": "ppca",
    "variant": "vae",
}
VAE, GAN, DCGAN, PIXEL, PLAIN, AE, PPCA, VARIANT = FAMILIES
# Metric, unit and kind of the columns that claims read.
FID = {"metric": "fid_domain", "unit": "1", "kind": "estimate", "std_error": 0.1}
RECALL = {"metric": "recall", "unit": "1", "kind": "estimate", "std_error": 0.01}
RATE = {"metric": "sampling_rate", "unit": "images_per_second", "kind": "estimate", "std_error": None}
SECONDS = {"metric": "training_seconds", "unit": "seconds", "kind": "exact", "std_error": None}
EXACT = {"metric": "log_likelihood", "std_error": 0.1}
BOUND = {"metric": "log_likelihood_is_50", "kind": "lower_bound", "std_error": 0.1}
PARZEN = {"metric": "log_likelihood_parzen", "kind": "heuristic", "std_error": 0.1}
MEANS = {"metric": "edge_sharpness_ratio_mean", "unit": "1", "kind": "estimate", "std_error": 0.005}
EDGES = {"metric": "edge_sharpness_ratio", "unit": "1", "kind": "estimate", "std_error": 0.005}
PROBE = {"metric": "probe_error_100", "unit": "percent", "std_error": 0.5}


def lines(
    metric: Mapping[str, Any], values: Mapping[str, float], spread: float = 0.01, seeds: int = 3, **other: Any
) -> Lines:
    """A metric of several models, whose seeds differ from each other by a share `spread` of the value."""
    found = []
    for model, value in values.items():
        for seed in range(seeds):
            fields = {"view": "gray", **metric, **other}
            own = value * (1 + spread * (seed - (seeds - 1) / 2))
            found.append(row(model, seed, fields.pop("metric"), own, **fields))
    return found


def finding(control: str, outcome: str) -> ControlFinding:
    """What a control said."""
    return ControlFinding("d", control, control, "claim", "source", outcome, f"{control} says it.", (), ())


def cards_of(
    rows: Lines, findings: Sequence[ControlFinding] = (), families: Mapping[str, str] = FAMILIES
) -> dict[str, Card]:
    """The cards of results, by claim."""
    rows = rows + [row(f"control/{each.control}/x", 0, "parzen_gap", 1.0, view="gray") for each in findings]
    frame = frame_of(*rows)
    tables = [*comparisons(frame, list(families)), by_labels(frame, "d")]
    there = [table for table in tables if table is not None]
    return {card.name: card for card in cards(there, frame, findings, families)}
