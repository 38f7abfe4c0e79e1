"""The real pipeline on a few real images: a copy of the working tree, driven through DVC as a user would.

The tests of this file share one project and run in the order they stand in.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from project import Project, copied

from dgmbench import load_run
from dgmbench.results import COLUMNS

TINY = """
extends: smoke
keep: [ppca, vae]
keep_controls: [pixel_shift]
data: {limit: 300}
training: {checkpoint_seconds: 0.05}
models:
  vae: {latent_dim: 4, hidden: [32], training: {epochs: 20}}
"""


# In MLflow: two models, each a parent of two seeds.
RUNS = 6


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = copied(tmp_path_factory.mktemp("clone"), "tiny")
    made.use(TINY)
    return made


def test_the_first_run_leaves_everything(project: Project) -> None:
    ran = project.repro()
    assert ran[0] == "check"
    assert ran[-2:] == ["report", "track"]
    assert {"train@digits-ppca", "train@digits-vae", "evaluate@digits-vae", "classifier@digits"} < set(ran)
    with open(project.path("reports", "tiny", "results.csv"), newline="", encoding="utf-8") as handle:
        assert tuple(next(csv.reader(handle))) == COLUMNS
    frame = project.results()
    assert set(zip(frame["model"], frame["seed"], strict=True)) >= {
        (m, s) for m in ("ppca", "vae") for s in (0, 1)
    }
    vae = frame[(frame["model"] == "vae") & (frame["seed"] == 0)].set_index("metric")["value"]
    assert vae["elbo"] < vae["log_likelihood_is_10"] < vae["log_likelihood_is_50"] < 0
    page = project.path("reports", "tiny", "index.html").read_text(encoding="utf-8")
    assert "ppca" in page
    assert "data:image/webp;base64" in page
    assert "Controls" in page
    assert "copies shifted by a pixel" in page
    assert frame["model"].str.startswith("control/pixel_shift/").any()


def test_mlflow_has_a_run_for_every_model_and_seed(project: Project) -> None:
    runs = project.mlflow_runs()
    assert len(runs) == RUNS
    assert {status for status, _ in runs} == {"FINISHED"}
    assert min(metrics for _, metrics in runs) > 5


def test_a_second_run_does_nothing(project: Project) -> None:
    assert project.repro() == []


def test_git_sees_no_file_that_should_be_ignored(project: Project) -> None:
    changed = project.run("git", "status", "--porcelain").splitlines()
    assert {line[3:].split("/")[0] for line in changed} <= {"params.yaml", "dvc.lock", "reports"}


def test_what_is_plotted_is_there_in_a_fresh_clone(project: Project) -> None:
    curves = [str(path) for path in project.path("reports", "tiny", "curves").iterdir()]
    assert curves
    assert project.run("git", "check-ignore", *curves, expect=1) == ""


def test_dvc_shows_metrics_and_plots(project: Project) -> None:
    shown = json.loads(project.run("dvc", "metrics", "show", "--json").partition("\n")[0])
    rows = shown[""]["data"]
    assert set(rows) == {f"reports/tiny/metrics/digits/{model}.json" for model in ("ppca", "vae")}
    assert {"nats", "fid", "seconds"} <= rows["reports/tiny/metrics/digits/vae.json"]["data"].keys()
    assert "failed to load" not in project.run("dvc", "plots", "show")
    assert project.path("dvc_plots", "index.html").exists()
    shutil.rmtree(project.path("dvc_plots"))


def test_runs_load_as_the_readme_says(project: Project) -> None:
    model = load_run("digits", "ppca", 1, runs=project.path("runs"))
    images = np.load(project.path("runs", "digits", "ppca", "samples-1.npy"))
    assert not model.training
    assert images.dtype == np.uint8
    assert images.shape == (200, 1, 8, 8)


def test_editing_a_metric_evaluates_again_without_training_and_gives_the_same_numbers(
    project: Project,
) -> None:
    before = project.untimed()
    metric = project.path("dgmbench", "evaluation", "quality", "frechet.py")
    text = metric.read_text(encoding="utf-8")
    metric.write_text(text + "\n# A remark.\n", encoding="utf-8")
    assert project.repro() == ["check"]
    metric.write_text(text + "\nANOTHER_LINE = 1\n", encoding="utf-8")
    ran = project.repro()
    assert {"evaluate@digits-ppca", "evaluate@digits-vae"} <= set(ran)
    assert not [stage for stage in ran if stage.startswith(("train", "prepare"))]
    assert project.untimed() == before
    assert len(project.mlflow_runs()) == RUNS


def test_a_model_made_worse_is_trained_alone_and_fails_the_regression_check(project: Project) -> None:
    project.run("python", "-m", "stages.regression", "make")
    assert "No metric differs" in project.run("python", "-m", "stages.regression", "check")
    settings = yaml.safe_load(project.path("params.yaml").read_text(encoding="utf-8"))
    settings["models"]["vae"]["training"]["epochs"] = 1
    project.path("params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    ran = project.repro()
    assert [stage for stage in ran if stage.startswith("train")] == ["train@digits-vae"]
    assert [stage for stage in ran if stage.startswith("evaluate")] == ["evaluate@digits-vae"]
    # The changed model's new runs; the old ones stay for comparison.
    assert len(project.mlflow_runs()) == RUNS + 3
    found = project.run("python", "-m", "stages.regression", "check", expect=1).splitlines()
    worse = {line.split()[2] for line in found if line.startswith("REGRESSION")}
    assert worse == {"vae"}, found


def test_deleting_the_store_brings_the_runs_back(project: Project) -> None:
    project.path("mlflow.db").unlink()
    assert project.repro() == ["track"]
    assert len(project.mlflow_runs()) == RUNS


def test_bad_settings_stop_everything_before_any_work(project: Project) -> None:
    path = project.path("params.yaml")
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("latent_dim:", "latent_dmi:"), encoding="utf-8")
    output = project.run("dvc", "repro", expect=255)
    path.write_text(good, encoding="utf-8")
    assert "unknown key 'models.vae.latent_dmi': did you mean 'latent_dim'?" in output
    assert "Running stage 'train" not in output
    assert "Traceback" not in output


def test_three_kills_do_not_change_a_number(project: Project) -> None:
    settings = yaml.safe_load(project.path("params.yaml").read_text(encoding="utf-8"))
    settings["models"]["vae"]["training"]["epochs"] = 1200  # some seconds, so that there is something to kill
    settings["evaluation"]["store"] = None  # which would bring the finished seeds back
    project.path("long.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    entry = ["--dataset", "digits", "--model", "vae", "--params", "long.yaml"]
    command = ["python", "-m", "stages.train", *entry]
    project.run("python", "-m", "stages.prepare", "--dataset", "digits")
    project.run(*command)
    run_folder, checkpoints = (
        project.path("runs", "digits", "vae"),
        project.path("checkpoints", "digits", "vae"),
    )
    names = [f"{kind}-{seed}" for seed in (0, 1) for kind in ("history", "samples", "weights")]
    expected = {name: next(run_folder.glob(f"{name}.*")).read_bytes() for name in names}
    rng = random.Random(0)
    for _ in range(3):
        kill_while_training(project, command, checkpoints / "seed-0.ckpt", rng.uniform(0.1, 1.0))
    assert project.run(*command).count("going on from step") >= 1
    assert {name: next(run_folder.glob(f"{name}.*")).read_bytes() for name in names} == expected
    assert not checkpoints.exists()


def kill_while_training(project: Project, command: list[str], checkpoint: Path, seconds: float) -> None:
    """Start training, wait until it has written a checkpoint of its own and `seconds` more, and kill it."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(seconds)
    assert process.poll() is None, "the training ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
