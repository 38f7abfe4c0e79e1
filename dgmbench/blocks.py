"""Finished parts of a long estimate, kept on disk so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from dgmbench.files import replacing
from dgmbench.packed import DamagedError, pack, unpack

Block = dict[str, Tensor]


class BlockStore:
    """Blocks of tensors by number, in one file that is rewritten whole at most every `seconds`.

    An estimator asks `get` before it computes a block and gives the result to `put`; a block may be put
    again, so that one which takes long can leave states on its way. As a context manager the store is
    written on leaving, by an exception or Ctrl-C too; `discard` removes the file once the estimate is safe
    elsewhere.

    A file that cannot be written costs the resumption and not the estimate; standard error says so.

    Args:
        path: the file; one that is damaged or of another fingerprint is reported and ignored.
        fingerprint: says what the blocks are of: the model's parameters, the data and every setting.
        seconds: the least time between two writes that `put` makes.
    """

    def __init__(self, path: Path, fingerprint: str, seconds: float = 30.0) -> None:
        self.path, self.fingerprint, self.seconds = Path(path), fingerprint, seconds
        self._blocks: dict[int, Block] = self._read()
        self._written, self._unsaved = time.monotonic(), False

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, index: int) -> Block | None:
        """The tensors last put under `index`, on the CPU, or None."""
        block = self._blocks.get(index)
        return None if block is None else {name: tensor.clone() for name, tensor in block.items()}

    def put(self, index: int, tensors: Block) -> None:
        """Keep a copy of `tensors` under `index` in place of what was there."""
        self._blocks[index] = {
            name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
        }
        self._unsaved = True
        if time.monotonic() - self._written >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is not yet on disk."""
        if not self._unsaved:
            return
        try:
            blocks = {str(index): block for index, block in self._blocks.items()}
            with replacing(self.path) as aside:
                aside.write_bytes(pack({"fingerprint": self.fingerprint, "blocks": blocks}))
            self._unsaved = False
        except OSError as error:
            self._report(f"cannot be written ({error}); the evaluation goes on and cannot resume from there")
        self._written = time.monotonic()

    def discard(self) -> None:
        """Forget every block and remove the file."""
        self._blocks, self._unsaved = {}, False
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def _read(self) -> dict[int, Block]:
        try:
            state: Any = unpack(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, DamagedError) as error:
            self._report(f"is ignored: it {error}")
            return {}
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            self._report("is of another model, data or settings and is ignored; the estimate starts afresh")
            return {}
        return {int(index): block for index, block in state["blocks"].items()}

    def _report(self, what: str) -> None:
        print(f"{self.path} {what}", file=sys.stderr)
