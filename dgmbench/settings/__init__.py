"""The settings of a pipeline: their schema, how pipelines compose, and errors that name the bad key.

`params.yaml` is what DVC tracks and every stage reads; `python -m dgmbench use NAME` composes it from
`pipelines/NAME.yaml`. The same schema serves a smoke test and a full run.
"""

from dgmbench.settings.compose import (
    PIPELINES,
    compose,
    pipeline_names,
    render_params,
    select,
    where_of,
)
from dgmbench.settings.machine import check_machine
from dgmbench.settings.places import mirror_of, mirror_of_environment
from dgmbench.settings.read import parse_yaml, read_yaml
from dgmbench.settings.resolve import (
    PARAMS,
    RESERVED,
    check_entries,
    classifier_views,
    control_settings,
    full_settings,
    load_params,
    model_settings,
    read_params,
    validate,
)
from dgmbench.settings.schema import (
    AnnealingSettings,
    ClassifierSettings,
    DataSettings,
    EvaluationSettings,
    InceptionSettings,
    Order,
    Params,
    ParzenSettings,
    SamplingSettings,
    TrainingSettings,
)

__all__ = [
    "PARAMS",
    "PIPELINES",
    "RESERVED",
    "AnnealingSettings",
    "ClassifierSettings",
    "DataSettings",
    "EvaluationSettings",
    "InceptionSettings",
    "Order",
    "Params",
    "ParzenSettings",
    "SamplingSettings",
    "TrainingSettings",
    "check_entries",
    "check_machine",
    "classifier_views",
    "compose",
    "control_settings",
    "full_settings",
    "load_params",
    "mirror_of",
    "mirror_of_environment",
    "model_settings",
    "parse_yaml",
    "pipeline_names",
    "read_params",
    "read_yaml",
    "render_params",
    "select",
    "validate",
    "where_of",
]
