from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from places import ROOT

from dgmbench.errors import SettingsError
from dgmbench.search.settings import SEARCHES, SearchSettings, check, load_search
from dgmbench.search.space import Choices, Range, value_at, with_settings
from dgmbench.settings import model_settings

COMMITTED = sorted(path.stem for path in (ROOT / "searches").glob("*.yaml") if path.stem != "dvc")


def committed(name: str = "digits") -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / SEARCHES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", COMMITTED)
def test_every_search_fits_its_pipeline(name: str) -> None:
    check(load_search(SEARCHES / f"{name}.yaml"), name)


@pytest.mark.parametrize("name", COMMITTED)
def test_every_trained_entry_has_as_many_settings_to_tune(name: str) -> None:
    entries = load_search(SEARCHES / f"{name}.yaml").entries.values()
    assert {len(entry.space) for entry in entries if entry.epochs is not None} == {4}


def test_an_unknown_search_names_the_ones_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no search 'digit': did you mean 'digits'\?"):
        load_search(SEARCHES / "digit.yaml")


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(committed() | {"trails": 3}), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"unknown key 'trails': did you mean 'trials'\?"):
        load_search(path)


def changed(**changes: Any) -> SearchSettings:
    return SearchSettings.model_validate(committed() | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "mnist"}, r"'dataset' mnist: .*Valid: digits"),
        ({"trial_seed": 10}, r"seeds \[10\] are reported by digits"),
        ({"entries": {"vaee": {}}}, r"'entries.vaee': no such model: did you mean 'vae'\?"),
        ({"entries": {"vae": {}}}, "'entries' lacks ae, bernoulli_mixture, .*every|lacks ae"),
    ],
)
def test_a_search_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check(changed(**change), "s.yaml")


@pytest.mark.parametrize(
    ("entry", "change", "message"),
    [
        ("vae", {"space": {"latent_dim": [8, -1]}}, r"entries.vae.space.latent_dim.*latent_dim' is -1"),
        ("vae", {"space": {"latent_dmi": [8, 9]}}, r"did you mean 'latent_dim'\?"),
        ("vae", {"space": {"latent_dim": [7, 9]}}, r"space.latent_dim' leaves out \d+, which digits has"),
        ("vae", {"objective": "fid_domain"}, "fid_domain is of gray images, not binary"),
        ("vae", {"objective": "error"}, "vae is no classifier: score it by loss or fid_domain"),
        ("m1", {"epochs": 4}, "m1 is a classifier: score it by error"),
    ],
)
def test_a_space_that_a_family_refuses_is_named(entry: str, change: dict[str, Any], message: str) -> None:
    entries = committed()["entries"]
    entries[entry] = entries.get(entry, {}) | change
    with pytest.raises(SettingsError, match=message):
        check(changed(entries=entries), "s.yaml")


def test_a_repeated_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="name a seed twice"):
        changed(confirming_seeds=[100, 101])


@pytest.mark.parametrize("bad", [{"low": 2.0, "high": 1.0}, {"low": 0.0, "high": 1.0, "log": True}])
def test_a_range_is_ordered_and_logarithms_are_of_positive_numbers(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not below|above 0"):
        Range.model_validate(bad)


@pytest.mark.parametrize("value", [8, "tanh", [16], {"a": [1, None]}, True])
def test_choices_of_any_kind_come_back(value: Any) -> None:
    choices = Choices([value, "other"])
    assert choices.decode(choices.encode(value)) == value
    assert choices.encode(value) in choices.distribution().choices  # type: ignore[attr-defined]


def test_what_is_tried_has_three_digits() -> None:
    assert Range(low=1e-4, high=1e-2, log=True).decode(0.00123456) == 0.00123
    assert Range(low=1e-4, high=1e-2).holds(1e-2)
    assert not Range(low=1e-4, high=1e-2).holds(1.0)


def test_settings_go_to_dotted_keys_of_a_copy() -> None:
    block = {"family": "vae", "training": {"epochs": 3}}
    changed_block = with_settings(block, {"training.learning_rate": 0.1, "latent_dim": 4})
    assert changed_block == {
        "family": "vae", "training": {"epochs": 3, "learning_rate": 0.1}, "latent_dim": 4,
    }  # fmt: skip
    assert block == {"family": "vae", "training": {"epochs": 3}}
    assert value_at(changed_block, "training.learning_rate") == 0.1


@pytest.mark.parametrize(
    ("dimension", "inside", "ends"),
    [
        (Range(low=1e-4, high=1e-2, log=True), [2e-4, 1e-3, 6e-3], [1e-4, 1.1e-4, 9.5e-3, 1e-2]),
        (Range(low=0.0, high=1.0), [0.1, 0.5], [0.0, 0.01, 0.99]),
        (Choices([16, 8, 32]), [16], [8, 32]),
        (Choices([2, 4]), [], [2, 4]),
        (Choices(["relu", "tanh"]), ["relu", "tanh"], []),
        (Choices([[1, 2], [3, 4]]), [[1, 2], [3, 4]], []),
    ],
)
def test_values_at_an_end_of_what_is_searched_are_known(
    dimension: Range | Choices, inside: list[Any], ends: list[Any]
) -> None:
    assert not any(dimension.is_end(value) for value in inside)
    assert all(dimension.is_end(value) for value in ends)


@pytest.mark.parametrize("name", COMMITTED)
def test_the_pipeline_has_what_the_search_chose(name: str) -> None:
    """And reports seeds that the search did not use; its lengths of training are the search's."""
    search = load_search(SEARCHES / f"{name}.yaml")
    params = check(search, name)
    chosen = json.loads((ROOT / "reports" / f"{name}-search" / "chosen.json").read_text(encoding="utf-8"))
    for entry, choice in chosen.items():
        present = model_settings(params, entry).model_dump(mode="json")
        assert {key: value_at(present, key) for key in choice["settings"]} == choice["settings"], entry
        assert choice["epochs"] in (None, present["training"]["epochs"])
