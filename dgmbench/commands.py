"""What the entry points share: their options, and errors told without a traceback."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from dgmbench.errors import DgmbenchError, SettingsError, suggest
from dgmbench.settings import PARAMS, Params, load_params


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
    """The whole validated settings, and a check that the stage's data set is among them."""
    params = load_params(arguments.params)
    choices = (("dataset", params.datasets), ("model", params.models), ("control", params.controls))
    for option, valid in choices:
        value = getattr(arguments, option, None)
        if value is not None and value not in valid:
            raise SettingsError(f"--{option} {value}: not in {arguments.params}: {suggest(value, valid)}")
    return params


def guarded(main: Callable[[], None]) -> None:
    """Run an entry point: a user's error becomes a sentence and exit code 2, Ctrl-C exit code 130."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal in ASCII, a file name that is no UTF-8: what cannot be shown is shown as an escape.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("dgmbench").setLevel(logging.INFO)
    try:
        main()
    except DgmbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(
            f"error: no room left on the disk: {error}; make room and run the same command again",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt as stop:
        print(f"{str(stop) or 'interrupted'}; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
