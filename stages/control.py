"""Carry out a control on a data set and write results/<dataset>/control-<name>/."""

from __future__ import annotations

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.controls.run import run_control


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__, "dataset", "control").parse_args()
    run_control(stage_settings(arguments), arguments.dataset, arguments.control)


if __name__ == "__main__":
    guarded(main)
