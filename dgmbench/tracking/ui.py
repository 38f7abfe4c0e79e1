"""python -m dgmbench ui: MLflow's pages on this machine, opened on the runs table of the current data set."""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import Any

from dgmbench.errors import TrackingError
from dgmbench.settings import PARAMS, read_params
from dgmbench.tracking.views import address

HOST, PORT = "127.0.0.1", 5000
HELP = f"MLflow's pages of all runs, on {HOST}"


def add_parser(commands: Any) -> None:
    """Add `ui` to the commands of `python -m dgmbench`."""
    parser = commands.add_parser("ui", help=HELP, description=f"{HELP}. Ctrl-C ends them.")
    parser.add_argument("--port", type=int, default=PORT, help="(default: %(default)s)")
    parser.add_argument("--store", type=Path, default=Path("mlflow.db"), help="(default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def ui_command(arguments: argparse.Namespace) -> None:
    """Serve until interrupted.

    Raises:
        TrackingError: if there is no such port, no store or experiment yet, the store is no database of
            MLflow, the port is taken, or MLflow ends by itself.
    """
    if not 0 < arguments.port < 65536:
        raise TrackingError(f"there is no port {arguments.port}; choose a --port from 1 to 65535")
    dataset = next(iter(read_params(PARAMS).datasets))
    page = address(arguments.port, _experiment(arguments.store, dataset))
    if _answers(arguments.port):
        raise TrackingError(f"something listens on {HOST}:{arguments.port} already; choose another --port")
    # By default it would end this process without the `finally` that ends the server.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    server = subprocess.Popen(command(arguments.store, arguments.port))
    try:
        _wait(server, arguments.port)
        print(f"open {page}", flush=True)
        if not arguments.no_browser:
            webbrowser.open(page)
        if server.wait():
            raise TrackingError(f"MLflow ended with exit code {server.returncode}")
    finally:
        server.terminate()
        server.wait()


def command(store: Path, port: int) -> list[str]:
    """What starts MLflow's server."""
    uri = f"sqlite:///{store}"
    return [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port),
            "--workers", "1", "--backend-store-uri", uri]  # fmt: skip


def _experiment(store: Path, dataset: str) -> str:
    """The id of a data set's experiment."""
    import sqlite3
    from contextlib import closing

    if not store.exists():
        raise TrackingError(f"there is no {store} yet; `python -m stages.track` writes it")
    query = "select experiment_id from experiments where name = ? and lifecycle_stage = 'active'"
    try:
        with closing(sqlite3.connect(store)) as database:
            found = database.execute(query, (f"dgmbench-{dataset}",)).fetchone()
    except sqlite3.Error as error:
        raise TrackingError(
            f"{store} is no store of MLflow ({error}); --store wants its SQLite file"
        ) from error
    if found is None:
        raise TrackingError(f"{store} has no runs on {dataset} yet; `python -m stages.track` brings them in")
    return str(found[0])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    """Without a limit: starting takes seconds, but on a busy machine more than a minute."""
    while not _answers(port):
        if server.poll() is not None:
            raise TrackingError(f"MLflow did not start (exit code {server.returncode})")
        time.sleep(0.2)
