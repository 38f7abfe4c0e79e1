"""The command that serves MLflow's pages: which page it opens, and what it says where it cannot."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

from dgmbench.errors import TrackingError
from dgmbench.reporting.headlines import HEADLINES
from dgmbench.settings import PARAMS, compose, render_params
from dgmbench.tracking.ui import add_parser, command, ui_command
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


def said(folder: Path, *arguments: str) -> str:
    """What the command ends with, which is an error."""
    with contextlib.chdir(folder), pytest.raises(TrackingError) as caught:
        ui_command(parsed(*arguments))
    return str(caught.value)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["ui", "--no-browser", *arguments])


# A server in the place of MLflow's, which takes from seconds to minutes to start: its last line of output
# is the arguments that it was given.
SERVER = """
import http.server, json, sys
print(json.dumps(sys.argv[1:]), flush=True)
place = sys.argv[sys.argv.index("--host") + 1], int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# The command as a process of its own, with that server.
COMMAND = """
import sys
from dgmbench.tracking import ui
from dgmbench.__main__ import main
from dgmbench.commands import guarded
real, server = ui.command, sys.argv.pop(1)
ui.command = lambda *given: [sys.executable, "-c", server, *real(*given)[3:]]
guarded(main)
"""


@pytest.fixture
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """The command while it serves, its port, and what it printed up to the address that it opens."""
    port = free_port()
    arguments = [sys.executable, "-c", COMMAND, SERVER, "ui", "--no-browser", "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if line.startswith("open "):
                    break
            else:
                pytest.fail(process.stderr.read()[-2000:])
            yield process, port, lines
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_on_this_machine_alone_until_it_is_ended(
    serving: tuple[subprocess.Popen[str], int, list[str]], how: signal.Signals
) -> None:
    process, port, lines = serving
    given = json.loads(lines[0])
    assert given[given.index("--host") + 1] == "127.0.0.1"
    assert given[given.index("--backend-store-uri") + 1] == "sqlite:///mlflow.db"
    assert lines[-1].split()[1] == address(port, "7")
    with socket.create_connection(("127.0.0.1", port)):
        pass
    process.send_signal(how)
    process.wait()
    # The command waits for its server, so that nothing listens once it has ended.
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_server_is_the_one_of_mlflow() -> None:
    """Its own parser takes what we give it."""
    from click.testing import CliRunner
    from mlflow.cli import cli

    program, flag, module, *arguments = command(Path("mlflow.db"), 5000)
    assert (program, flag, module) == (sys.executable, "-m", "mlflow")
    assert CliRunner().invoke(cli, [*arguments, "--help"]).exit_code == 0


def test_what_is_missing_is_said(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"listens on 127.0.0.1:{port} already" in said(folder, "--port", port)
    (folder / "mlflow.db").rename(folder / "other.db")
    assert "there is no mlflow.db yet" in said(folder)


@pytest.mark.parametrize("port", ["0", "-1", "99999"])
def test_a_port_that_no_machine_has_is_refused_in_words(folder: Path, port: str) -> None:
    assert f"there is no port {port}; choose a --port from 1 to 65535" in said(folder, "--port", port)


def test_a_file_that_is_no_store_is_refused_in_words(folder: Path) -> None:
    (folder / "README.md").write_text("# Not a database, and longer than the header of one.\n" * 40)
    assert "README.md is no store of MLflow" in said(folder, "--store", "README.md")
    (folder / "inner").mkdir()
    assert "inner is no store of MLflow" in said(folder, "--store", "inner")
    sqlite3.connect(folder / "empty.db").close()
    (folder / "empty.db").touch()
    assert "empty.db is no store of MLflow" in said(folder, "--store", "empty.db")


def test_the_view_has_the_headlines_as_columns_and_entries_as_rows() -> None:
    (view,) = (json.loads(text) for text in VIEW_TAGS.values())
    assert {f"metrics.`{headline.key}`" for headline in HEADLINES} <= set(view["selectedColumns"])
    assert "tags.`pipeline`" in view["selectedColumns"]
    assert "tags.level = 'model'" in view["searchFilter"]
