"""Footnotes of a table on its intervals: what each is over, how two models are compared, what bold means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgmbench.reporting.comparison.cells import Cell, Column

if TYPE_CHECKING:
    from dgmbench.reporting.comparison.table import Table

BOTH = (
    "a ± b (c): mean over seeds with 95 % intervals. b is over trainings and test images, which all seeds "
    "share; c is over trainings alone (Student's t), as if the test images were all there are."
)
PAIRED = (
    "Differences of two models are taken image by image on the test images that both have been scored on: "
    "what an image contributes to both cancels."
)
BOLD = (
    "Bold: best in its column; the 95 % interval of its difference from each other model, over trainings and "
    "test images, leaves zero out. Where a rival shows only a lower bound, its true likelihood may be higher."
)


def interval_notes(table: Table) -> list[str]:
    """All of them, as far as the table has such intervals."""
    columns = [(column, _cells(table, column)) for column in table.columns]
    every = [cell for _, cells in columns for cell in cells]
    alone = dict.fromkeys(column.label for column, cells in columns if _trainings_alone(cells))
    notes = [BOTH] if any(cell.combined is not None for cell in every) else []
    if alone:
        notes.append(
            f"a ± c: 95 % interval over trainings alone, in {', '.join(alone)}; test images play no part in "
            "these, or their part is not known."
        )
    if any(cell.n < 2 for cell in every):
        notes.append("(1 seed): ± is over test images alone; nothing is known about other trainings.")
    if any(cell.points is not None for cell in every):
        notes.append(PAIRED)
    return [*notes, *(note for column, cells in columns for note in _mixed(column, cells)), BOLD]


def _trainings_alone(cells: list[Cell]) -> bool:
    spread = any(cell.n > 1 and cell.half_width for cell in cells)
    return spread and all(cell.combined is None for cell in cells)


def _mixed(column: Column, cells: list[Cell]) -> list[str]:
    """That a column mixes bounds, and which."""
    named = sorted({cell.bound for cell in cells if cell.bound})
    if not named:
        return []
    return [
        f"{column.label} mixes bounds ({', '.join(named)}), each model's tightest; it is no ranking by "
        "itself. Two models are compared by the tightest bound that both have, an exact value by any bound."
    ]


def _cells(table: Table, column: Column) -> list[Cell]:
    return [row.cells[column.key] for row in table.rows if column.key in row.cells]
