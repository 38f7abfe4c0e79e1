"""Train the classifiers whose feature space domain FID is measured in; write their test accuracy."""

from __future__ import annotations

from dgmbench.commands import guarded, stage_parser, stage_settings
from dgmbench.evaluation.features.domain_classifier import train_classifiers


def main() -> None:
    """Parse and call."""
    arguments = stage_parser(__doc__, "dataset").parse_args()
    train_classifiers(stage_settings(arguments), arguments.dataset)


if __name__ == "__main__":
    guarded(main)
