"""A store that fails is reported with what helps, and a copied one keeps its artifacts beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fabricate import fabricate

from dgmbench.errors import TrackingError
from dgmbench.tracking.mlflow_store import sync
from dgmbench.tracking.stores import artifacts_follow, artifacts_of, check_store, explained

ADDRESSES = [
    ("localhost:5000", ["did you mean http://localhost:5000"]),
    ("127.0.0.1:5000/path", ["did you mean http://127.0.0.1:5000/path"]),
    ("my-host.example:80", ["did you mean http://my-host.example:80"]),
    ("htp://localhost:5000", ["An address begins with http://"]),
    ("mlruns", ["An address begins with http://"]),
    ("postgresql://user:secret@127.0.0.1:9/x", ["needs a driver here: `pip install psycopg"]),
    ("postgresql+psycopg2://user:secret@127.0.0.1:9/x", ["`pip install psycopg2-binary`"]),
    ("mysql+pymysql://user:secret@127.0.0.1:9/x", ["`pip install pymysql`"]),
    ("mysql://user:secret@127.0.0.1:9/x", ["`pip install mysqlclient`"]),
    ("sqlite:/x.db", ["Could not parse"]),
]


def executed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as store, store:
        for statement in statements:
            store.execute(statement)


def overwritten(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 20)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


OLD, NEW = "acf3f17fdcc7", "ffffffffffff"
REVISION = "update alembic_version set version_num = '{}'"
FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "older": (
        lambda path: executed(path, REVISION.format(OLD)),
        ["an older MLflow has made it", "`mlflow db upgrade sqlite:////", "move ", "made anew"],
    ),
    "newer": (
        lambda path: executed(path, REVISION.format(NEW)),
        ["a newer MLflow than the ", "install the newer one", "move ", "made anew"],
    ),
    "newer, other tables": (
        lambda path: executed(path, REVISION.format(NEW), "drop table trace_tags"),
        ["a newer MLflow than the ", "made anew"],
    ),
    "no database": (lambda path: path.write_bytes(b"garbage" * 999), ["it is damaged: move ", "made anew"]),
    "cut off": (lambda path: os.truncate(path, 200_000), ["it is damaged: move ", "made anew"]),
    "overwritten": (overwritten, ["it is damaged: move ", "made anew"]),
    "a folder": (folder, ["unable to open database file", "a file that this user may write"]),
}


def refused(root: Path, uri: str) -> str:
    """What a sync with a store that fails says."""
    (root / "results").mkdir(exist_ok=True)
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        sync({"datasets": ["d"], "models": {}, "seeds": [], "pipeline": "p"}, *[root / "results"] * 4, [uri])
    assert time.monotonic() - began < 20
    message = str(caught.value)
    assert "No result is lost" in message and "stages.track" in message and "…" not in message
    assert "secret" not in message
    return message


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync of no run at all, which needs no files; MLflow's import is not its time."""
    import mlflow  # noqa: F401

    monkeypatch.setattr("dgmbench.tracking.mlflow_store.entries", lambda *_: [])


@pytest.mark.parametrize(("uri", "expected"), ADDRESSES, ids=lambda value: str(value)[:24])
def test_an_address_that_is_none_is_told(
    tmp_path: Path, nothing: None, uri: str, expected: list[str]
) -> None:
    message = refused(tmp_path, uri)
    assert all(part in message for part in expected), message


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_cannot_be_used_is_told_with_what_helps(
    tmp_path: Path, nothing: None, empty_store: Path, fault: str
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_store, path)
    damage, expected = FAULTS[fault]
    damage(path)
    message = refused(tmp_path, f"sqlite:///{path}")
    assert all(part in message for part in expected), message


def test_another_writer_is_told() -> None:
    told = explained("sqlite:///mlflow.db", sqlite3.OperationalError("database is locked"))
    assert "another program is writing to it" in told


def test_a_good_store_and_one_that_is_not_there_yet_pass(tmp_path: Path, empty_store: Path) -> None:
    for path in (empty_store, tmp_path / "no folder yet" / "mlflow.db"):
        check_store(f"sqlite:///{path}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("moved", "name"), [(True, "plain"), (False, "Ordner mit Leerzeichen é")])
def test_a_copied_or_moved_store_keeps_its_artifacts_beside_it(
    tmp_path: Path, empty_store: Path, moved: bool, name: str
) -> None:
    from mlflow.tracking import MlflowClient

    old, new = tmp_path / "old", tmp_path / name
    settings = fabricate(old, seeds=(0, 1), points=6)
    settings["models"] = {"ppca": settings["models"]["ppca"]}
    for path in old.glob("results/*/*/neighbours-*.npz"):  # drawing them is what takes time
        path.unlink()
    shutil.copy(empty_store, old / "mlflow.db")

    def synced(root: Path, **changed: Any) -> MlflowClient:
        uri = f"sqlite:///{root / 'mlflow.db'}"
        sync(settings | changed, *[root / part for part in ("runs", "results", "reports", "data")], [uri])
        return MlflowClient(uri)

    synced(old, seeds=[0])
    (shutil.move if moved else shutil.copytree)(old, new)
    left = sorted(old.rglob("*"))
    client = synced(new)
    assert sorted(old.rglob("*")) == left
    experiment = client.get_experiment_by_name("dgmbench-digits")
    assert experiment.artifact_location == (new / "mlartifacts" / "dgmbench-digits").as_uri()
    runs = client.search_runs([experiment.experiment_id])
    # Two seeds; the parent of the first alone, and that of both.
    assert len(runs) == 4
    for run in runs:
        assert run.info.artifact_uri.startswith((new / "mlartifacts").as_uri())
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert files == ({"run.json", "samples.png"} if run.data.tags["level"] == "seed" else set())


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/1",
        "s3://bucket/mlartifacts/e",
        "file:///elsewhere/of-the-user",
        "file:///x/mlartifacts/f",
    ],
)
def test_places_that_others_chose_stay(tmp_path: Path, location: str) -> None:
    assert not artifacts_follow(f"sqlite:///{tmp_path / 'none.db'}", "e", location)
    assert not artifacts_follow("http://127.0.0.1:5000", "e", "file:///x/mlartifacts/e")
    assert artifacts_of("http://127.0.0.1:5000", "e") is None
