"""The picture of a search: every entry's scores by step size, what was committed and what was chosen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgmbench.files import replacing
from dgmbench.search.rows import Row, key_of
from dgmbench.search.settings import SearchSettings

if TYPE_CHECKING:
    from dgmbench.search.table import Choice

RATE = "training.learning_rate"
LIMITS = (7e-5, 5e-2)
STYLES = {
    "trial": {"marker": "o", "color": "#7f7f7f", "label": "trial"},
    "confirm": {"marker": "o", "color": "#1f77b4", "label": "again, other seeds"},
    "longer": {"marker": "^", "color": "#2ca02c", "label": "longer"},
}


def draw_search(
    search: SearchSettings, rows: dict[str, list[Row]], choices: list[Choice], path: Path
) -> None:
    """Small multiples, one for each entry with a step size; lower is better in all. Writes a PNG."""
    from matplotlib.figure import Figure

    drawn = [choice for choice in choices if RATE in choice.settings]
    if not drawn:
        return
    columns = min(5, len(drawn))
    height = math.ceil(len(drawn) / columns)
    figure = Figure(figsize=(2.6 * columns, 2.3 * height + 0.5), layout="constrained")
    axes = figure.subplots(height, columns, squeeze=False)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    for axis, choice in zip(axes.flat, drawn, strict=False):
        _draw_entry(axis, rows[choice.entry], choice)
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        drawn_here, labels = axis.get_legend_handles_labels()
        handles |= dict(zip(labels, drawn_here, strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False)
    with replacing(path) as aside:
        figure.savefig(aside, dpi=90, format="png")


def _draw_entry(axis: Any, rows: list[Row], choice: Choice) -> None:
    finished = [row for row in rows if row.value is not None and math.isfinite(row.value)]
    for step, style in STYLES.items():
        own = [row for row in finished if row.step == step]
        if own:
            axis.scatter([row.settings[RATE] for row in own], [row.value for row in own], s=18, **style)
    committed = [row for row in finished if row.committed]
    if committed:
        axis.axhline(choice.committed, color="#d62728", lw=1, ls="--", label="committed, mean")
    best = [row for row in finished if key_of(row.settings) == key_of(choice.settings)]
    chosen = [row for row in best if row.step == "confirm"]
    axis.scatter(
        [row.settings[RATE] for row in chosen],
        [row.value for row in chosen],
        s=70,
        facecolors="none",
        edgecolors="k",
        label="chosen",
    )
    from matplotlib.ticker import NullFormatter

    values = sorted(row.value for row in finished if row.value is not None)
    # Diverged or poor trials would flatten the rest.
    top = values[max(0, math.ceil(0.8 * len(values)) - 1)]
    margin = 0.08 * (top - values[0]) or 1.0
    axis.set_ylim(values[0] - margin, top + margin)
    axis.set_xscale("log")
    axis.set_xlim(*LIMITS)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("step size at the start", fontsize=8)
    unit = {"fid_domain": "FID", "error": "%"}.get(choice.objective, "nats")
    axis.set_title(f"{choice.entry} ({unit})", fontsize=9)
    axis.tick_params(labelsize=7)
