"""Remembered results are removed by their age, which cannot be negative."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from dgmbench.__main__ import main
from dgmbench.commands import guarded
from dgmbench.store import Store

SETTINGS = """\
{pipeline: p, datasets: [digits], seeds: [0], data: {}, sampling: {}, evaluation: {}, classifier: {},
controls: {}, orders: [], models: {ppca: {family: ppca, view: gray, latent_dims: [2]}}}
"""


def forget(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["dgmbench", "forget", *options])
    guarded(main)


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """One of today and one of ten days ago."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(SETTINGS, encoding="utf-8")
    store = Store("store")
    for key in ("new", "old"):
        store.remembered(key, lambda: 1)
    past = time.time() - 10 * 86400
    os.utime(store.path("old"), (past, past))
    return store.path("new"), store.path("old")


def test_old_entries_go_and_others_stay(entries: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch, "--days", "5")
    assert [path.exists() for path in entries] == [True, False]


@pytest.mark.parametrize("days", ["-1", "nan"])
def test_another_age_is_refused(
    days: str, entries: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        forget(monkeypatch, "--days", days)
    assert ended.value.code == 2 and f"--days {days}" in capsys.readouterr().err
    assert all(path.exists() for path in entries)
