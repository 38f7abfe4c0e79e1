"""Invented result files, made once for all reporting tests (they only read them)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fabricate import fabricate


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with `runs/`, `results/`, `data/` for six models of three seeds, and their settings."""
    root = tmp_path_factory.mktemp("invented")
    return root, fabricate(root)
