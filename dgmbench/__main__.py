"""python -m dgmbench: choose a pipeline, check settings, score samples from anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.evaluation.score_command import add_parser, score_command
from dgmbench.files import write_text
from dgmbench.settings import PARAMS, PIPELINES, compose, load_params, pipeline_names, render_params, validate


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(prog="python -m dgmbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    use = commands.add_parser("use", help="make a named pipeline the current one (writes params.yaml)")
    use.add_argument("pipeline", help="one of: " + ", ".join(pipeline_names()))
    commands.add_parser("pipelines", help="list the named pipelines")
    check = commands.add_parser("check", help="validate settings without running anything")
    check.add_argument("--params", type=Path, default=PARAMS)
    add_parser(commands)
    arguments = parser.parse_args()
    actions = {"use": _use, "pipelines": _list, "check": _check, "score": score_command}
    actions[arguments.command](arguments)


def _use(arguments: argparse.Namespace) -> None:
    raw = compose(arguments.pipeline)
    validate(raw, str(PIPELINES / f"{arguments.pipeline}.yaml"))
    write_text(PARAMS, render_params(raw))
    print(f"{PARAMS} now holds pipeline '{arguments.pipeline}'; `dvc repro` runs it")


def _list(arguments: argparse.Namespace) -> None:
    for name in pipeline_names():
        raw = compose(name)
        print(
            f"{name:12} {', '.join(raw['datasets'])}: {', '.join(raw['models'])} x {len(raw['seeds'])} seeds"
        )


def _check(arguments: argparse.Namespace) -> None:
    params = load_params(arguments.params)
    print(f"{arguments.params} is valid: pipeline '{params.pipeline}'")


if __name__ == "__main__":
    guarded(main)
