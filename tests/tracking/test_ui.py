"""The command that serves MLflow's pages: which page it opens, and what it says where it cannot."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.reporting.headlines import HEADLINES
from dgmbench.settings import PARAMS, compose, render_params
from dgmbench.tracking.views import VIEW_TAGS, address


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path, empty_store: Path) -> Path:
    """Settings, and a store with the experiment of their data set."""
    text = render_params(compose("smoke", ROOT / "pipelines"), "smoke")
    (tmp_path / PARAMS).write_text(text, encoding="utf-8")
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        columns = "experiment_id, name, lifecycle_stage, artifact_location, workspace"
        known = [row[1] for row in store.execute("pragma table_info(experiments)")]
        named = [name for name in columns.split(", ") if name in known]
        values = {"experiment_id": 7, "name": "dgmbench-digits", "lifecycle_stage": "active",
                  "artifact_location": "file:///x", "workspace": "default"}  # fmt: skip
        marks = ", ".join("?" for _ in named)
        store.execute(
            f"insert into experiments ({', '.join(named)}) values ({marks})", [values[n] for n in named]
        )
    return tmp_path


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dgmbench", "ui", "--no-browser", *arguments],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_on_this_machine_alone_until_it_is_ended(folder: Path, how: signal.Signals) -> None:
    port = free_port()
    server = started(folder, "--port", str(port))
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if line.startswith("open "):
                break
        else:
            pytest.fail(server.stderr.read()[-2000:] if server.stderr else "")
        assert line.split()[1] == address(port, "7")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
            assert answer.status == 200
    finally:
        server.send_signal(how)
        server.wait(60)
    until = time.monotonic() + 20
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", port)) == 0:
            assert time.monotonic() < until, "the server outlived the command"
            time.sleep(0.2)


def test_what_is_missing_is_said(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "listens on 127.0.0.1" in started(folder, "--port", port).communicate()[1]
    (folder / "mlflow.db").rename(folder / "other.db")
    server = started(folder)
    assert "there is no mlflow.db yet" in server.communicate()[1]
    assert server.returncode == 2


def test_the_view_has_the_headlines_as_columns_and_entries_as_rows() -> None:
    (view,) = (json.loads(text) for text in VIEW_TAGS.values())
    assert {f"metrics.`{headline.key}`" for headline in HEADLINES} <= set(view["selectedColumns"])
    assert "tags.`pipeline`" in view["selectedColumns"]
    assert "tags.level = 'model'" in view["searchFilter"]
