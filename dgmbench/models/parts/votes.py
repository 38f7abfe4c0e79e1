"""The votes of nearest neighbours as class probabilities."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def votes(near: Tensor, classes: int) -> Tensor:
    """Class probabilities ``[n, classes]`` float64 of the neighbours' labels ``near [n, k]``, nearest first.

    Each neighbour has a vote. Of classes with equally many votes the one with the nearest neighbour is
    likelier. So that no class has probability zero, one further vote is shared by all.
    """
    k = near.shape[1]
    each = F.one_hot(near, classes).double()
    # All ranks together decide less than a vote: 1/2 for the nearest, 1/4 for the next, and so on.
    ranks = 0.5 ** torch.arange(1, k + 1, dtype=torch.float64, device=near.device)
    counts = each.sum(1) + 1 / classes + 1e-3 * (each * ranks[:, None]).sum(1)
    return counts / counts.sum(1, keepdim=True)
