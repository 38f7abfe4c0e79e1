"""python -m dgmbench: choose a pipeline, check settings, score samples from anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.errors import SettingsError
from dgmbench.evaluation.score.command import add_parser, score_command
from dgmbench.files import write_text
from dgmbench.search.settings import SEARCHES
from dgmbench.settings import (
    PARAMS,
    Params,
    check_machine,
    compose,
    load_params,
    pipeline_names,
    render_params,
    select,
    validate,
    where_of,
)
from dgmbench.settings.block import checked


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(prog="python -m dgmbench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    use = commands.add_parser("use", help="make a named pipeline the current one (writes params.yaml)")
    use.add_argument("pipeline", help="one of: " + ", ".join(pipeline_names()))
    use.add_argument("--models", nargs="+", metavar="NAME", help="only these of its models; no controls")
    use.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="these seeds instead of its own")
    use.add_argument("--name", help="of the report's folder (with --models or --seeds: PIPELINE-selection)")
    commands.add_parser("pipelines", help="list the named pipelines")
    check = commands.add_parser("check", help="validate settings without running anything")
    check.add_argument("--params", type=Path, default=PARAMS)
    add_parser(commands)
    arguments = parser.parse_args()
    actions = {"use": _use, "pipelines": _list, "check": _check, "score": score_command}
    actions[arguments.command](arguments)


def _use(arguments: argparse.Namespace) -> None:
    raw = compose(arguments.pipeline)
    where = where_of(arguments.pipeline)
    if arguments.models is not None or arguments.seeds is not None:
        raw = select(raw, arguments.models, arguments.seeds, where)
    if arguments.name is not None:
        raw["pipeline"] = _free_name(arguments.name, arguments.pipeline)
    if PARAMS.is_dir():
        raise SettingsError(f"{PARAMS} is a folder, and settings go into a file of that name: move it away")
    validate(raw, where)
    write_text(PARAMS, render_params(raw, arguments.pipeline))
    print(
        f"{PARAMS} now holds pipeline '{arguments.pipeline}' ({len(raw['models'])} models); "
        f"`dvc repro` runs it and writes reports/{raw['pipeline']}/"
    )


def _free_name(name: str, pipeline: str) -> str:
    """The name, unless the report of another pipeline or of a search has it."""
    if name in pipeline_names() and name != pipeline:
        raise SettingsError(f"--name {name}: reports/{name} is of pipeline '{name}', not of '{pipeline}'")
    if name in (f"{search}-search" for search in pipeline_names(SEARCHES)):
        raise SettingsError(f"--name {name}: reports/{name} is of a search")
    return str(name)


def _list(arguments: argparse.Namespace) -> None:
    refused = []
    for name in pipeline_names():
        try:
            params = checked(Params, compose(name), "", where_of(name))
        except SettingsError as error:
            refused.append(str(error))
            continue
        print(
            f"{name:12} {', '.join(params.datasets)}: {', '.join(params.models)} x {len(params.seeds)} seeds"
        )
    if refused:
        raise SettingsError("\n".join(refused))


def _check(arguments: argparse.Namespace) -> None:
    params = load_params(arguments.params, remember=True)
    check_machine(params)
    print(f"{arguments.params} is valid: pipeline '{params.pipeline}'")


if __name__ == "__main__":
    guarded(main)
