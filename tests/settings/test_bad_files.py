"""Files that are no settings, given to every entry point: one line with key and file, exit code 2, no work."""

# ruff: noqa: E501 (one line for each bad file)
from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from places import ROOT

from dgmbench import __main__ as command_line
from dgmbench.commands import guarded
from stages import check

SECTIONS = {
    "pipeline": "bad",
    "datasets": "[digits]",
    "seeds": "[0]",
    "data": "{}",
    "sampling": "{n: 100}",
    "evaluation": "{}",
    "classifier": "{}",
    "models": "{ppca: {family: ppca, view: gray, latent_dims: [2]}}",
    "controls": "{}",
    "orders": "[]",
}
VAE = "{vae: {family: vae, view: binary, hidden: [4], %s}}"
LONG = "a" * 250
DEEP = 500


def text_of(**changes: str | None) -> bytes:
    sections = {**SECTIONS, **changes}
    return "".join(f"{key}: {value}\n" for key, value in sections.items() if value is not None).encode()


# fmt: off
# What the file holds, what the message says beside the file's name.
BAD: dict[str, tuple[bytes, str]] = {
    # Sections of a wrong kind.
    "controls: list": (text_of(controls="[pixel_shift]"), "'controls' is ['pixel_shift']: it should be a mapping"),
    "controls: text": (text_of(controls="pixel_shift"), "'controls' is 'pixel_shift': it should be a mapping"),
    "control: number": (text_of(controls="{pixel_shift: 3}"), "'controls.pixel_shift' is 3: it should be"),
    "models: list": (text_of(models="[vae]"), "'models' is ['vae']: it should be a mapping"),
    "models: text": (text_of(models="vae"), "'models' is 'vae': it should be a mapping"),
    "models: true": (text_of(models="true"), "'models' is true: it should be a mapping"),
    "model: text": (text_of(models="{vae: vae}"), "'models.vae' is 'vae': it should be"),
    "model: list": (text_of(models="{vae: [1]}"), "'models.vae' is [1]: it should be"),
    "models: empty": (text_of(models="{}"), "'models' is {}: "),
    "orders: mapping": (text_of(orders="{better: a, worse: b}"), "'orders' is {'better': 'a', 'worse': 'b'}: "),
    "orders: text": (text_of(orders="ppca"), "'orders' is 'ppca': "),
    "order: text": (text_of(orders="[ppca]"), "'orders.0' is 'ppca': it should be a mapping. Valid keys: better"),
    "order: list": (text_of(orders="[[ppca]]"), "'orders.0' is ['ppca']: it should be a mapping"),
    "order: unknown key": (
        text_of(orders="[{better: ppca, worse: vae, source: a, wrose: b}]"),
        "unknown key 'orders.0.wrose': did you mean 'worse'? Valid: better, source, worse",
    ),
    "order: missing key": (text_of(orders="[{better: ppca, source: a}]"), "'orders.0.worse' is missing"),
    "order: list as name": (
        text_of(orders="[{better: [ppca], worse: vae, source: a}]"),
        "'orders.0.better' is ['ppca']",
    ),
    "order: no such model": (
        text_of(orders="[{better: ppca, worse: vae, source: a}]"),
        "'orders.0.worse': no model 'vae': Valid: ppca",
    ),
    "order: itself": (text_of(orders="[{better: ppca, worse: ppca, source: a}]"), "compares 'ppca' with itself"),
    "datasets: text": (text_of(datasets="digits"), "'datasets' is 'digits': Input should be a valid list"),
    "datasets: empty": (text_of(datasets="[]"), "'datasets' is []"),
    "datasets: list of lists": (text_of(datasets="[[digits]]"), "'datasets.0' is ['digits']"),
    "datasets: twice": (text_of(datasets="[digits, digits]"), "'datasets' is ['digits', 'digits']: The same entry"),
    "data: list": (text_of(data="[1]"), "'data' is [1]: it should be a mapping. Valid keys: seed, mirror, limit"),
    "evaluation: null": (text_of(evaluation="null"), "'evaluation' is null: it should be a mapping. Valid keys: s"),
    "ais: number": (text_of(evaluation="{ais: 3}"), "'evaluation.ais' is 3: it should be a mapping. Valid keys: p"),
    "classifier: text": (text_of(classifier="good"), "'classifier' is 'good': it should be a mapping"),
    # Duplicate keys, at any depth.
    "section twice": (text_of() + b"seeds: [1, 2]\n", "line 11: 'seeds': this key stands in line 3 already"),
    "model twice": (
        text_of(models="\n  ppca: {family: ppca, view: gray}\n  ppca: {family: ppca, view: gray}"),
        "line 10: 'models.ppca': this key stands in line 9 already",
    ),
    "setting twice": (text_of(models=VAE % "latent_dim: 2, latent_dim: 3"), "'models.vae.latent_dim': this key"),
    "in a list": (text_of(orders="[{better: a, better: b}]"), "'orders.0.better': this key stands in line"),
    # Types.
    **{
        f"seeds: [{seed}]": (text_of(seeds=f"[{seed}]"), f"'seeds.0' is {said or seed}")
        for seed, said in {
            "true": "", "1.0": "", "'1'": "", "1e30": "1e+30", ".nan": "nan", "-1": "", "null": "", "[1]": "",
            "9223372036854775808": "", "{a: 1}": "{'a': 1}", "1e3": "1000.0", "-.inf": "-inf",
        }.items()
    },
    "seeds: 5000 digits": (text_of(seeds="[" + "1" * 5000 + "]"), "'seeds.0': 1111"),
    "seeds: number": (text_of(seeds="3"), "'seeds' is 3: Input should be a valid list"),
    "seeds: twice": (text_of(seeds="[1, 1]"), "'seeds' is [1, 1]: The same entry twice: 1"),
    "epochs: true": (text_of(models=VAE % "training: {epochs: true}"), "'models.vae.training.epochs' is true"),
    "epochs: float": (text_of(models=VAE % "training: {epochs: 3.0}"), "'models.vae.training.epochs' is 3.0"),
    "epochs: text": (text_of(models=VAE % "training: {epochs: '3'}"), "'models.vae.training.epochs' is '3'"),
    "epochs: huge": (text_of(models=VAE % f"training: {{epochs: {10**19}}}"), "'models.vae.training.epochs' is 1000"),
    "rate: true": (text_of(models=VAE % "training: {learning_rate: true}"), "learning_rate' is true: Input should"),
    "rate: nan": (text_of(models=VAE % "training: {learning_rate: .nan}"), "learning_rate' is nan: Input should"),
    "rate: infinite": (text_of(models=VAE % "training: {learning_rate: 1e999}"), "learning_rate' is inf: Input"),
    "hidden: true": (text_of(models="{vae: {family: vae, view: gray, hidden: [true]}}"), "'models.vae.hidden.0' is true"),
    "betas: text": (text_of(models=VAE % "training: {betas: 'ab'}"), "'models.vae.training.betas' is 'ab'"),
    "betas: bool": (text_of(models=VAE % "training: {betas: [true, 0.9]}"), "betas.0' is true"),
    "betas: one": (text_of(models=VAE % "training: {betas: [0.9]}"), "'models.vae.training.betas.1' is missing"),
    "control: float": (text_of(controls="{pixel_shift: {images: 9.0}}"), "'controls.pixel_shift.images' is 9.0"),
    "control: bool": (text_of(controls="{lookup_table: {sizes: [true]}}"), "'controls.lookup_table.sizes.0' is true"),
    "control: twice": (text_of(controls="{lookup_table: {sizes: [9, 9]}}"), "'controls.lookup_table.sizes' is [9, 9]"),
    "control: seed": (text_of(controls=f"{{gan_ring: {{first_seed: {2**63 - 1}}}}}"), "'controls.gan_ring.first_seed'"),
    "family: number": (text_of(models="{vae: {family: 3}}"), "'models.vae.family' is 3: Valid: "),
    "inception: number": (text_of(evaluation="{inception: 1}"), "'evaluation.inception' is 1: it should be a mapping"),
    "probe labels: twice": (text_of(evaluation="{probe_labels: [100, 100]}"), "'evaluation.probe_labels' is [100, 100]"),
    "importance twice": (text_of(evaluation="{importance_samples: [5, 5]}"), "'evaluation.importance_samples' is [5, 5]"),
    "layers: endless": (
        text_of(models="{p: {family: pixelcnn, view: gray, blocks: 1000000000}}"),
        "'models.p.blocks' is 1000000000: Input should be less than or equal to 1000",
    ),
    "kernel: endless": (
        text_of(models="{p: {family: row_lstm, view: gray, kernel: 1000001}}"),
        "'models.p.kernel' is 1000001: Input should be less than or equal to 999",
    ),
    "grid: endless": (
        text_of(models="{k: {family: kde, view: gray, widths: 1000000000}}"),
        "'models.k.widths' is 1000000000: Input should be less than or equal to 1000",
    ),
    "width: overflow": (text_of(models=VAE % f"latent_dim: {2**62}"), "'models.vae' does not fit digits: "),
    # Names that files are made from.
    "model: long name": (text_of(models=f"{{{LONG}: {{}}}}"), "String should have at most 64 characters"),
    "pipeline: long name": (text_of(datasets=f"[{LONG}]"), "unknown data set 'aaaa"),
    "model: odd name": (text_of(models="{'../x': {}}"), "'models.../x' is '../x': small letters, digits and underscores"),
    # Keys that are not text.
    **{
        f"key {key} in {section}": (
            text_of(**{section: f"{{{key}: {{}}}}"}),
            f"'{section}.{key}': this key is not text",
        )
        for key in ("1", "yes", "null", "2.5", "2024-01-01", "true")
        for section in ("models", "controls", "evaluation", "data")
    },
    "key at the top": (text_of() + b"1: 2\n", "'1': this key is not text"),
    "key of a model": (text_of(models=VAE % "on: 3"), "'models.vae.on': this key is not text"),
    "key of an order": (text_of(orders="[{1: a}]"), "'orders.0.1': this key is not text"),
    "key: list": (text_of(models="{[a]: 3}"), "'models': a key here is a list or a mapping"),
    # Values that DVC reads otherwise.
    **{
        f"value {value}": (text_of(data=f"{{limit: {value}}}"), f"'data.limit': versions of YAML read {value} differ")
        for value in ("yes", "Off", "010", "0o17", "0x1F", "1_000", "1:30", "2024-01-01", "0b11", "=")
    },
    # YAML that is odd.
    "tag": (text_of(seeds="!!python/tuple [1]"), "'seeds': tag !!python/tuple has no meaning here"),
    "tag of a scalar": (text_of(data="{limit: !!binary aGk=}"), "'data.limit': aGk= with tag !!binary has no meaning"),
    "tag of a number": (text_of(data="{limit: !!int many}"), "'data.limit': many with tag !!int has no meaning here"),
    "syntax": (text_of(seeds="[1"), "is not valid YAML: line "),
    "tabs": (b"seeds:\n\t- 1\n", "is not valid YAML: line 2: "),
    "two documents": (text_of() + b"---\na: 1\n", "is not valid YAML: line 11: "),
    "no anchor": (text_of(seeds="*none"), "is not valid YAML: line 3: found undefined alias 'none'"),
    "alias of itself": (b"seeds: &a [*a]\n", "nests deeper than"),
    "aliases of aliases": (
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("l"))),
        "has more than 50000 values",
    ),
    "merged twice": (text_of(data="{<<: {seed: 1}, <<: {seed: 2}}"), "'data.<<': this key stands in line 4 already"),
    "merge of a list": (text_of(data="{<<: [1]}"), "'data.<<': it should be a mapping"),
    "nested lists": (b"seeds: " + b"[" * DEEP + b"]" * DEEP, "nests "),
    "nested mappings": (b"seeds: " + b"{a: " * 100 + b"}" * 100, "nests deeper than 30 levels"),
    "null byte": (text_of() + b"\0", "is not valid YAML: line 11: character #x0000"),
    "escaped null": (text_of(data=r'{mirror: "a\0b"}'), "'data.mirror': a\\x00b has control characters"),
    "escaped surrogate": (text_of(data=r'{mirror: "\ud800"}'), "has control characters"),
    "escape beyond Unicode": (text_of(data=r'{mirror: "\UFFFFFFFF"}'), "is not valid YAML"),
    # Encodings, and files that are none.
    "UTF-16": (text_of().decode().encode("utf-16"), "is UTF-16 (line 1); save it as UTF-8"),
    "Latin-1": (text_of(data="{mirror: 'Fr\xe9chet'}").decode().encode("latin-1"), "is not UTF-8 (line 4); save it"),
    "empty": (b"", "is empty"),
    "comments": (b"# nothing\n", "is empty"),
    "null": (b"null\n", "is empty"),
    "list": (b"- 1\n", "holds list, not settings"),
    "text": (b"hello\n", "holds str, not settings"),
    "large": (b"#" * (2**20 + 1), "is larger than 1024 KiB"),
}
BAD_PARAMS = {
    f"no {key}": (text_of(**{key: None}), f"'{key}' is missing") for key in SECTIONS
} | {
    "models: null": (text_of(models="null"), "'models' is null: it should be a mapping"),
    "controls: null": (text_of(controls="null"), "'controls' is null: it should be a mapping"),
    "orders: null": (text_of(orders="null"), "'orders' is null: Input should be a valid list"),
    "pipeline: number": (text_of(pipeline="3"), "'pipeline' is 3: Input should be a valid string"),
    "pipeline: long": (text_of(pipeline=LONG), "'pipeline' is 'aaaa"),
    "pipeline: folder": (text_of(pipeline="a/b"), "'pipeline' is 'a/b': small letters, digits and hyphens"),
    "unknown section": (text_of(control="{}"), "unknown key 'control': did you mean 'controls'?"),
}
BAD_PIPELINES = {
    "extends: number": (b"extends: 3\n", "'extends' is 3: one of: bad, good"),
    "extends: list": (b"extends: [good]\n", "'extends' is ['good']: one of: bad, good"),
    "extends: mapping": (b"extends: {good: 1}\n", "'extends' is {'good': 1}: one of: bad, good"),
    "extends: true": (b"extends: true\n", "'extends' is true: one of: bad, good"),
    "extends: unknown": (b"extends: godo\n", "'extends': unknown pipeline 'godo': did you mean 'good'?"),
    "extends: itself": (b"extends: bad\n", "pipelines extend in a circle: bad -> bad"),
    "extends: a broken one": (b"extends: broken\n", "broken.yaml: 'models' is 3: it should be a mapping"),
    "of the one below": (b"extends: good\nseeds: [true]\n", "bad.yaml (extends good): 'seeds.0' is true"),
    "no models": (text_of(models="null"), "'models' is {}"),
    "another name": (text_of(pipeline="other"), "'pipeline' is 'other': the file's name says 'bad'"),
    "no such model to take out": (
        b"extends: good\nmodels: {pcpa: null}\n",
        "'models.pcpa' is null, but there is no 'pcpa' to take out: did you mean 'ppca'?",
    ),
    "no such control to take out": (b"extends: good\ncontrols: {pixel_shift: null}\n", "no 'pixel_shift' to take out"),
}
# fmt: on


