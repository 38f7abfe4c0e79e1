"""Words that models, metrics and reports share, in a file of their own that seldom changes."""

from __future__ import annotations

from typing import Literal

# What of an image is modelled: pixels drawn from intensities, or all L levels.
View = Literal["binary", "gray"]
# The form in which a model takes x; see `dgmbench.data.views`.
Domain = Literal["binary", "levels", "dequantised"]
