"""python -m dgmbench: choose a pipeline, check settings, compare reports, score samples from anywhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.errors import SettingsError, suggest
from dgmbench.evaluation.score.command import add_parser, score_command
from dgmbench.files import write_text
from dgmbench.reporting.baseline.commands import add_parsers, diff_command, history_command
from dgmbench.search.settings import SEARCHES
from dgmbench.settings import (
    PARAMS,
    Params,
    check_machine,
    compose,
    load_params,
    pipeline_names,
    read_params,
    render_params,
    select,
    validate,
    where_of,
)
from dgmbench.settings.block import checked
from dgmbench.store import Store
from dgmbench.tracking import ui

ACCEPT = """\
Keep trained runs after a change of code that changes no number.

For every run of the current pipeline whose settings, data and libraries are unchanged and whose code is not,
20 training steps (of a closed form: a fit) on a few examples are replayed, with `finish`, samples and
likelihoods. If all of it equals what the run recorded when it was trained, to the bit, the run is taken over:
it gets the fingerprint of today's code and says so in run-<seed>.json. `dvc repro` then trains nothing for
it. A run that differs is refused, with the first difference, and `dvc repro` trains it again.

A replay is evidence, no proof: it does not see what happens late in a training, or on the whole data alone.
Replays are equal on the kind of processor that trained the run; another may round differently. Results of
evaluations, controls and domain classifiers are not taken over: they are computed again where their code
changed.

Exit code: 0 if every replay was equal, 1 if a run was refused."""

FORGET = "remove remembered runs and results that were not asked for lately"


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
    check.add_argument("--params", type=Path, default=PARAMS, help="settings file (default: %(default)s)")
    accept = commands.add_parser(
        "accept",
        help="after a change of code alone: keep the runs whose replay is equal to the bit",
        description=ACCEPT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    accept.add_argument("--models", nargs="+", metavar="NAME", default=[], help="only runs of these entries")
    accept.add_argument("--dry-run", action="store_true", help="replay and compare; change nothing")
    accept.add_argument("--params", type=Path, default=PARAMS, help="settings file (default: %(default)s)")
    forget = commands.add_parser("forget", help=FORGET, description=f"{FORGET[0].upper()}{FORGET[1:]}.")
    forget.add_argument("--days", type=float, default=30.0, help="how long ago (default: %(default)g)")
    forget.add_argument("--params", type=Path, default=PARAMS, help="settings file (default: %(default)s)")
    add_parser(commands)
    add_parsers(commands)
    ui.add_parser(commands)
    arguments = parser.parse_args()
    actions = {"use": _use, "pipelines": _list, "check": _check, "accept": _accept, "forget": _forget}
    actions |= {"score": score_command, "diff": diff_command, "history": history_command, "ui": ui.ui_command}
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
    from dgmbench.settings.unavailable import unavailable

    params = load_params(arguments.params, remember=True)
    check_machine(params)
    for sentence in unavailable(params):
        print(sentence, file=sys.stderr)
    print(f"{arguments.params} is valid: pipeline '{params.pipeline}'")


def _accept(arguments: argparse.Namespace) -> None:
    from dgmbench.accept import accept_runs

    params = load_params(arguments.params, remember=True)
    unknown = [name for name in arguments.models if name not in params.models]
    if unknown:
        raise SettingsError(f"--models {unknown[0]}: {suggest(unknown[0], params.models)}")
    found = []
    for verdict in accept_runs(params, arguments.models, dry=arguments.dry_run):
        print(verdict, flush=True)
        found.append(verdict.state)
    counts = {state: found.count(state) for state in dict.fromkeys(found)}
    print(", ".join(f"{count} {state}" for state, count in counts.items()) or "no runs")
    if "accepted" in counts and not arguments.dry_run:
        print("`dvc repro` takes the accepted runs from the store")
    if "refused" in counts:
        sys.exit(1)


def _forget(arguments: argparse.Namespace) -> None:
    if not arguments.days >= 0:
        raise SettingsError(f"--days {arguments.days:g}: it should be 0 or more")
    folder = read_params(arguments.params).evaluation.store
    removed, size = Store(folder).trim(arguments.days)
    print(f"{removed} entries of {size / 2**20:.1f} MiB removed from {folder}")


if __name__ == "__main__":
    guarded(main)
