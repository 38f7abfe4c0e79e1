"""The pipeline under faults, as a script: interruptions, two at once, experiments, odd checkouts, Pythons.

    python tests/pipeline/faults.py [--only NAME ...] [--python PATH ...]

Each case makes a small checkout of the working tree under a temporary folder, runs DVC in it as a user would
and prints a line: ok or FAILED, seconds, and what was seen. It takes a quarter of an hour on two cores, too
long for the test suite; `--python` adds interpreters whose environment holds the requirements.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from processes import alive, until

ROOT = Path(__file__).resolve().parents[2]
TINY = """
extends: smoke
data: {limit: 300}
training: {checkpoint_seconds: 0.5, threads: 1, processes: 2}
models: {MODELS, vae: {latent_dim: 4, hidden: [32], training: {epochs: EPOCHS}}}
controls: {CONTROLS}
orders: []
"""
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")
SHORT, LONG = 5, 4000
# Enough of the pipeline for what concerns training; seconds that one command may take.
TRAIN = "train@digits-vae"
PATIENCE = 3600


class Checkout:
    """A copy of the working tree with a pipeline of two models, and commands run in it.

    Unless it is `fresh`, it is a copy of a checkout in which the pipeline has run, with other settings of one
    model: what is left to do is short, and with `SHORT` epochs nothing is.
    """

    base: Path
    started: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(
        self,
        folder: Path,
        epochs: int = SHORT + 1,
        git: bool = True,
        python: str = sys.executable,
        fresh: bool = False,
    ):
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for name in ("MLFLOW_TRACKING_URI", "PYTHONPATH", "DVC_STAGE"):
            self.environment.pop(name, None)
        if fresh:
            copy_sources(folder)
        else:
            shutil.copytree(self.base, folder, ignore=shutil.ignore_patterns(*[] if git else [".git"]))
            shutil.rmtree(folder / "runs" / "digits" / "vae")
        self.use(epochs)
        if fresh and git:
            self.run("git", "init", "--quiet")
        if git:
            self.commit()

    def use(self, epochs: int) -> None:
        """Take up the settings with so many epochs of `vae`; by the pipeline if there are none yet."""
        import yaml

        path = self.folder / "params.yaml"
        if not (self.folder / "pipelines" / "tiny.yaml").exists():
            self.write_pipeline(epochs)
            self.run("python", "-m", "dgmbench", "use", "tiny")
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings["models"]["vae"]["training"]["epochs"] = epochs
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "tiny")

    def write_pipeline(self, epochs: int) -> None:
        """Only `ppca` and `vae`, no controls: what `smoke` has besides is taken out."""
        import yaml

        raw = {name: {} for name in ("models", "controls")}
        for name in ("smoke", "digits"):
            read = yaml.safe_load((self.folder / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8"))
            for part in raw:
                raw[part] |= read.get(part) or {}
        models = ", ".join(f"{name}: null" for name in raw["models"] if name not in ("ppca", "vae"))
        controls = ", ".join(f"{name}: null" for name in raw["controls"])
        text = TINY.replace("MODELS", models).replace("EPOCHS", str(epochs)).replace("CONTROLS", controls)
        (self.folder / "pipelines" / "tiny.yaml").write_text(text, encoding="utf-8")

    def start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=interruptible,
        )  # fmt: skip
        self.started.append(process)
        return process

    def run(self, *command: str, expect: int | None = 0) -> str:
        process = self.start(*command)
        output = process.communicate(timeout=PATIENCE)[0]
        if expect is not None:
            check(
                process.returncode == expect, f"{' '.join(command)} ended with {process.returncode}", output
            )
        return output

    def repro(self, *target: str) -> str:
        output = self.run("dvc", "repro", *target)
        check(self.complete(*target), "the run is not complete", output)
        return output

    def complete(self, *target: str) -> bool:
        last = "runs/digits/vae/run-1.json" if target else "reports/tiny/index.html"
        return (self.folder / last).exists()

    def training(self) -> list[int]:
        """Processes at work on a stage of this checkout."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
                here = (path / "cwd").resolve() == self.folder.resolve()
            except OSError:
                continue
            if here and b"stages.train" in words and alive(int(path.name)):
                found.append(int(path.name))
        return found

    def until_training(self) -> None:
        """Both seeds are at work and have something to go on from."""
        folder = self.folder / "checkpoints" / "digits" / "vae"
        files = [folder / f"seed-{seed}.ckpt" for seed in (0, 1)]
        check(until(lambda: all(path.exists() for path in files), PATIENCE), "no checkpoint was written")


class Failed(Exception):
    """A case did not go as it should."""


def check(true: object, otherwise: str, output: str = "") -> None:
    if not true:
        raise Failed(f"{otherwise}\n{output[-3000:]}")


