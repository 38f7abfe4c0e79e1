"""Validate all settings, say what cannot be trained, and write what later stages depend on to provenance/.

One small file per stage and model holds the hashes of the source files behind it and the settings in force,
so that DVC runs again exactly what a change touches. Runs that are there are remembered, because DVC empties
their folder before it trains a further seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dgmbench.commands import guarded, stage_parser
from dgmbench.dependencies import write_dependencies
from dgmbench.settings import check_machine, load_params
from dgmbench.settings.unavailable import unavailable
from dgmbench.training.devices import choose_device
from dgmbench.training.finished import keep_all_runs


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__).parse_args()
    params = load_params(arguments.params, remember=True)
    check_machine(params)
    choose_device(params.training.device)
    for sentence in unavailable(params):
        print(sentence, file=sys.stderr)
    write_dependencies(params)
    keep_all_runs(params, Path("runs"))


if __name__ == "__main__":
    guarded(main)
