"""Evaluate every seed of a model entry on a data set and write results/<dataset>/<model>/."""

from __future__ import annotations

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.evaluation.suite import evaluate_entry


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__, "dataset", "model").parse_args()
    evaluate_entry(stage_settings(arguments), arguments.dataset, arguments.model)


if __name__ == "__main__":
    guarded(main)
