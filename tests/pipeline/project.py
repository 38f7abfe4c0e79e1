"""A clone-like copy of the working tree, driven as a user would."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
from places import ROOT

from dgmbench.metrics import declared

# Seconds after which a command has hung: far beyond what a pipeline takes, also on a machine that is busy.
_HUNG = 3600


class Project:
    """The copy, and commands run in it; its pipeline is called `name`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        bin_folder = str(Path(sys.executable).parent)
        self.environment = os.environ | {
            "PATH": bin_folder + os.pathsep + os.environ["PATH"],
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self.environment.pop("MLFLOW_TRACKING_URI", None)

    def run(self, *command: str, expect: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=_HUNG
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, output[-5000:]
        return output

    def repro(self) -> list[str]:
        """Run the pipeline; the stages that ran, in order."""
        output = self.run("dvc", "repro")
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def results(self) -> pd.DataFrame:
        return pd.read_csv(self.path("reports", self.name, "results.csv"))

    def untimed(self) -> str:
        frame = self.results()
        return (
            frame[[not declared(str(metric)).timing for metric in frame["metric"]]]
            .drop(columns="seconds")
            .to_csv()
        )

    def mlflow_runs(self) -> list[tuple[str, int]]:
        """(status, number of metrics) of every run but reports', from the store itself: clients cache one."""
        with contextlib.closing(sqlite3.connect(self.path("mlflow.db"))) as store:
            metrics = "select count(*) from latest_metrics m where m.run_uuid = r.run_uuid"
            report = "select 1 from tags t where t.run_uuid = r.run_uuid and t.value = 'report'"
            query = f"select status, ({metrics}) from runs r where not exists ({report})"
            return store.execute(query).fetchall()

    def use(self, settings: str) -> None:
        """Commit everything and make a pipeline of these settings the current one."""
        (self.folder / "pipelines" / f"{self.name}.yaml").write_text(settings, encoding="utf-8")
        self.run("git", "init", "--quiet")
        self.run("git", "add", "-A")
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        self.run("git", *identity, "commit", "--quiet", "-m", "copy")
        self.run("python", "-m", "dgmbench", "use", self.name)


def copied(folder: Path, name: str) -> Project:
    """A copy of all files that git has or would take, but for reports."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for file in listed.stdout.splitlines():
        if (ROOT / file).is_file() and not file.startswith("reports/") and file != "dvc.lock":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    return Project(folder, name)
