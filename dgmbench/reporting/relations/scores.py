"""The scores of a view that are set beside each other, turned so that more is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dgmbench.claims.evidence import TASK, Evidence
from dgmbench.claims.inversions import HEADLINE
from dgmbench.claims.inverted import FID, PARZEN
from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import AIS
from dgmbench.reporting.answer.aspects import MEMORISATION
from dgmbench.reporting.comparison.cells import Cell
from dgmbench.reporting.comparison.table import Row


@dataclass(frozen=True)
class Scores:
    """One number for each entry of a view, in one unit. sign: 1 where more is better, else -1."""

    name: str
    sign: int
    cells: Mapping[str, Cell]

    def of(self, model: str) -> float:
        """A model's mean over seeds, more being better."""
        return self.sign * self.cells[model].mean

    def of_seeds(self, model: str, evidence: Evidence) -> dict[int, float]:
        """A model's values by seed, more being better."""
        cell, frame = self.cells[model], evidence.frame
        own = frame[(frame["dataset"] == evidence.dataset) & (frame["model"] == model)]
        own = own[(own["metric"] == cell.metric) & (own["unit"] == cell.unit) & (own["split"] == "test")]
        return {
            int(seed): self.sign * float(value) for seed, value in zip(own["seed"], own["value"], strict=True)
        }


def scores(view: str, evidence: Evidence) -> list[Scores]:
    """Likelihood, Parzen score, FID, memorisation and final task, as far as a view has them."""
    rows = evidence.rows(view)
    tasks = {row.model: task.cell for row in rows if (task := evidence.task(row.model))}
    copies = next((key for key in MEMORISATION.keys if any(key in row.cells for row in rows)), "")
    likelihoods = {row.model: cell for row in rows if (cell := _likelihood(row)) is not None}
    named = [
        ("Parzen score", 1, PARZEN),
        ("sample quality (FID)", -1, FID),
        ("distance to training images", 1, copies),
    ]
    found = [
        Scores(name, sign, {row.model: row.cells[key] for row in rows if key in row.cells})
        for name, sign, key in named
    ]
    found.insert(0, Scores("log-likelihood", 1, likelihoods))
    return [each for each in [*found, Scores(f"error at {TASK} labels", -1, tasks)] if each.cells]


def _likelihood(row: Row) -> Cell | None:
    """The tightest that is not annealed; an annealed one is of few images, and of a GAN with noise added."""
    headline = row.cells.get(HEADLINE)
    if headline is None or headline.metric != AIS.name:
        return headline
    others = [cell for cell in row.bounds.get(headline.unit, ()) if cell.metric != AIS.name]
    return max(others, key=lambda cell: (declared(cell.metric).tightness or 0, cell.mean), default=None)
