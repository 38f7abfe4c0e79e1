"""Words that models, metrics and reports share, in a file of their own that seldom changes."""

from __future__ import annotations

from typing import Literal

# What of an example is modelled: pixels drawn from intensities, all L levels of gray or coloured ones, words.
ViewName = Literal["binary", "gray", "color", "tokens"]
# What a number is to the quantity it is of; see `dgmbench.results`.
Kind = Literal["exact", "lower_bound", "estimate", "heuristic"]
# The views in which pixels have all their levels.
LEVELLED: tuple[ViewName, ...] = ("gray", "color")
