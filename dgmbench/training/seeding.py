"""Generators for every purpose, derived from the seeds of the settings; the global state stays untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from a purpose and seeds, e.g. ``derive_seed("sample", 0)``; the same on any machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_for(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator on `device`, seeded by `derive_seed`."""
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))


@contextmanager
def initialising(*parts: int | str) -> Iterator[None]:
    """Give torch's parameter initialisers a derived seed, and put the global state back afterwards.

    torch.nn initialises from the global generator and takes no other, hence the fork.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(*parts))
        yield
