from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from places import ROOT
from pydantic import BaseModel, ValidationError

from dgmbench.controls.registry import CONTROLS, control_class
from dgmbench.errors import SettingsError
from dgmbench.models.registry import FAMILIES, family_class
from dgmbench.settings import (
    compose,
    full_settings,
    load_params,
    model_settings,
    pipeline_names,
    render_params,
    select,
    validate,
)
from dgmbench.settings.resolve import DVC_READS

PIPELINES = ROOT / "pipelines"
CONTROL_SETTINGS = [control_class(name).Settings for name in CONTROLS]


def raw(**changes: Any) -> dict[str, Any]:
    settings = compose("digits", PIPELINES)
    for key, value in changes.items():
        target = settings
        *path, last = key.split("__")
        for part in path:
            target = target[part]
        target[last] = value
    return settings


@pytest.mark.parametrize("name", pipeline_names(PIPELINES))
def test_every_pipeline_is_valid(name: str) -> None:
    params = validate(compose(name, PIPELINES), name)
    assert params.pipeline == name
    assert set(full_settings(params)["models"]) == set(params.models)


def test_the_committed_settings_are_the_default_pipeline() -> None:
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == render_params(
        compose("digits", PIPELINES), "digits"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"models__vae__latent_dmi": 3},
            r"params.yaml: unknown key 'models.vae.latent_dmi': did you mean 'latent_dim'\?",
        ),
        (
            {"models__vae__training__epoch": 3},
            r"unknown key 'models.vae.training.epoch': did you mean 'epochs'\?",
        ),
        ({"evaluaton": {}}, r"unknown key 'evaluaton': did you mean 'evaluation'\? Valid: .*classifier"),
        (
            {"evaluation__parzen__sample": 3},
            r"unknown key 'evaluation.parzen.sample': did you mean 'samples'\?",
        ),
        (
            {"models__vae__latent_dim": "many"},
            r"'models.vae.latent_dim' is 'many': Input should be a valid integer",
        ),
        ({"models__vae__latent_dim": -1}, r"'models.vae.latent_dim' is -1: Input should be greater than 0"),
        ({"models__vae__family": "vaee"}, r"'models.vae.family' is 'vaee': did you mean 'vae'\?"),
        (
            {"models__vae__view": "colour"},
            r"'models.vae.view' is 'colour': Input should be 'binary', 'gray', 'color' or 'tokens'",
        ),
        (
            {"models__ppca__view": "binary"},
            r"'models.ppca.view' is 'binary', but ppca has only: gray, color",
        ),
        ({"models__gan__training__select": "best"}, r"'models.gan.training.select' is 'best'"),
        ({"datasets": ["minst"]}, r"unknown data set 'minst' in 'datasets': did you mean 'mnist'\?"),
        ({"datasets": ["mnist_static"]}, r"'models.ppca.view' is 'gray', but mnist_static has only: binary"),
        ({"seeds": [0, 0]}, r"'seeds' is \[0, 0\]: The same entry twice: 0"),
        ({"evaluation__importance_samples": [0]}, r"'evaluation.importance_samples.0' is 0"),
        ({"models": {}}, r"'models' is \{\}"),
        (
            {"models__pixelcnn__kernel": 4},
            r"'models.pixelcnn.kernel' is 4: .*needs an odd kernel size, not 4",
        ),
        ({"models__vae__training__betas": [0.9, 1.5]}, r"'models.vae.training.betas.1' is 1.5"),
        (
            {"models__vae__training__learning_rate": float("inf")},
            r"'models.vae.training.learning_rate' is inf",
        ),
        ({"models__vae__family": ["vae"]}, r"'models.vae.family' is \['vae'\]"),
        (
            {"models__ppca__latent_dims": [64]},
            r"'models.ppca' does not fit digits: latent_dims: 64 is not below",
        ),
        ({"sampling__n": 500}, r"'evaluation.fid_samples' is 1000, but only 500 \(sampling.n\) are drawn"),
        ({"training__device": "mps"}, r"'training.device' is 'mps'"),
    ],
)
def test_bad_settings_name_key_file_and_choices(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        validate(raw(**change), "params.yaml")


def test_a_missing_family_lists_the_families() -> None:
    settings = raw()
    del settings["models"]["vae"]["family"]
    listed = ", ".join(sorted(FAMILIES))
    with pytest.raises(SettingsError, match=rf"'models.vae.family' is missing. Valid: {listed}"):
        validate(settings, "params.yaml")


def test_all_bad_keys_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        validate(raw(evaluaton={}, sampling__m=1), "params.yaml")
    assert "evaluaton" in str(caught.value)
    assert "sampling.m" in str(caught.value)


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = yaml.safe_dump(raw(models__vae__training__learning_rate=0.001))
    path.write_text(text.replace("learning_rate: 0.001\n", "learning_rate: 1e-3\n"), encoding="utf-8")
    models = full_settings(load_params(path))["models"]
    assert models["vae"]["training"]["learning_rate"] == 1e-3


@pytest.mark.parametrize(
    ("text", "message"), [("- a\n", "holds list, not settings"), ("a: [", "is not valid YAML")]
)
def test_files_that_are_not_settings(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="`python -m dgmbench use digits` writes it"):
        load_params(tmp_path / "params.yaml")


def test_pipelines_merge_replace_and_take_out(tmp_path: Path) -> None:
    low = "a: {x: 1, y: [1, 2]}\nmodels: {m: {p: 1}, n: {p: 2}}\ncontrols: {c: {}, d: {}}\n"
    (tmp_path / "low.yaml").write_text(low)
    (tmp_path / "high.yaml").write_text("extends: low\na: {y: [3]}\nmodels: {m: null}\ncontrols: {c: null}\n")
    assert compose("high", tmp_path) == {
        "a": {"x": 1, "y": [3]},
        "models": {"n": {"p": 2}},
        "controls": {"d": {}},
        "orders": [],
        "pipeline": "high",
    }


def test_circles_and_unknown_pipelines_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("extends: two\n")
    (tmp_path / "two.yaml").write_text("extends: one\n")
    with pytest.raises(SettingsError, match="in a circle: one -> two -> one"):
        compose("one", tmp_path)
    with pytest.raises(SettingsError, match="unknown pipeline 'digit': did you mean 'digits'"):
        compose("digit", PIPELINES)


def test_a_part_of_a_pipeline_keeps_its_settings_and_gets_a_name_of_its_own() -> None:
    whole = compose("digits-all", PIPELINES)
    part = select(whole, ["vae_2d", "ae"], [5, 6], "digits-all.yaml")
    assert list(part["models"]) == ["vae_2d", "ae"] and part["models"]["ae"] == whole["models"]["ae"]
    assert part["seeds"] == [5, 6] and part["controls"] == {}
    assert validate(part, "digits-all.yaml").pipeline == "digits-all-selection"
    assert select(whole, None, [7], "x")["models"] == whole["models"]
    with pytest.raises(SettingsError, match=r"digits-all.yaml: no model 'vae_2': did you mean 'vae_2d'\?"):
        select(whole, ["vae_2"], None, "digits-all.yaml")


def parameters_of_dvc() -> dict[str, set[str]]:
    """The sections of params.yaml that each stage of dvc.yaml names."""
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    named = {
        name: {key.partition(".")[0] for key in stage.get("params", [])}
        for name, stage in yaml.safe_load(text)["stages"].items()
    }
    # Those that it takes values or the entries of a matrix from.
    return named | {"": set(re.findall(r"\$\{([a-z]+)\}", text))}


def test_the_report_depends_on_every_setting_that_it_reads() -> None:
    assert {"pipeline", "datasets", "models", "controls", "orders"} <= parameters_of_dvc()["report"]


def test_check_knows_what_dvc_needs() -> None:
    assert set(DVC_READS) == set().union(*parameters_of_dvc().values())
    assert set(DVC_READS) <= set(yaml.safe_load(render_params(compose("smoke", PIPELINES), "smoke")))


SMALLEST = "datasets: [digits]\nseeds: [0]\nmodels: {ppca: {family: ppca, view: gray, latent_dims: [2]}}\n"


@pytest.mark.parametrize("drawn", [None, 2, 500, 20_000])
def test_defaults_agree_whatever_is_drawn(drawn: int | None, tmp_path: Path) -> None:
    """A pipeline of data sets, seeds and models alone is whole, and so is its params.yaml."""
    text = SMALLEST if drawn is None else f"{SMALLEST}sampling: {{n: {drawn}}}\n"
    (tmp_path / "small.yaml").write_text(text)
    (tmp_path / "params.yaml").write_text(render_params(compose("small", tmp_path), "small"))
    params = load_params(tmp_path / "params.yaml")
    drawn = params.sampling.n
    assert params.evaluation.fid_samples == params.evaluation.parzen.samples == min(10_000, drawn)
    assert params.evaluation.neighbour_samples == min(1000, drawn)


@pytest.mark.parametrize("key", ["fid_samples", "neighbour_samples", "parzen"])
def test_what_is_asked_for_is_not_cut(key: str) -> None:
    asked = {key: {"samples": 600} if key == "parzen" else 600}
    small = yaml.safe_load(SMALLEST) | {"pipeline": "small", "sampling": {"n": 500}, "evaluation": asked}
    with pytest.raises(SettingsError, match=r"is 600, but only 500 \(sampling.n\) are drawn"):
        validate(small, "small.yaml")


def test_the_largest_seed_is_what_tables_hold() -> None:
    small = yaml.safe_load(SMALLEST) | {"pipeline": "small"}
    assert validate(small | {"seeds": [2**63 - 1]}, "small.yaml").seeds == [2**63 - 1]
    for section in ("data", "evaluation", "classifier"):
        with pytest.raises(SettingsError, match=rf"'{section}.seed' is 9223372036854775808"):
            validate(small | {section: {"seed": 2**63}}, "small.yaml")


def test_strict_types_take_integers_for_floats_and_lists_for_pairs() -> None:
    settings = raw(models__vae__training__learning_rate=1, evaluation__parzen__log10_bandwidths=[-1, 0])
    params = validate(settings, "params.yaml")
    assert model_settings(params, "vae").training.learning_rate == 1.0
    assert params.evaluation.parzen.log10_bandwidths == (-1.0, 0.0)


@pytest.mark.parametrize("schema", [*(family_class(name).Settings for name in FAMILIES), *CONTROL_SETTINGS])
def test_every_block_is_strict(schema: type[BaseModel]) -> None:
    """No integer takes a bool, a float or text, at any depth; no float takes a bool or text."""
    for path, kind in numbers_of(schema):
        for value in (True, "1", 1.0, float("nan"), [1]):
            if isinstance(value, float) and value == 1.0 and kind is float:
                continue
            block: Any = value
            for key in reversed(path):
                block = [block] if key == "" else {key: block}
            with pytest.raises(ValidationError) as caught:
                schema.model_validate(block)
            found = [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()]
            assert ".".join(key or "0" for key in path) in found, (path, value)


def numbers_of(schema: type[BaseModel], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], type]]:
    """Where the integers and floats of a block stand; "" for the entries of a list."""
    found: list[tuple[tuple[str, ...], type]] = []
    for name, field in schema.model_fields.items():
        found += numbers_in(field.annotation, (*above, name))
    return found


def numbers_in(annotation: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], type]]:
    if annotation in (int, float):
        return [(path, annotation)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return numbers_of(annotation, path)
    entries = get_origin(annotation) in (list, tuple)
    inside = get_args(annotation)[:1] if get_origin(annotation) is not Literal else ()
    return [each for part in inside for each in numbers_in(part, (*path, "") if entries else path)]
