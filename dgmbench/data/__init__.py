"""Image data sets: where they come from, how they are split, and the forms in which models take them.

Nothing here imports torch, torchvision or scikit-learn until it is needed; the torch side is in
`dgmbench.data.views`.
"""

from __future__ import annotations

from dgmbench.data.dataset import Dataset, load_dataset
from dgmbench.data.datasets import dataset_names, get_spec
from dgmbench.data.prepare import prepare

__all__ = ["Dataset", "dataset_names", "get_spec", "load_dataset", "prepare"]
