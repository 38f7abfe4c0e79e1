"""Thin entry points, one per DVC stage: `python -m stages.NAME --help`."""
