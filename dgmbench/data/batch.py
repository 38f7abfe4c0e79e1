"""A batch: what a model's objective takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

# The label of an unlabelled example.
UNKNOWN = -1


@dataclass(frozen=True)
class Batch:
    """Examples with what is known of them; every tensor has the same n rows.

    Args:
        x: ``[n, ...]``, in the form that the model's view gives.
        label: int64 ``[n]``, `UNKNOWN` where an example is unlabelled; None: there are no labels.
        condition: ``[n, ...]``, what x is modelled given: class ids (int64 ``[n]``), or images.
        mask: bool ``[n, T]``, True at the tokens of a sequence, its end included.
    """

    x: Tensor
    label: Tensor | None = None
    condition: Tensor | None = None
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def labelled(self) -> Batch:
        """The examples whose label is known; none where there are no labels."""
        return self[:0] if self.label is None else self[self.label != UNKNOWN]

    def unlabelled(self) -> Batch:
        """The other examples."""
        return self if self.label is None else self[self.label == UNKNOWN]

    def split(self, size: int) -> Iterator[Batch]:
        """Consecutive batches of `size` examples, the last one perhaps smaller."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        """The examples of some rows."""

        def chosen(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[rows]

        return Batch(self.x[rows], chosen(self.label), chosen(self.condition), chosen(self.mask))
