"""What a data set is: its form, where its files come from, and how they are cut into splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dgmbench.data.fetch.raw import Fetched, RawSet
from dgmbench.data.schema import Schema
from dgmbench.data.splits import Split
from dgmbench.terms import ViewName


@dataclass(frozen=True)
class DatasetSpec:
    """A data set, as its own file in `dgmbench.data.sets` declares it.

    Args:
        name: as settings and folders call it.
        title, licence, homepage: for the report.
        schema: its form; models are built from it before the data set is prepared.
        views: the views it can be modelled in.
        raw: the published files; None for a data set that a library carries.
        cut: the splits, out of the raw contents by name and the data seed.
        bundled: gives the contents of a data set that a library carries; it checks them itself.
    """

    name: str
    title: str
    licence: str
    homepage: str
    schema: Schema
    views: tuple[ViewName, ...]
    raw: RawSet | None
    cut: Callable[[dict[str, bytes], int], dict[str, Split]]
    bundled: Callable[[], Fetched] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a data set of images; `ValueError` for others."""
        return self.schema.image.shape

    @property
    def levels(self) -> int:
        """The L of a data set of images; `ValueError` for others."""
        return self.schema.image.levels

    @property
    def classes(self) -> int | None:
        """The number of classes, None without labels."""
        return self.schema.classes
