"""Train every seed of a model entry on a data set and write runs/<dataset>/<model>/.

Interrupted by Ctrl-C or a kill, the same command goes on from the last checkpoint (under checkpoints/). Seeds
that the store remembers are not trained again: `evaluation.store: null` trains them all.
"""

from __future__ import annotations

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.training.entry import train_entry


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__, "dataset", "model").parse_args()
    train_entry(stage_settings(arguments), arguments.dataset, arguments.model)


if __name__ == "__main__":
    guarded(main)
