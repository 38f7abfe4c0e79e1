"""The recurrence of an LSTM over many lanes, as operators with a gradient of their own.

The gradient is written out: the graph that autograd makes of this, some fifteen nodes and as many copies per
step, costs more than the arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dgmbench.models.autoregressive.lane_plan import Plan


@functools.cache
def _plan(spans: tuple[int, ...], taps: tuple[int, ...]) -> Plan:
    return Plan(list(zip(spans[::2], spans[1::2], strict=True)), taps)


# Operators of their own, which torch.compile takes as they are: it would unroll all steps, and take minutes
# over them, and a break in its graph would keep CUDA graphs from holding a whole pass.
@torch.library.custom_op(
    "dgmbench::lane_lstm",
    mutates_args=(),
    schema="(Tensor x, Tensor weight, Tensor bias, Tensor state_weight, Tensor hidden, Tensor cell, "
    "Tensor[] unfed, int[] spans, int[] taps) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def scan(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    state_weight: Tensor,
    hidden: Tensor,
    cell: Tensor,
    unfed: Sequence[Tensor],
    spans: Sequence[int],
    taps: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The recurrence: hidden states, and what its gradient takes; rows are (position, image) pairs."""
    plan, n, h = _plan(tuple(spans), tuple(taps)), x.shape[2], hidden.shape[1]
    gates = torch.baddbmm(bias[:, None], x.flatten(1, 2), weight)
    states = _with_initial(x, [hidden] * len(plan.taps), unfed[:-1])
    cells = _with_initial(x, [cell], unfed[-1:])
    tanh_cells, outputs = torch.empty_like(cells), torch.empty_like(cells)
    for t, step in enumerate(plan.steps):
        gate, new, output = (_rows(part, step, n) for part in (gates, tanh_cells, outputs))
        gate.baddbmm_(_rows(states, step, n), state_weight)
        gate[..., : 3 * h].sigmoid_()
        gate[..., 3 * h :].tanh_()
        i, f, o, g = gate.split(h, -1)
        torch.mul(f, _rows(cells, step, n), out=new).addcmul_(i, g)
        copies = plan.copies[t] if t + 1 < len(plan.steps) else []
        for source, target in copies[-1:]:
            _rows(cells, target, n).copy_(_rows(tanh_cells, source, n))
        torch.mul(o, new.tanh_(), out=output)
        for tap, (source, target) in enumerate(copies[:-1]):
            _rows(states, target, n)[..., tap * h : (tap + 1) * h] = _rows(outputs, source, n)
    return outputs.view(*x.shape[:3], h), gates, states, cells, tanh_cells


