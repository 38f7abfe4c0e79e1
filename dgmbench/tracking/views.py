"""The view of an experiment's runs that `python -m dgmbench ui` opens: which runs, which columns.

MLflow keeps shared views in tags of the experiment and opens one by its key in the address.
"""

from __future__ import annotations

import json

from dgmbench.reporting.headlines import FAILED, HEADLINES

KEY = "dgmbench"
_METRICS = [headline.key for headline in HEADLINES]
_VIEW = {
    "searchFilter": "tags.level = 'model' and tags.`dgmbench.superseded` = 'false'",
    "orderByKey": "tags.`view`",
    "orderByAsc": True,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": [
        *(f"metrics.`{name}`" for name in [*_METRICS, FAILED]),
        "tags.`pipeline`",
        "tags.`view`",
        "tags.`seeds`",
    ],
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runListHidden": False,
}
VIEW_TAGS = {f"mlflow.sharedViewState.{KEY}": json.dumps(_VIEW)}


def address(port: int, experiment: str) -> str:
    """Where the UI shows an experiment's runs in that view."""
    return f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs?viewStateShareKey={KEY}"
