"""A reproducible benchmark suite for deep generative models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_run"]

if TYPE_CHECKING:
    from dgmbench.training.loading import load_run


def __getattr__(name: str) -> Any:
    """Import `load_run` on first use, so that `import dgmbench` stays free of torch."""
    if name == "load_run":
        from dgmbench.training.loading import load_run

        return load_run
    raise AttributeError(f"module 'dgmbench' has no attribute {name!r}")
