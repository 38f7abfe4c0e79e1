"""Thin entry points, one per DVC stage: `python -m stages.NAME --help`."""

from dgmbench.lifetime import end_with_dvc

# Here and not in the entry points, which take seconds to import what they need.
end_with_dvc()
