"""Several processes train one model as one process would, each on its share of a batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dgmbench.training.ranks import Ranks

SCRIPT = Path(__file__).with_name("two_ranks.py")


def test_shares_are_a_partition_and_streams_are_each_rank_s_own() -> None:
    rows = torch.arange(6)
    shares = [Ranks(rank, 3).share(rows) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == rows.tolist()
    # A remainder is filled up, since a rank without rows would have no mean.
    shares = [Ranks(rank, 3).share(rows[:4]) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == [0, 0, 1, 1, 2, 3]
    assert [Ranks(rank, 2).share(rows[:1]).tolist() for rank in range(2)] == [[0], [0]]
    assert torch.equal(Ranks().share(rows), rows)
    assert [Ranks(rank, 3).stream() for rank in range(3)] == [(), (1,), (2,)]
    assert Ranks().alone and not Ranks(0, 2).alone


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_two_ranks_end_where_one_process_does(tmp_path: Path) -> None:
    commands = [(0, 1), (0, 2), (1, 2)]
    started = [
        subprocess.Popen([sys.executable, str(SCRIPT), str(rank), str(world), str(tmp_path)])
        for rank, world in commands
    ]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    alone, first, second = (
        torch.load(tmp_path / f"weights-{rank}-of-{world}.pt", weights_only=True) for rank, world in commands
    )
    assert len(alone) > 2
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
        assert torch.equal(first[name], second[name])