@scan.register_fake
def _(x: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    (directions, positions, n, _), gates, taps = x.shape, weight.shape[2], len(rest[-1])
    h, rows = gates // 4, positions * n
    shapes = ((positions, n, h), (rows, gates), (rows, taps * h), (rows, h), (rows, h))
    return tuple(x.new_empty((directions, *shape)) for shape in shapes)


@torch.library.custom_op(
    "dgmbench::lane_lstm_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor weight, Tensor state_weight, Tensor gates, Tensor states, "
    "Tensor cells, Tensor tanh_cells, Tensor[] unfed, int[] spans, int[] taps) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _scan_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    state_weight: Tensor,
    gates: Tensor,
    states: Tensor,
    cells: Tensor,
    tanh_cells: Tensor,
    unfed: Sequence[Tensor],
    spans: Sequence[int],
    taps: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients with respect to the first six arguments of `scan`."""
    plan, n, h = _plan(tuple(spans), tuple(taps)), x.shape[2], cells.shape[2]
    d_gates, d_cells = _backward_steps(plan, n, grad, state_weight, gates, cells, tanh_cells)
    # What is left are single products over the whole map.
    d_x = torch.bmm(d_gates, weight.mT).view_as(x)
    d_weight = torch.bmm(x.flatten(1, 2).mT, d_gates)
    d_state_weight = torch.bmm(states.mT, d_gates)
    by_position = d_gates.unflatten(1, (-1, n))
    by_tap = [by_position[:, positions].sum((1, 2)) for positions in unfed[:-1]]
    d_hidden = torch.einsum("tdg,dthg->dh", torch.stack(by_tap), state_weight.unflatten(1, (-1, h)))
    forget = gates[..., h : 2 * h].unflatten(1, (-1, n))[:, unfed[-1]]
    d_cell = (d_cells.unflatten(1, (-1, n))[:, unfed[-1]] * forget).sum((1, 2))
    return d_x, d_weight, d_gates.sum(1), d_state_weight, d_hidden, d_cell


@_scan_backward.register_fake
def _(grad: Tensor, x: Tensor, weight: Tensor, state_weight: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    directions, _, gates = weight.shape
    h = gates // 4
    learned = [x.new_empty((directions, size)) for size in (gates, h, h)]
    return (
        x.new_empty(x.shape),
        x.new_empty(weight.shape),
        learned[0],
        x.new_empty(state_weight.shape),
        *learned[1:],
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _, state_weight, _, _, unfed, ctx.spans, ctx.taps = inputs
    ctx.save_for_backward(x, weight, state_weight, *output[1:], *unfed)
    # Only the hidden states are used outside: no zeros for the others.
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
    saved, unfed = ctx.saved_tensors[:7], ctx.saved_tensors[7:]
    gradients = _scan_backward(grad, *saved, unfed, ctx.spans, ctx.taps)
    return *gradients, [None] * len(unfed), None, None


scan.register_autograd(_differentiate, setup_context=_keep)


def _backward_steps(
    plan: Plan, n: int, grad: Tensor, state_weight: Tensor, gates: Tensor, cells: Tensor, tanh_cells: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients with respect to the gates before their nonlinearities and to the new cells."""
    h = cells.shape[2]
    d_outputs = grad.flatten(1, 2).clone(memory_format=torch.contiguous_format)
    d_gates, d_cells = torch.empty_like(gates), torch.zeros_like(cells)
    for t in reversed(range(len(plan.steps))):
        views = (gates, d_gates, d_outputs, d_cells, cells, tanh_cells)
        gate, d_gate, d_output, d_cell, cell, tanh_cell = (_rows(part, plan.steps[t], n) for part in views)
        i, _, o, g = gate.split(h, -1)
        d_i, d_f, d_o, d_g = d_gate.split(h, -1)
        d_cell += torch.ops.aten.tanh_backward(d_output * o, tanh_cell)
        torch.mul(d_cell, g, out=d_i)
        torch.mul(d_cell, cell, out=d_f)
        torch.mul(d_output, tanh_cell, out=d_o)
        torch.mul(d_cell, i, out=d_g)
        squashed, d_squashed = gate[..., : 3 * h], d_gate[..., : 3 * h]
        torch.ops.aten.sigmoid_backward(d_squashed, squashed, grad_input=d_squashed)
        torch.ops.aten.tanh_backward(d_g, g, grad_input=d_g)
        if t:
            d_state, start = torch.bmm(d_gate, state_weight.mT), plan.steps[t].start
            for tap, (source, target) in enumerate(plan.copies[t - 1][:-1]):
                read = _rows(d_state, _shift(target, start), n)[..., tap * h : (tap + 1) * h]
                _rows(d_outputs, source, n).add_(read)
            source, target = plan.copies[t - 1][-1]
            forget = _rows(gates, target, n)[..., h : 2 * h]
            torch.mul(_rows(d_cells, target, n), forget, out=_rows(d_cells, source, n))
    return d_gates, d_cells


def _rows(tensor: Tensor, positions: slice, n: int) -> Tensor:
    return tensor[:, positions.start * n : positions.stop * n]


def _shift(positions: slice, start: int) -> slice:
    return slice(positions.start - start, positions.stop - start)


def _with_initial(x: Tensor, parts: list[Tensor], unfed: Sequence[Tensor]) -> Tensor:
    """``[directions, rows, parts * h]``, each part set to its learned state where nothing else comes."""
    directions, positions, n, _ = x.shape
    buffer = parts[0].new_empty((directions, positions, n, len(parts), parts[0].shape[1]))
    for index, (part, where) in enumerate(zip(parts, unfed, strict=True)):
        buffer[:, where, :, index] = part[:, None, None]
    return buffer.flatten(3).flatten(1, 2)
