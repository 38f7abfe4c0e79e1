"""Syncing with MLflow: complete, repeatable, resumable, honest about a store that fails."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricate import fabricate, frame_of, row

from dgmbench.errors import TrackingError
from dgmbench.files import write_json
from dgmbench.reporting.run_files import load_runs
from dgmbench.tracking import mlflow_store
from dgmbench.tracking.entries import flatten
from dgmbench.tracking.mlflow_store import StoreReport, sync, tracking_uris
from dgmbench.tracking.names import final_metrics
from dgmbench.tracking.stores import without_password
from dgmbench.tracking.views import VIEW_TAGS


class Project:
    """Invented files with a store of their own."""

    def __init__(self, root: Path, empty_store: Path) -> None:
        self.root, self.empty = root, empty_store
        self.settings = fabricate(root, seeds=(0, 1), diverged=(("gan", 1),), points=6)
        models = ("vae", "gan", "ppca")
        self.settings["models"] = {name: self.settings["models"][name] for name in models}
        for path in root.glob("results/*/*/neighbours-*.npz"):  # drawing them is what takes time
            if path.parts[-2:] != ("ppca", "neighbours-0.npz"):
                path.unlink()
        self.new_store()

    def new_store(self) -> None:
        shutil.copy(self.empty, self.root / "mlflow.db")

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def sync(self, *more: str) -> StoreReport:
        folders = [self.root / name for name in ("runs", "results", "reports", "data")]
        return sync(self.settings, *folders, [*more, self.uri]).stores[0]

    @property
    def client(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(self.uri)

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name("dgmbench-digits")
        return list(self.client.search_runs([experiment.experiment_id]))

    def run(self, name: str) -> Any:
        (found,) = [r for r in self.runs() if r.info.run_name == name
                    and r.data.tags["dgmbench.superseded"] == "false"]  # fmt: skip
        return found

    def edit_results(self, model: str, change: Any) -> None:
        path = self.root / "results" / "digits" / model / "results.csv"
        change(pd.read_csv(path)).to_csv(path, index=False)


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Project(tmp_path, empty_store)


def counts(report: StoreReport) -> tuple[int, int, int, int, int]:
    return (report.created, report.completed, report.updated, report.untouched, report.superseded)


def test_everything_of_a_run_is_recorded(project: Project) -> None:
    assert counts(project.sync()) == (9, 0, 0, 0, 0)
    run = project.run("ppca seed 0")
    assert run.data.params["hidden"] == "[64, 64]"
    assert run.data.params["training.device"] == "cpu"
    assert {
        "nats",
        "likelihood/log_likelihood",
        "likelihood/log_likelihood_bits_per_dim",
        "quality/fid_domain",
        "valid/loss",
    } <= run.data.metrics.keys()
    names = ("view", "status", "device", "pipeline", "commit", "data_sha256", "dgmbench.fingerprint")
    assert all(run.data.tags[name] for name in names)
    files = {f.path for f in project.client.list_artifacts(run.info.run_id)}
    assert files == {"run.json", "samples.png", "nearest_neighbours.png"}
    assert run.info.artifact_uri.startswith((project.root / "mlartifacts").as_uri())
    assert run.info.end_time - run.info.start_time == 21_500
    assert abs(run.info.end_time / 1000 - time.time()) < 600


def test_learning_curves_keep_their_steps(project: Project) -> None:
    project.sync()
    history = project.client.get_metric_history(project.run("vae seed 1").info.run_id, "valid/loss")
    (run,) = load_runs(project.root / "runs", ["digits"], ["vae"], [1])
    frame = run.history()
    expected = frame[(frame["split"] == "valid") & (frame["name"] == "loss")]
    assert sorted((m.step, m.value) for m in history) == sorted(
        zip(expected["step"], expected["value"], strict=True)
    )


def test_a_diverged_run_is_a_failed_one(project: Project) -> None:
    project.sync()
    run = project.run("gan seed 1")
    assert run.info.status == "FAILED"
    assert "not a number" in run.data.tags["mlflow.note.content"]
    assert project.run("gan seed 0").info.status == "FINISHED"


def test_a_second_sync_touches_nothing(project: Project) -> None:
    project.sync()
    before = {r.info.run_id: r.to_dictionary() for r in project.runs()}
    assert counts(project.sync()) == (0, 0, 0, 9, 0)
    assert {r.info.run_id: r.to_dictionary() for r in project.runs()} == before


def test_a_deleted_store_comes_back(project: Project) -> None:
    project.sync()
    before = {r.info.run_name: (r.data.metrics, r.info.start_time) for r in project.runs()}
    project.new_store()
    assert project.sync().created == 9
    assert {r.info.run_name: (r.data.metrics, r.info.start_time) for r in project.runs()} == before


def test_seeds_are_children_of_their_entry_which_has_means_and_half_widths(project: Project) -> None:
    project.sync()
    parent, gan = project.run("vae"), project.run("gan")
    children = [
        run for run in project.runs() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    assert {run.info.run_name for run in children} == {"vae seed 0", "vae seed 1"}
    own = [run.data.metrics["likelihood/elbo"] for run in children]
    found = parent.data.metrics
    assert found["likelihood/elbo"] == pytest.approx(np.mean(own))
    # Student's t of two values: 12.706 times half their difference.
    half = 12.7062 * abs(own[0] - own[1]) / 2
    assert found["half_width/likelihood/elbo"] == pytest.approx(half, rel=1e-4)
    shown = [run.data.metrics["nats"] for run in children]
    assert found["nats"] == pytest.approx(np.mean(shown), rel=1e-3)
    assert found["failed"] == 0
    # Of one seed that finished there is no half-width; the other is counted.
    assert gan.data.metrics["failed"] == 1 and "half_width/fid" not in gan.data.metrics
    assert gan.data.tags["level"] == "model" and gan.data.tags["seeds"] == "0, 1"


def test_a_further_seed_makes_a_new_parent_of_all(project: Project) -> None:
    project.settings["seeds"] = [0]
    project.sync()
    project.settings["seeds"] = [0, 1]
    assert counts(project.sync()) == (6, 0, 0, 3, 3)
    parent = project.run("vae").info.run_id
    parents = {project.run(f"vae seed {seed}").data.tags["mlflow.parentRunId"] for seed in (0, 1)}
    assert parents == {parent}


def test_a_parent_has_the_status_of_all_its_seeds_and_says_which_failed_and_why(project: Project) -> None:
    """The first seed completed, the second diverged."""
    project.sync()
    tags = project.run("gan").data.tags
    assert tags["status"] == "1 completed, 1 diverged"
    assert "1 of 2 seeds failed" in tags["mlflow.note.content"]
    assert "Seed 1 diverged: " in tags["mlflow.note.content"]
    assert "not a number" in tags["mlflow.note.content"] and "Seed 0" not in tags["mlflow.note.content"]
    whole = project.run("vae").data.tags
    assert whole["status"] == "completed" and "mlflow.note.content" not in whole


def test_seeds_made_with_different_code_show_both_in_their_parent(project: Project) -> None:
    path = project.root / "runs" / "digits" / "vae" / "run-1.json"
    info = json.loads(path.read_text())
    write_json(path, info | {"commit": "b" * 40, "device": "cuda"})
    project.sync()
    tags, first = project.run("vae").data.tags, project.run("vae seed 0").data.tags
    assert tags["device"] == "cpu, cuda"
    assert tags["commit"] == f"{first['commit']}, {'b' * 40}"
    assert "mlflow.source.git.commit" not in tags


def test_a_store_that_exists_gets_the_view_that_opens(project: Project) -> None:
    project.sync()
    experiment = project.client.get_experiment_by_name("dgmbench-digits")
    (tag,) = VIEW_TAGS
    project.client.set_experiment_tag(experiment.experiment_id, tag, "{}")
    project.sync()
    assert project.client.get_experiment_by_name("dgmbench-digits").tags[tag] == VIEW_TAGS[tag]


def test_an_entry_belongs_to_a_pipeline_and_pipelines_share_a_training(project: Project) -> None:
    project.sync()
    children = {name: project.run(name).info.run_id for name in ("vae seed 0", "vae seed 1")}
    first = project.run("vae").info.run_id
    project.settings["pipeline"] = "other"
    # Parents of its own; the trainings are there and stay where they are.
    assert counts(project.sync()) == (3, 0, 0, 6, 0)
    parents = [r for r in project.runs() if r.info.run_name == "vae"]
    assert {(r.data.tags["pipeline"], r.data.tags["dgmbench.superseded"]) for r in parents} == {
        ("digits", "false"),
        ("other", "false"),
    }
    (second,) = (r.info.run_id for r in parents if r.info.run_id != first)
    for name, identity in children.items():
        run = project.run(name)
        assert (run.info.run_id, run.data.tags["mlflow.parentRunId"]) == (identity, first)
        assert run.data.tags["dgmbench.parent.other"] == second
    assert counts(project.sync()) == (0, 0, 0, 9, 0)


def test_a_pipeline_neither_supersedes_nor_changes_another_s_trainings(project: Project) -> None:
    project.sync()
    before = {r.info.run_id: r.to_dictionary() for r in project.runs()}
    path = project.root / "runs" / "digits" / "vae" / "run-0.json"
    write_json(path, json.loads(path.read_text()) | {"fingerprint": "f" * 64})
    # The same training with other results is no shared run either.
    project.edit_results("ppca", lambda f: f.assign(value=f["value"].where(f["metric"] != "fid_domain", 7.0)))
    project.settings["pipeline"] = "other"
    assert counts(project.sync()) == (6, 0, 0, 3, 0)
    now = {r.info.run_id: r.to_dictionary() for r in project.runs() if r.info.run_id in before}
    shared = {"vae seed 1", "gan seed 0", "gan seed 1"}
    changed = {run["info"]["run_name"] for identity, run in now.items() if run != before[identity]}
    assert changed == shared


def test_an_entry_that_left_the_pipeline_is_superseded_with_its_seeds_and_comes_back(
    project: Project,
) -> None:
    project.sync()
    models = project.settings["models"]
    project.settings["models"] = {name: own for name, own in models.items() if name != "vae"}
    assert counts(project.sync()) == (0, 0, 0, 6, 3)
    gone = [r for r in project.runs() if r.data.tags["dgmbench.superseded"] == "true"]
    assert {r.info.run_name for r in gone} == {"vae", "vae seed 0", "vae seed 1"}
    # Another pipeline that has these trainings takes what nobody holds.
    project.settings |= {"models": models, "pipeline": "other"}
    assert counts(project.sync()) == (3, 0, 0, 6, 0)
    seed, parent = project.run("vae seed 0").data.tags, project.run("vae")
    assert parent.data.tags["pipeline"] == seed["pipeline"] == "other"
    assert seed["mlflow.parentRunId"] == parent.info.run_id
    project.settings["pipeline"] = "digits"
    assert counts(project.sync()) == (0, 0, 0, 9, 0)
    assert project.run("vae seed 0").data.tags["pipeline"] == "other"


def test_what_has_not_run_yet_has_not_left(project: Project) -> None:
    project.sync()
    shutil.rmtree(project.root / "runs" / "digits" / "vae")
    assert counts(project.sync()) == (0, 0, 0, 6, 0)


def test_the_data_set_is_an_input_of_every_run(project: Project) -> None:
    project.sync()
    for name in ("vae", "vae seed 0"):
        (given,) = project.run(name).inputs.dataset_inputs
        assert given.dataset.name == "digits"
        assert project.run("vae seed 0").data.tags["data_sha256"].startswith(given.dataset.digest)


def test_the_report_is_one_run_with_the_page_and_figures(project: Project) -> None:
    reports = project.root / "reports"
    (reports / "figures").mkdir(parents=True)
    (reports / "index.html").write_text("<p>one</p>")
    (reports / "figures" / "a.png").write_bytes(b"png")
    project.sync()
    run = project.run("report of digits")
    assert {f.path for f in project.client.list_artifacts(run.info.run_id)} == {"index.html", "figures"}
    assert project.sync().untouched == 10
    (reports / "index.html").write_text("<p>two</p>")
    assert counts(project.sync()) == (1, 0, 0, 9, 1)


def test_new_results_update_the_same_run(project: Project) -> None:
    project.sync()
    identity = project.run("vae seed 0").info.run_id
    project.edit_results("vae", lambda f: f.assign(value=f["value"].where(f["metric"] != "elbo", -99.0)))
    assert counts(project.sync()) == (0, 0, 3, 6, 0)
    run = project.run("vae seed 0")
    assert (run.info.run_id, run.data.metrics["likelihood/elbo"]) == (identity, -99.0)
    assert project.run("vae").data.metrics["likelihood/elbo"] == -99.0
    assert len(project.client.get_metric_history(identity, "valid/loss")) == 6
    assert project.sync().untouched == 9


def test_a_metric_that_is_gone_does_not_linger(project: Project) -> None:
    project.sync()
    project.edit_results("vae", lambda f: f[f["metric"] != "elbo"])
    assert counts(project.sync()) == (3, 0, 0, 6, 3)
    assert "likelihood/elbo" not in project.run("vae seed 0").data.metrics


def test_retraining_supersedes_and_going_back_revives(project: Project) -> None:
    project.sync()
    path = project.root / "runs" / "digits" / "vae" / "run-0.json"
    original = path.read_text()
    info = json.loads(original)
    write_json(path, info | {"fingerprint": "f" * 64, "settings": info["settings"] | {"rate": 0.1}})
    assert counts(project.sync()) == (2, 0, 0, 7, 2)
    assert project.run("vae seed 0").data.params["rate"] == "0.1"
    assert len(project.runs()) == 11
    path.write_text(original)
    assert counts(project.sync()) == (0, 0, 0, 9, 2)
    assert project.run("vae seed 0").data.params["rate"] == "0.001"
    assert len(project.runs()) == 11


@pytest.mark.parametrize("step", ["log_batch", "log_artifacts", "set_terminated"])
def test_an_interrupted_sync_is_completed(
    project: Project, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from mlflow.tracking import MlflowClient

    with monkeypatch.context() as patch:
        real, calls = getattr(MlflowClient, step), iter(range(100))

        def dies(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == 1:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        patch.setattr(MlflowClient, step, dies)
        with pytest.raises(KeyboardInterrupt):
            project.sync()
    report = project.sync()
    assert report.completed == 1
    assert report.created + report.untouched == 8
    assert len(project.runs()) == 9
    assert all(r.info.status != "RUNNING" and "dgmbench.content" in r.data.tags for r in project.runs())
    history = project.client.get_metric_history(project.run("ppca seed 0").info.run_id, "valid/loss")
    assert sorted(m.step for m in history) == list(range(0, 600, 100))


def test_an_unreachable_server_fails_soon_after_the_local_store_is_written(project: Project) -> None:
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        project.sync("http://user:secret@127.0.0.1:9")
    assert time.monotonic() - began < 20
    message = str(caught.value)
    assert "127.0.0.1:9" in message
    assert "stages.track" in message
    assert "results" in message
    assert "secret" not in message
    assert len(project.runs()) == 9


def test_a_file_store_is_refused_in_words(project: Project) -> None:
    with pytest.raises(TrackingError, match="No result is lost"):
        project.sync(f"file://{project.root / 'mlruns'}")


def test_long_curves_and_many_settings_are_batched(project: Project) -> None:
    folder = project.root / "runs" / "digits" / "ppca"
    steps = np.arange(2500)
    rows = {"step": steps, "epoch": 0, "split": "train", "name": "loss", "value": 1.0 / (1 + steps)}
    pd.DataFrame(rows).to_csv(folder / "history-0.csv", index=False)
    info = json.loads((folder / "run-0.json").read_text())
    write_json(folder / "run-0.json", info | {"settings": {f"s{i}": i for i in range(150)}})
    project.sync()
    run = project.run("ppca seed 0")
    assert len(project.client.get_metric_history(run.info.run_id, "train/loss")) == 2500
    assert len(run.data.params) >= 150


def test_limits_give_way_to_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with mlflow_store._limits(1, 5):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_which_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uris() == ["sqlite:///mlflow.db"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uris() == ["sqlite:///mlflow.db", "http://127.0.0.1:5000"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert tracking_uris() == ["sqlite:///mlflow.db"]


def test_small_helpers() -> None:
    assert flatten({"a": {"b": [1, 2], "c": None}, "d": "x"}) == {"a.b": "[1, 2]", "a.c": "null", "d": "x"}
    assert without_password("http://u:p@host:1/x") == "http://***@host:1/x"
    frame = frame_of(row("m", 0, "elbo", 1.0), row("m", 0, "elbo", 2.0, unit="bits_per_dim"))
    names = {"nats": 1.0, "likelihood/elbo": 1.0, "likelihood/elbo_bits_per_dim": 2.0}
    assert final_metrics(frame) == names
