from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from dgmbench.errors import CheckpointError
from dgmbench.training.checkpoints import latest_checkpoint, load_checkpoint, previous_of, save_checkpoint


def state(step: int, fingerprint: str = "f") -> dict[str, Any]:
    return {"fingerprint": fingerprint, "step": step, "model": {"w": torch.full((50,), float(step))}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seed-0.ckpt"


def damage(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 0xFF
    path.write_bytes(raw)


def test_what_is_saved_is_loaded(path: Path) -> None:
    save_checkpoint(path, state(3))
    loaded = load_checkpoint(path)
    assert loaded["step"] == 3
    assert torch.equal(loaded["model"]["w"], torch.full((50,), 3.0))


def test_a_flipped_bit_is_noticed_and_the_checkpoint_before_it_used(path: Path) -> None:
    save_checkpoint(path, state(1))
    save_checkpoint(path, state(2))
    damage(path)
    said: list[str] = []
    found = latest_checkpoint(path, "f", said.append)
    assert found is not None
    assert found["step"] == 1
    assert "seed-0.ckpt is damaged: expected SHA-256" in said[0]


@pytest.mark.parametrize("content", [b"", b"garbage", b"dgmbench checkpoint sha256 abc"])
def test_truncated_files_are_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(path)


def test_with_no_sound_checkpoint_left_the_error_says_what_to_do(path: Path) -> None:
    save_checkpoint(path, state(1))
    save_checkpoint(path, state(2))
    damage(path)
    damage(previous_of(path))
    with pytest.raises(
        CheckpointError, match=f"delete {path} and {previous_of(path)} to start this seed again"
    ):
        latest_checkpoint(path, "f", lambda text: None)


def test_a_checkpoint_of_other_settings_is_not_used(path: Path) -> None:
    save_checkpoint(path, state(1, "other"))
    said: list[str] = []
    assert latest_checkpoint(path, "f", said.append) is None
    assert "other settings, data or code" in said[0]


def test_a_kill_between_the_two_renames_loses_nothing(path: Path) -> None:
    save_checkpoint(path, state(1))
    os.replace(path, previous_of(path))
    found = latest_checkpoint(path, "f")
    assert found is not None
    assert found["step"] == 1


def test_a_full_disk_keeps_the_checkpoint_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(path, state(1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"the disk is full; the checkpoint before it is kept"):
            save_checkpoint(path, state(2))
    assert load_checkpoint(path)["step"] == 1
    assert [file.name for file in path.parent.iterdir()] == [path.name]


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("planted",))


def test_code_in_a_checkpoint_is_not_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    save_checkpoint(path, {"fingerprint": "f", "payload": Malicious()})
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not Path("planted").exists()
    assert pickle.dumps(1)  # the module used to write such files is there, so the refusal was torch's
