"""Fetch a data set, check it, split it and write data/<dataset>/."""

from __future__ import annotations

from pathlib import Path

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.data.prepare import prepare
from dgmbench.settings import mirror_of


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__, "dataset").parse_args()
    params = stage_settings(arguments)
    prepare(
        arguments.dataset,
        Path("data") / arguments.dataset,
        seed=params.data.seed,
        mirror=mirror_of(params),
        limit=params.data.limit,
    )


if __name__ == "__main__":
    guarded(main)
