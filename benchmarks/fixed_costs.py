"""What a stage costs that has nothing to compute: imports and settings, against `import torch`, in one run.

    python benchmarks/fixed_costs.py [--root FOLDER ...] [--rounds N]

Each stage runs as a process of its own on the default pipeline, with the function that does its work replaced
by one that does nothing. `train ppca, whole` is the real stage of a model whose fit takes a hundredth of a
second. Further checkouts, named by `--root`, are measured in turn with this one, so that before and after are
of the same minutes. Bytecode is cached, as it is on a machine where the stages have run once. A table of the
smallest of the rounds: wall seconds, and processor seconds in brackets.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ENTRY = ["--dataset", "digits", "--model", "ppca"]
# The stage, its options, and the name of the function that does its work.
STAGES: dict[str, tuple[list[str], str]] = {
    "prepare": (["--dataset", "digits"], "prepare"),
    "classifier": (["--dataset", "digits"], "train_classifiers"),
    "train": (ENTRY, "train_entry"),
    "evaluate": (ENTRY, "evaluate_entry"),
    "report": ([], "write_report"),
    "track": ([], "sync"),
}
IDLE = """
import sys
import stages.{stage} as stage
assert hasattr(stage, "{work}")
stage.{work} = lambda *arguments, **named: ""
sys.argv[1:] = {options!r}
stage.main()
"""


def commands() -> dict[str, list[str]]:
    """By the name of a row, what is timed."""
    idle = {
        stage: ["-c", IDLE.format(stage=stage, work=work, options=options)]
        for stage, (options, work) in STAGES.items()
    }
    return {
        "import torch": ["-c", "import torch"],
        "check": ["-m", "stages.check"],
        **idle,
        "train ppca, whole": ["-m", "stages.train", *ENTRY],
    }


class Checkout:
    """A folder to run stages in, and the sources that they are imported from."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root.resolve(), folder
        folder.mkdir()
        cached = {"PYTHONPYCACHEPREFIX": str(folder / "pyc"), "PYTHONDONTWRITEBYTECODE": ""}
        self.environment = os.environ | cached | {"PYTHONPATH": str(self.root)}
        self.run(["-c", f"import os; os.chdir({str(self.root)!r}); {COMPOSE.format(folder=folder)}"])
        for command in (["-m", "stages.check"], ["-m", "stages.prepare", "--dataset", "digits"]):
            self.run(command)

    def run(self, command: list[str]) -> tuple[float, float]:
        """Wall and processor seconds of a process."""
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{command} failed in {self.root}:\n{done.stderr}")
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


COMPOSE = (
    "from pathlib import Path; from dgmbench.settings import compose, render_params; "
    "text = render_params(compose('digits') | {{'seeds': [0]}}, 'digits'); "
    "Path('{folder}', 'params.yaml').write_text(text)"
)


def measure(roots: list[Path], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """By row and checkout, the least wall and processor seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        checkouts = [Checkout(root, Path(scratch) / f"{i}") for i, root in enumerate(roots)]
        found: dict[str, list[list[tuple[float, float]]]] = {name: [[] for _ in roots] for name in commands()}
        # The first round fills the caches of bytecode and of the disk.
        for number in range(rounds + 1):
            for name, command in commands().items():
                for checkout, times in zip(checkouts, found[name], strict=True):
                    if name.endswith("whole"):
                        checkout.run(["-c", "import shutil; shutil.rmtree('store', ignore_errors=True)"])
                    times.append(checkout.run(command))
            print(f"round {number} of {rounds}", file=sys.stderr)
    return {
        name: [tuple(min(part) for part in zip(*times[1:], strict=True)) for times in columns]  # type: ignore[misc]
        for name, columns in found.items()
    }


def table(found: dict[str, list[tuple[float, float]]], roots: list[Path]) -> str:
    """Rows of Markdown."""
    names = [commit_of(root) for root in roots]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, times in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{wall:.1f} ({cpu:.1f})" for wall, cpu in times) + " |")
    return "\n".join(lines)


def commit_of(root: Path) -> str:
    """The short name of a checkout's commit."""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or root.name


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, action="append", default=[], help="a further checkout")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default: %(default)s)")
    arguments = parser.parse_args()
    roots = [*arguments.root, HERE]
    print(table(measure(roots, arguments.rounds), roots))


if __name__ == "__main__":
    main()
