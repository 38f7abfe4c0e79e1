"""Made-up results of three families with known numbers, for tests of the answer."""

from __future__ import annotations

from typing import Any

import pandas as pd
from fabricate import frame_of, row

from dgmbench.reporting.answer.answer import Answer, answers
from dgmbench.reporting.comparison.by_labels import by_labels
from dgmbench.reporting.comparison.from_records import comparisons

FAMILIES = {"vae": "vae", "gan": "gan", "pixelcnn": "pixelcnn", "vae_large": "vae"}
# Mean by entry and metric; seeds lie `SPREAD` of it around.
LIKELIHOOD = {"vae": -90.0, "pixelcnn": -80.0, "vae_large": -70.0}
FID = {"vae": 9.0, "gan": 3.0, "pixelcnn": 6.0}
RATE = {"vae": 1000.0, "gan": 1100.0, "pixelcnn": 10.0}
ERROR = {"vae": 20.0, "gan": 20.1}
SPREAD = 0.001


def records(seeds: int = 3, **changed: dict[str, float]) -> pd.DataFrame:
    """Records of all entries; `changed` gives other means by entry, for `fid`, `ratio` and so on."""
    metrics: dict[str, tuple[dict[str, float], dict[str, Any]]] = {
        "log_likelihood": (LIKELIHOOD, {"std_error": 0.01}),
        "fid_domain": (FID, {"unit": "1", "std_error": None}),
        "nn_distance_ratio": (dict.fromkeys(FID, 1.2), {"unit": "1", "std_error": None}),
        "probe_error_100": (ERROR, {"unit": "percent", "std_error": 1.0}),
        "sampling_rate": (RATE, {"unit": "images_per_second", "std_error": None}),
    }
    rows = [
        row(model, seed, metric, mean * (1 + SPREAD * (seed - 1)), **about)
        for metric, (means, about) in metrics.items()
        for model, mean in (means | changed.get(metric, {})).items()
        for seed in range(seeds)
    ]
    order = list(FAMILIES)
    return frame_of(*sorted(rows, key=lambda own: order.index(own["model"])))


def answer_of(frame: pd.DataFrame, families: dict[str, str] | None = None) -> Answer:
    """The answer on records of one data set and view."""
    tables = comparisons(frame, list(FAMILIES))
    labels = by_labels(frame, "d")
    (found,) = answers([*([labels] if labels else []), *tables], frame, families or FAMILIES)
    return found
