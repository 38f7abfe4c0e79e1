"""Receptive fields by following sets of sub-pixels through each architecture, without its arithmetic.

A node is a pixel's feature group (i, j, group); it holds the sub-pixels (i, j, channel) that it has seen.
With one group a pixel's channels are seen together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

Node = tuple[int, int, int]
Field = dict[Node, frozenset[Node]]
# Offsets (down, right) of what a layer reads besides its own pixel.
Offsets = list[tuple[int, int]]


@dataclass(frozen=True)
class Map:
    """The size of an image and how many groups of channels the network separates."""

    channels: int
    height: int
    width: int
    groups: int

    def nodes(self) -> list[Node]:
        return list(itertools.product(range(self.height), range(self.width), range(self.groups)))

    def image(self) -> Field:
        """Each node has seen its own channel, or the one group all of them."""
        own = [range(self.channels)] if self.groups == 1 else [[c] for c in range(self.channels)]
        return {(i, j, g): frozenset((i, j, c) for c in own[g]) for i, j, g in self.nodes()}

    def read(self, field: Field, offsets: Offsets, own: Callable[[int], Iterable[int]]) -> Field:
        """All groups at `offsets`, and at the own pixel the groups that `own` gives for a group."""
        read = {}
        for i, j, g in self.nodes():
            around = [(i + a, j + b, k) for a, b in offsets for k in range(self.groups)]
            read[i, j, g] = union(field.get(node) for node in (*around, *((i, j, k) for k in own(g))))
        return read


def union(parts: Iterable[frozenset[Node] | None]) -> frozenset[Node]:
    return frozenset().union(*(part for part in parts if part is not None))


def join(*fields: Field) -> Field:
    return {node: union(field[node] for field in fields) for node in fields[0]}


def mask_a(group: int) -> range:
    return range(group)


def mask_b(group: int) -> range:
    return range(group + 1)


def above(radius: int) -> Offsets:
    return [(-a, b) for a in range(1, radius + 1) for b in range(-radius, radius + 1)]


def left(radius: int) -> Offsets:
    return [(0, -b) for b in range(1, radius + 1)]


def scan(at: Map, inputs: Field, offsets: Offsets) -> Field:
    """States that read their inputs and, at `offsets`, earlier states."""
    states: Field = {}
    # To the right first where the states to the right are read.
    for i, j, g in sorted(at.nodes(), key=lambda node: (node[0], node[1] * (-1 if (0, 1) in offsets else 1))):
        before = (states.get((i + a, j + b, k)) for a, b in offsets for k in range(at.groups))
        states[i, j, g] = union((inputs[i, j, g], *before))
    return states


def pixelcnn(at: Map, first: int, depth: int) -> Field:
    """A first kernel of radius `first`, and `depth` blocks of 3x3 kernels."""
    field = at.read(at.image(), above(first) + left(first), mask_a)
    for _ in range(depth):
        field = join(field, at.read(field, above(1) + left(1), mask_b))
    return field


def row_lstm(at: Map, first: int, depth: int) -> Field:
    """The same first kernel, and `depth` layers of kernel 3 along the row."""
    field = at.read(at.image(), above(first) + left(first), mask_a)
    for _ in range(depth):
        states = scan(at, at.read(field, left(1), mask_b), [(-1, b) for b in (-1, 0, 1)])
        field = join(field, at.read(states, [], mask_b))
    return field


def gated_pixelcnn(at: Map, first: int, depth: int) -> Field:
    """A vertical stack of all groups together, and a horizontal one; `depth` layers after the first."""
    everything = partial(lambda groups, group: range(groups), at.groups)
    vertical = at.read(at.image(), above(first), lambda group: ())
    field = join(at.read(at.image(), left(first), mask_a), vertical)
    for _ in range(depth):
        vertical = at.read(vertical, [*above(1), (0, -1), (0, 1)], everything)
        field = join(field, at.read(field, left(1), mask_b), vertical)
    return field


def diagonal_bilstm(at: Map, first: int, depth: int) -> Field:
    """Two directions, the right one a row late; in the first layer it reads the pixel itself."""
    everything = partial(lambda groups, group: range(groups), at.groups)
    field = at.read(at.image(), above(first) + left(first), mask_a)
    for layer in range(depth):
        inputs = at.read(field, [], mask_b)
        behind = join(inputs, at.read(at.image(), [], everything)) if layer == 0 else inputs
        one, two = scan(at, inputs, [(0, -1), (-1, 0)]), scan(at, behind, [(0, 1), (-1, 0)])
        field = join(field, one, at.read(two, [(-1, 0)], lambda group: ()))
    return field


FIELDS = {
    "pixelcnn": pixelcnn,
    "gated_pixelcnn": gated_pixelcnn,
    "row_lstm": row_lstm,
    "diagonal_bilstm": diagonal_bilstm,
}


def pattern(at: Map, field: Field) -> Tensor:
    """`field` as bool ``[H W C, H W C]`` in generation order.

    If the network does not separate channels, the output distribution links a channel to those before it.
    """
    matrix = torch.zeros((at.height, at.width, at.channels) * 2, dtype=torch.bool)
    for i, j, c in itertools.product(range(at.height), range(at.width), range(at.channels)):
        linked = [] if at.groups > 1 else [(i, j, k) for k in range(c)]
        for seen in (*field[i, j, c if at.groups > 1 else 0], *linked):
            matrix[(i, j, c, *seen)] = True
    return matrix.flatten(0, 2).flatten(1)
