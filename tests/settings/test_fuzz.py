"""Random mutations of the settings of `digits` either validate or raise SettingsError."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import ROOT

from dgmbench.errors import SettingsError
from dgmbench.models.registry import FAMILIES, family_class
from dgmbench.settings import compose, full_settings, render_params, validate

PIPELINES = ROOT / "pipelines"
DIGITS = compose("digits", PIPELINES)
EVERY_CONTROL = compose("digits-controls", PIPELINES)["controls"]

NUMBERS = st.sampled_from(
    [0, 1, 2, -1, 3, 1000, 10**9, 2**31, 2**62, 2**63 - 1, 2**63, 10**30]
) | st.sampled_from([0.5, 1.0, -1.5, 1e30, 1e308, float("inf"), float("-inf"), float("nan"), True, False])
WORDS = st.sampled_from(
    ["", "1", "auto", "gray", "binary", "vae", "ppca", "a" * 250, "é", "\0", "\ud800", "none"]
)
SCALARS = NUMBERS | WORDS | st.none() | st.integers(-5, 200) | st.floats()
KEYS = WORDS | st.sampled_from([1, True, None, 1.5, "family", "view", "training", "latent_dim"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=4,
)
FIELDS = {name: sorted(family_class(name).Settings.model_fields) for name in FAMILIES}


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Digits with two of its models, or any family, and up to three changes anywhere."""
    raw: dict[str, Any] = copy.deepcopy(DIGITS)
    kept = draw(st.lists(st.sampled_from(sorted(raw["models"])), min_size=1, max_size=2, unique=True))
    raw["models"] = {name: raw["models"][name] for name in kept}
    family = draw(st.sampled_from(sorted(FAMILIES)))
    raw["models"]["any"] = {"family": family, "view": draw(st.sampled_from(["gray", "binary"]))}
    for field in draw(st.lists(st.sampled_from(FIELDS[family]), max_size=2)):
        raw["models"]["any"][field] = draw(VALUES)
    raw["controls"] = {
        name: copy.deepcopy(EVERY_CONTROL[name])
        for name in draw(st.lists(st.sampled_from(sorted(EVERY_CONTROL)), max_size=1))
    }
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, raw)
    return raw


def _change(draw: st.DrawFn, node: Any) -> None:
    """Replace, add or remove something at a random place below `node`."""
    while node:
        places = sorted(node, key=str) if isinstance(node, dict) else range(len(node))
        place = draw(st.sampled_from(list(places)))
        if isinstance(node[place], dict | list) and draw(st.integers(0, 3)):
            node = node[place]
            continue
        action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove":
            del node[place]
        elif action == "replace":
            node[place] = draw(VALUES)
        elif isinstance(node, dict):
            node[draw(KEYS)] = draw(VALUES)
        else:
            node.append(draw(VALUES))
        return


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=mutated())
def test_mutated_settings_validate_or_raise_settings_errors(raw: dict[str, Any]) -> None:
    try:
        params = validate(raw, "file")
    except SettingsError as error:
        assert all(line.startswith("file: ") for line in str(error).splitlines())
    else:
        full_settings(params)
        render_params(raw, "digits")
