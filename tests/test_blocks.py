from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dgmbench import blocks
from dgmbench.blocks import BlockStore


class Clock:
    """A clock that tests turn by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(blocks, "time", clock)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "blocks.pt"


def block(value: float) -> dict[str, torch.Tensor]:
    return {"sums": torch.full((2, 3), value, dtype=torch.float64), "state": torch.arange(5)}


def test_blocks_come_back_to_the_byte_in_another_process(path: Path) -> None:
    tensors = {
        "double": torch.randn(3, 4, dtype=torch.float64),
        "half": torch.randn(2).bfloat16(),
        "number": torch.tensor(7),
        "bytes": torch.randint(256, (9,), dtype=torch.uint8),
        "none": torch.zeros(0, 3),
    }
    with BlockStore(path, "f") as store:
        store.put(3, tensors)
        store.put(0, {})
    again = BlockStore(path, "f")
    found = again.get(3)
    assert found is not None and list(found) == list(tensors) and len(again) == 2
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)
    assert again.get(0) == {} and again.get(1) is None


def test_the_last_state_put_under_a_number_counts(path: Path) -> None:
    with BlockStore(path, "f") as store:
        store.put(0, block(1.0))
        store.put(0, {"other": torch.ones(1)})
    found = BlockStore(path, "f").get(0)
    assert found is not None and list(found) == ["other"]


def test_what_is_put_and_got_is_copied(path: Path) -> None:
    store, mine = BlockStore(path, "f"), torch.zeros(4, requires_grad=True)
    store.put(0, {"mine": mine, "part": torch.arange(1000.0)[:2]})
    with torch.no_grad():
        mine += 1
    found = store.get(0)
    assert found is not None and not found["mine"].requires_grad
    found["mine"] += 5
    store.flush()
    for reader in (store, BlockStore(path, "f")):
        kept = reader.get(0)
        assert kept is not None and torch.equal(kept["mine"], torch.zeros(4))
        # A view is kept without the tensor that it is a part of.
        assert kept["part"].untyped_storage().nbytes() == 8


def test_puts_write_no_more_often_than_asked(path: Path, clock: Clock) -> None:
    store = BlockStore(path, "f", seconds=30.0)
    store.put(0, block(0.0))
    clock.now += 29
    store.put(1, block(1.0))
    assert not path.exists()
    clock.now += 1
    store.put(2, block(2.0))
    assert len(BlockStore(path, "f")) == 3
    clock.now += 29
    store.put(3, block(3.0))
    assert len(BlockStore(path, "f")) == 3
    store.flush()
    assert len(BlockStore(path, "f")) == 4


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_leaving_by_an_exception_keeps_what_was_put(path: Path, failure: type[BaseException]) -> None:
    def stopped() -> None:
        with BlockStore(path, "f", seconds=1e9) as store:
            store.put(0, block(1.0))
            raise failure

    with pytest.raises(failure):
        stopped()
    assert BlockStore(path, "f").get(0) is not None


def test_another_fingerprint_is_told_and_overwritten(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BlockStore(path, "old") as store:
        store.put(0, block(1.0))
        store.put(1, block(1.0))
    assert capsys.readouterr().err == ""
    with BlockStore(path, "new") as store:
        assert store.get(0) is None
        assert str(path) in (told := capsys.readouterr().err) and "starts afresh" in told
        store.put(0, block(2.0))
    assert len(BlockStore(path, "new")) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "garbage", "list"])
def test_a_damaged_file_is_told_and_ignored(
    path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with BlockStore(path, "f") as store:
        store.put(0, block(1.0))
    raw = path.read_bytes()
    if damage == "list":
        torch.save([1, 2], path)
    else:
        flipped = bytes(255 - byte for byte in raw[:64]) + raw[64:]
        damaged = {"cut": raw[: len(raw) // 2], "flipped": flipped, "empty": b"", "garbage": b"x" * 900}
        path.write_bytes(damaged[damage])
    assert len(BlockStore(path, "f")) == 0
    assert str(path) in (told := capsys.readouterr().err) and "ignored" in told


def test_discarding_removes_the_file_for_good(path: Path) -> None:
    with BlockStore(path, "f", seconds=0.0) as store:
        store.put(0, block(1.0))
        assert path.exists()
        store.discard()
        assert store.get(0) is None
    assert list(path.parent.iterdir()) == []
    BlockStore(path, "f").discard()


def test_a_full_disk_is_told_and_costs_neither_the_estimate_nor_the_older_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def full(path: Path) -> Iterator[Path]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield path

    with BlockStore(path, "f") as store:
        store.put(0, block(1.0))
    with monkeypatch.context() as patch, BlockStore(path, "f", seconds=0.0) as store:
        patch.setattr(blocks, "replacing", full)
        store.put(1, block(2.0))
        assert "No space left" in capsys.readouterr().err
        assert store.get(1) is not None
        patch.undo()
        # Room again: leaving writes both.
    assert len(BlockStore(path, "f")) == 2
