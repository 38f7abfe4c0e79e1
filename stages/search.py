"""Search the settings of every entry of a pipeline on validation images; write reports/<name>-search/.

Interrupted by Ctrl-C or a kill, the same command goes on from the last finished training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dgmbench.commands import guarded
from dgmbench.search.run import run_search
from dgmbench.search.settings import SEARCHES, check, load_search
from dgmbench.search.table import write_search


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--search", default="digits", help="a file of searches/ (default: %(default)s)")
    name = parser.parse_args().search
    path = SEARCHES / f"{name}.yaml"
    search = load_search(path)
    params = check(search, str(path))
    folder = Path("reports") / f"{name}-search"
    write_search(search, run_search(search, params, name), folder)
    print(f"wrote {folder}")


if __name__ == "__main__":
    guarded(main)