def kept(folder: Path) -> list[Path]:
    """All files and folders but the store, which remembers models that were found to fit."""
    return sorted(path for path in folder.rglob("*") if folder / "store" not in (path, *path.parents))


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run an entry point in an empty folder; its message, after a look at the exit code and what is left."""
    monkeypatch.chdir(tmp_path)

    def runs(module: object, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["x", *arguments])
        before = kept(tmp_path)
        with pytest.raises(SystemExit) as stop:
            guarded(module.main)  # type: ignore[attr-defined]
        said = capsys.readouterr()
        assert stop.value.code == 2
        assert said.out == ""
        assert kept(tmp_path) == before
        return said.err

    return runs


def assert_one_line(said: str, file: str, message: str) -> None:
    assert message in said
    lines = said.splitlines()
    assert said.startswith("error: ")
    assert all(file in line and len(line) < 700 for line in lines)
    assert len(lines) == 1 or all("'" in line for line in lines)


@pytest.mark.parametrize("name", [*BAD, *BAD_PARAMS])
def test_a_bad_params_file_is_refused(name: str, run: Callable[..., str]) -> None:
    content, message = (BAD | BAD_PARAMS)[name]
    Path("params.yaml").write_bytes(content)
    assert_one_line(run(check), "params.yaml", message)


@pytest.mark.parametrize("name", ["model twice", "UTF-16", "empty", "no controls", "models: null"])
def test_the_command_says_what_the_stage_says(name: str, run: Callable[..., str]) -> None:
    Path("params.yaml").write_bytes((BAD | BAD_PARAMS)[name][0])
    assert run(command_line, "check") == run(check)


@pytest.mark.parametrize("name", [*BAD, *BAD_PIPELINES])
def test_a_bad_pipeline_is_refused(name: str, run: Callable[..., str]) -> None:
    content, message = (BAD | BAD_PIPELINES)[name]
    Path("pipelines").mkdir()
    Path("pipelines/good.yaml").write_bytes(text_of(pipeline="good"))
    Path("pipelines/broken.yaml").write_bytes(text_of(pipeline="broken", models="3"))
    Path("pipelines/bad.yaml").write_bytes(content)
    if "one of: bad, good" in message:
        Path("pipelines/broken.yaml").unlink()
    assert_one_line(run(command_line, "use", "bad"), "pipelines", message)


def test_a_folder_or_an_unreadable_file_is_refused(run: Callable[..., str]) -> None:
    Path("params.yaml").mkdir()
    Path("pipelines/folder.yaml").mkdir(parents=True)
    Path("pipelines/good.yaml").write_bytes(text_of(pipeline="good"))
    Path("pipelines/loop.yaml").symlink_to("loop.yaml")
    assert run(check) == "error: params.yaml is a folder, not a file of settings\n"
    assert "params.yaml is a folder" in run(command_line, "use", "good")
    assert "pipelines/folder.yaml is a folder, not" in run(command_line, "use", "folder")
    assert "pipelines/loop.yaml cannot be read: Too many levels" in run(command_line, "use", "loop")
    assert "none.yaml is not there" in run(command_line, "check", "--params", "none.yaml")


def test_outside_of_a_repository_the_folder_is_named(run: Callable[..., str]) -> None:
    assert "there are no pipelines in " in run(command_line, "use", "digits")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "-1"], "'seeds.0' is -1"),
        (["--seeds", str(2**63)], "'seeds.0' is 9223372036854775808"),
        (["--seeds", "1", "1"], "'seeds' is [1, 1]: The same entry twice: 1"),
        (["--models", "pcca"], "no model 'pcca': did you mean 'ppca'?"),
        (["--name", LONG], "'pipeline' is 'aaaa"),
        (["--models", "ppca", "ppca"], "--models names 'ppca' twice"),
        (["--name", ""], "'pipeline' is ''"),
        (["--name", "Über"], "'pipeline' is 'Über': small letters, digits and hyphens"),
    ],
)
def test_bad_options_are_refused(options: list[str], message: str, run: Callable[..., str]) -> None:
    Path("pipelines").mkdir()
    Path("pipelines/good.yaml").write_bytes(text_of(pipeline="good"))
    assert_one_line(run(command_line, "use", "good", *options), "pipelines/good.yaml", message)


@pytest.mark.parametrize(("name", "of"), [("other", "of pipeline 'other'"), ("other-search", "of a search")])
def test_the_report_of_something_else_is_not_overwritten(name: str, of: str, run: Callable[..., str]) -> None:
    for folder in ("pipelines", "searches"):
        Path(folder).mkdir()
        Path(folder, "other.yaml").write_bytes(text_of(pipeline="other"))
    Path("pipelines/good.yaml").write_bytes(text_of(pipeline="good"))
    assert f"--name {name}: reports/{name} is {of}" in run(command_line, "use", "good", "--name", name)


def test_one_bad_pipeline_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pipelines").mkdir()
    for name in ("a", "Bad", "good"):
        Path(f"pipelines/{name}.yaml").write_bytes(text_of(pipeline=name))
    monkeypatch.setattr(sys, "argv", ["x", "pipelines"])
    with pytest.raises(SystemExit) as stop:
        guarded(command_line.main)
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert [line.split()[0] for line in said.out.splitlines()] == ["a", "good"]
    assert "'pipeline' is 'Bad': small letters, digits and hyphens" in said.err


def test_a_process_ends_with_one_line(tmp_path: Path) -> None:
    content, message = BAD["model twice"]
    (tmp_path / "params.yaml").write_bytes(content)
    command = [sys.executable, "-m", "dgmbench", "check", "--params", str(tmp_path / "params.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and message in done.stderr


def test_make_benchmark_validates_before_dvc(tmp_path: Path) -> None:
    """With a `python` and a `dvc` that say that they ran; the real ones are tested above."""
    for name, code in (("python", 2), ("dvc", 0)):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    for arguments in ([], ["PIPELINE=smoke"]):
        command = ["make", "benchmark", f"BIN={tmp_path}", "STAMP=", "CURDIR=", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        asked = "use smoke" if arguments else "check"
        assert [line for line in done.stdout.splitlines() if not line.startswith("make")] == [
            f"python -m dgmbench {asked}"
        ]