def interruptible() -> None:
    """A background shell has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def copy_sources(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.splitlines():
        if (ROOT / name).is_file() and not name.startswith("reports/") and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


# The cases: each takes an empty folder and returns what was seen


def dvc_killed_alone(folder: Path) -> str:
    checkout = Checkout(folder, LONG)
    process = checkout.start("dvc", "repro", TRAIN)
    checkout.until_training()
    at_work = checkout.training()
    check(len(at_work) == 3, f"expected a stage and two seeds, found {at_work}")
    process.kill()
    process.wait()
    check(until(lambda: not checkout.training(), 10), "the training goes on")
    checkout.use(SHORT + 1)
    checkout.repro(TRAIN)
    return f"{len(at_work)} processes ended with dvc; the next repro went through"


def resumed_after_a_kill(folder: Path) -> str:
    checkout = Checkout(folder, LONG // 4)
    process = checkout.start("dvc", "repro", TRAIN)
    checkout.until_training()
    time.sleep(2)
    process.kill()
    process.wait()
    output = checkout.repro(TRAIN)
    check("going on from step" in output, "it started afresh", output)
    return next(line.strip() for line in output.splitlines() if "going on from step" in line)


def seed_killed(folder: Path) -> str:
    checkout = Checkout(folder, LONG // 4)
    process = checkout.start("dvc", "repro", TRAIN)
    checkout.until_training()
    at_work = checkout.training()
    os.kill(next(pid for pid in at_work if parent(pid) in at_work), signal.SIGKILL)
    output = process.communicate(timeout=PATIENCE)[0]
    lines = [line for line in output.splitlines() if "its process was killed" in line]
    check(lines and "Traceback" not in output, "the seed is not named", output)
    again = checkout.repro(TRAIN)
    steps = [line for line in again.splitlines() if re.search("going on from step|trained before", line)]
    finished = [line for line in steps if "trained before, and kept: seeds" in line]
    check(len(steps) == 2 and len(finished) == 1, "what was finished is lost", again)
    return f"{lines[0].strip()} / " + " / ".join(line.strip() for line in steps)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def two_repros(folder: Path) -> str:
    checkout = Checkout(folder, LONG // 4)
    first = checkout.start("dvc", "repro", TRAIN)
    checkout.until_training()
    second = checkout.run("dvc", "repro", TRAIN, expect=None)
    check("Traceback" not in second, "a traceback", second)
    output = first.communicate(timeout=PATIENCE)[0]
    check(first.returncode == 0 and checkout.complete(TRAIN), "the first did not end well", output)
    after = checkout.repro(TRAIN)
    check("Running stage" not in after, "the next repro had something to do", after)
    return "the second: " + " / ".join(second.strip().splitlines()[-3:])[:300]


BY_HAND = ("python", "-m", "stages.train", "--dataset", "digits", "--model", "vae")


def stage_by_hand_beside_a_repro(folder: Path) -> str:
    return beside(Checkout(folder, LONG // 4), ("dvc", "repro", TRAIN), BY_HAND)


def repro_beside_a_stage_by_hand(folder: Path) -> str:
    # DVC takes ten seconds before it comes to the stage.
    return beside(Checkout(folder, LONG), BY_HAND, ("dvc", "repro", TRAIN))


def beside(checkout: Checkout, first: tuple[str, ...], second: tuple[str, ...]) -> str:
    """Two trainings of one entry: the second waits, says so and has nothing left to do."""
    process = checkout.start(*first)
    checkout.until_training()
    waited = checkout.run(*second)
    output = process.communicate(timeout=PATIENCE)[0]
    check("being trained by process" in waited, "it did not wait", waited)
    check("nothing is left to do" in waited, "it trained again", waited)
    check(process.returncode == 0 and checkout.complete(TRAIN), "the first did not end well", output)
    after = checkout.repro(TRAIN)
    check("Running stage" not in after, "the next repro had something to do", after)
    return " / ".join(line for line in waited.splitlines() if "digits vae" in line and "step" not in line)


def interrupted(folder: Path) -> str:
    checkout = Checkout(folder, LONG // 4)
    process = checkout.start("dvc", "repro", TRAIN)
    checkout.until_training()
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=PATIENCE)[0]
    told = [line for line in output.splitlines() if "the same command goes on from there" in line]
    check(len(told) == 1 and told[0].count("stopped at step") == 2, "not stopped in words", output)
    check("Traceback" not in output, "a traceback", output)
    again = checkout.repro(TRAIN)
    check("going on from step" in again, "it started afresh", again)
    return told[0]


def stale_lock(folder: Path) -> str:
    checkout = Checkout(folder)
    locks = folder / ".dvc" / "tmp"
    locks.mkdir(parents=True, exist_ok=True)
    dead = '{"pid": 4194303, "cmd": "dvc repro"}'
    path = folder / "runs" / "digits" / "vae"
    (locks / "rwlock").write_text(f'{{"write": {{"{path}": {dead}}}, "read": {{}}}}')
    (locks / "lock").touch()
    entry = folder / "checkpoints" / "digits" / "vae.lock"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text("process 4194303 on elsewhere\n")
    output = checkout.repro(TRAIN)
    check("being trained" not in output, "a dead process was waited for", output)
    return "locks of dead processes are taken over"


def experiment(folder: Path) -> str:
    checkout = Checkout(folder, SHORT)
    checkout.repro(TRAIN)
    checkout.commit()
    output = checkout.run("dvc", "exp", "run", TRAIN, "-S", "models.vae.latent_dim=5")
    check("Running stage 'train@digits-vae" in output, "it was not trained", output)
    shown = checkout.run("dvc", "exp", "show", "--csv")
    return f"one model trained anew; dvc exp show: {len(shown.splitlines())} lines"


def queue(folder: Path) -> str:
    checkout = Checkout(folder, SHORT)
    checkout.repro(TRAIN)
    checkout.commit()
    for size in (5, 6):
        checkout.run("dvc", "exp", "run", TRAIN, "--queue", "-S", f"models.vae.latent_dim={size}")
    output = checkout.run("dvc", "exp", "run", "--run-all")
    status = checkout.run("dvc", "queue", "status")
    check(status.count("Success") == 2, "not both went through", output + status)
    shown = checkout.run("dvc", "exp", "show", "--csv")
    return f"both went through; exp show has {len(shown.splitlines())} lines"


def worktree(folder: Path) -> str:
    main = Checkout(folder / "main")
    main.run("git", "worktree", "add", "--quiet", str(folder / "beside"), "-b", "beside")
    main.folder = folder / "beside"
    output = main.repro(TRAIN)
    import json

    info = json.loads((main.folder / "runs" / "digits" / "vae" / "run-0.json").read_text())
    check(info["commit"], "no commit is recorded", output)
    return f"commit {info['commit'][:8]} recorded"


def archive(folder: Path) -> str:
    checkout = Checkout(folder, git=False)
    told = checkout.run("make", "--silent", "scm")
    checkout.repro(TRAIN)
    return told.strip()


def odd_path(folder: Path) -> str:
    checkout = Checkout(folder / "Ein Ordner – é 图 %20 'x'")
    checkout.repro()
    again = checkout.run("dvc", "repro")
    check("Running stage" not in again, "a second run had something to do", again)
    artifacts = list((checkout.folder / "mlartifacts").rglob("samples.png"))
    check(len(artifacts) >= 4, f"{len(artifacts)} pictures in mlartifacts")
    return f"{checkout.folder.name}: complete, pictures in place"


def copied_checkout(folder: Path) -> str:
    first = Checkout(folder / "first")
    first.repro()
    shutil.copytree(folder / "first", folder / "second")
    before = sorted((folder / "first" / "mlartifacts").rglob("*"))
    first.folder = folder / "second"
    first.use(SHORT + 2)
    first.repro()
    check(sorted((folder / "first" / "mlartifacts").rglob("*")) == before, "it wrote into the old checkout")
    return "the old checkout's artifacts are untouched"


def with_python(python: str) -> Callable[[Path], str]:
    def case(folder: Path) -> str:
        checkout = Checkout(folder, python=python, fresh=True)
        version = checkout.run("python", "--version").strip()
        output = checkout.repro()
        warned = [line for line in output.splitlines() if "DeprecationWarning" in line]
        return f"{version}: complete; {len(warned)} deprecation warnings {warned[:2]}"

    return case


CASES: dict[str, Callable[[Path], str]] = {
    "dvc_killed_alone": dvc_killed_alone,
    "resumed_after_a_kill": resumed_after_a_kill,
    "seed_killed": seed_killed,
    "two_repros": two_repros,
    "stage_by_hand_beside_a_repro": stage_by_hand_beside_a_repro,
    "repro_beside_a_stage_by_hand": repro_beside_a_stage_by_hand,
    "interrupted": interrupted,
    "stale_lock": stale_lock,
    "experiment": experiment,
    "queue": queue,
    "worktree": worktree,
    "archive": archive,
    "odd_path": odd_path,
    "copied_checkout": copied_checkout,
}


def main() -> int:
    """Run the cases; 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--python", nargs="+", default=[], metavar="PATH", help="further interpreters")
    arguments = parser.parse_args()
    chosen = {name: CASES[name] for name in arguments.only or ([] if arguments.python else CASES)}
    chosen |= {f"python {path}": with_python(path) for path in arguments.python}
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        if arguments.only or not arguments.python:
            Checkout.base = Path(folder) / "base"
            Checkout(Checkout.base, SHORT, fresh=True).repro(TRAIN)
        return run(chosen)


def tried(case: Callable[[Path], str], folder: Path) -> tuple[str, str]:
    """ok or FAILED, and what was seen; whatever goes wrong is this case's alone."""
    try:
        return "ok", case(folder)
    except Failed as error:
        return "FAILED", str(error)
    except Exception:  # noqa: BLE001 - the other cases still have something to say
        return "FAILED", traceback.format_exc()
    finally:
        for process in Checkout.started:
            process.kill()  # does nothing to one that has ended
            process.wait()
        Checkout.started.clear()


def run(chosen: dict[str, Callable[[Path], str]]) -> int:
    """A line for each case; 1 if one failed."""
    failed = False
    for name, case in chosen.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
            outcome, seen = tried(case, Path(folder) / "checkout")
        failed |= outcome == "FAILED"
        print(f"{outcome:6} {name:30} {time.monotonic() - began:5.0f} s  {seen}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
