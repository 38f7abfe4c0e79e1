"""Published test errors with few labels on MNIST, and what is known of how they came about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dgmbench.reporting.comparison.reference import Reference

_KINGMA = "Kingma et al. 2014, Table 1"
_SALIMANS = "Salimans et al. 2016, Table 1"
# What the authors' code does, as far as it has been read.
_PASSES = (
    "the other training images without labels; the code prints the errors on validation and test images "
    "after every pass, of a fixed number, and selects nothing"
)
_EPOCHS = (
    "all training and validation images without labels; the code prints the test error after each of 300 "
    "epochs and selects nothing"
)
_VAT = (
    "not in the sources here; the authors' MNIST code, of an earlier paper, holds out 1,000 labelled "
    "training images, trains for a fixed number of epochs and selects nothing"
)
_LADDER = (
    "all training images without labels, none for validation, a fixed number of epochs (the authors' "
    "commands); the full ladder, with a cost in every layer: 1.06 ± 0.37 % (as quoted by Dai et al. 2017)"
)


def _error(entry: str, labels: int, value: float, spread: float | None, source: str,
           flag: Literal["V", "V2", "M"], protocol: str) -> Reference:  # fmt: skip
    """A semi-supervised test error on permutation-invariant MNIST, in percent."""
    return Reference("mnist", "gray", entry, f"ssl_error_{labels}", value, spread, "percent", "exact",
                     protocol, source, flag)  # fmt: skip


ERRORS: tuple[Reference, ...] = (
    *(_error("nearest_neighbour", n, v, None, _KINGMA, "M", "labelled images alone")
      for n, v in ((100, 25.81), (1000, 10.7))),
    *(_error("convnet", n, v, None, _KINGMA, "M", "labelled images alone, their CNN")
      for n, v in ((100, 22.98), (1000, 6.45))),
    *(_error("m1", n, v, None, _KINGMA, "V2", "M1 + TSVM (ours: logistic regression)")
      for n, v in ((100, 11.82), (1000, 4.24))),
    *(_error("m2", n, v, s, _KINGMA, "M", _PASSES)
      for n, v, s in ((100, 11.97, 1.71), (1000, 3.60, 0.56))),
    *(_error("m1_m2", n, v, s, _KINGMA, "V2", _PASSES)
      for n, v, s in ((100, 3.33, 0.14), (1000, 2.40, 0.02))),
    *(_error("ssgan", n, v, s, _SALIMANS, "V", _EPOCHS)
      for n, v, s in ((20, 16.77, 4.52), (100, 0.93, 0.065))),
    _error("vat", 100, 1.36, None, "Miyato et al. 2018, as quoted by Dai et al. 2017", "V2", _VAT),
    _error("ladder", 100, 3.06, 1.44, "Rasmus et al. 2015, Table 1, the Γ model", "M", _LADDER),
)  # fmt: skip


def watches_test_errors(shown: Sequence[Reference]) -> bool:
    """Whether a figure is by code that reports the test error in every epoch and has no choice of its own."""
    return any(reference.protocol in (_PASSES, _EPOCHS) for reference in shown)
