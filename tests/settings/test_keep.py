"""Pipelines that keep some entries of those they extend."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgmbench.errors import SettingsError
from dgmbench.settings import compose

BASE = """
datasets: [digits]
seeds: [0]
models:
  a: {family: ppca, view: gray}
  b: {family: vae, view: binary}
  c: {family: iwae, view: binary}
controls: {pixel_shift: {}, noise_mixture: {}}
orders:
  - {better: b, worse: c, source: x}
"""


def composed(folder: Path, own: str) -> dict[str, object]:
    (folder / "base.yaml").write_text(BASE)
    (folder / "own.yaml").write_text("extends: base\n" + own)
    return compose("own", folder)


def test_what_is_not_kept_is_gone_with_its_orders_and_own_entries_stay(tmp_path: Path) -> None:
    found = composed(tmp_path, "keep: [a, b]\nmodels: {b: {latent_dim: 3}, d: {family: vae, view: gray}}\n")
    assert found["models"] == {
        "a": {"family": "ppca", "view": "gray"},
        "b": {"family": "vae", "view": "binary", "latent_dim": 3},
        "d": {"family": "vae", "view": "gray"},
    }
    assert found["orders"] == [] and list(found["controls"]) == ["pixel_shift", "noise_mixture"]  # type: ignore[call-overload]
    assert "keep" not in found


def test_controls_are_kept_by_name_or_none_of_them(tmp_path: Path) -> None:
    assert list(composed(tmp_path, "keep_controls: [pixel_shift]\n")["controls"]) == ["pixel_shift"]  # type: ignore[call-overload]
    everything = composed(tmp_path, "keep_controls: []\n")
    assert everything["controls"] == {} and len(everything["models"]) == 3  # type: ignore[arg-type]
    assert len(everything["orders"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("keep: [a, bb]", r"own\.yaml: 'keep': there is no 'bb': did you mean 'b'"),
        ("keep: a", r"own\.yaml: 'keep' is 'a': it should be a list of names"),
        ("keep: [1]", "it should be a list of names"),
        ("keep_controls: [pixel]", "'keep_controls': there is no 'pixel'"),
        ("keep: [a]\nmodels: {b: null}", "'models.b' is null, but there is no 'b' to take out"),
    ],
)
def test_a_wrong_list_is_named_with_its_file(tmp_path: Path, own: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        composed(tmp_path, own + "\n")


def test_a_pipeline_that_extends_none_has_nothing_to_keep(tmp_path: Path) -> None:
    (tmp_path / "alone.yaml").write_text(BASE + "keep: [a]\n")
    with pytest.raises(SettingsError, match="'keep': there is no 'a'"):
        compose("alone", tmp_path)
