"""What the entry points share: their options, and errors without a traceback."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from dgmbench.errors import DgmbenchError, SettingsError, of_machine, suggest
from dgmbench.settings import PARAMS, Params, check_entries, read_params


def stage_parser(doc: str | None, *options: str) -> argparse.ArgumentParser:
    """A parser with `--params` and the named options (dataset, model), described by a module docstring."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    helps = {
        "dataset": "a data set of the settings",
        "model": "a model entry of the settings",
        "control": "a control of the settings",
    }
    for option in options:
        parser.add_argument(f"--{option}", required=True, help=helps[option])
    parser.add_argument("--params", type=Path, default=PARAMS, help="settings file (default: %(default)s)")
    return parser


def stage_settings(arguments: argparse.Namespace) -> Params:
    """The settings, of which all is validated that the stage uses.

    What it does not use, the check stage has validated: the blocks of other models and controls.
    """
    params = read_params(arguments.params)
    choices = (("dataset", params.datasets), ("model", params.models), ("control", params.controls))
    for option, valid in choices:
        value = getattr(arguments, option, None)
        if value is not None and value not in valid:
            raise SettingsError(f"--{option} {value}: not in {arguments.params}: {suggest(value, valid)}")
    model, control = (getattr(arguments, option, None) for option in ("model", "control"))
    check_entries(params, [model] if model else (), [control] if control else (), str(arguments.params))
    return params


def guarded(main: Callable[[], None]) -> None:
    """Run an entry point: a user's or the machine's error becomes a sentence and exit code 2, Ctrl-C 130.

    The notes of an error are sentences of their own.
    What standard output cannot encode is printed as an escape; a closed pipe ends it without a word (141).
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("dgmbench").setLevel(logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
        # Here and not at the interpreter's end, where a full disk would be a traceback.
        sys.stdout.flush()
    except DgmbenchError as error:
        _stop(error)
    except BrokenPipeError:
        _drop_output()
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt as stop:
        print(f"{str(stop) or 'interrupted'}; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        fault = of_machine(error)
        if fault is None:
            raise
        _drop_output()
        _stop(fault)


def _stop(error: DgmbenchError) -> NoReturn:
    for said in (error, *getattr(error, "__notes__", [])):
        print(f"error: {said}", file=sys.stderr)
    sys.exit(2)


def _drop_output() -> None:
    """Let what is still buffered for standard output go nowhere, in case that is what failed."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
