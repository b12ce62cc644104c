"""Wires of an array that have resistance (include/lumina/wires.hpp), in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ..hardware.mapping import Wires

#: inputs·outputs² of an array, numbers of 8 bytes that are held three times.
_LARGEST = 1 << 25


def effective_conductances(conductances: Tensor, wires: Wires) -> Tensor:
    """What takes the place of the conductances [outputs, inputs] of an array, in µS. In float64,
    rounded; a time that grows as inputs·outputs³. Error: ValueError, an array that is too large.

    Row i, a chain of the nodes R(i, o) from its driver on, is eliminated by itself; what is left
    are the columns' nodes C(i, o), of which those of neighbouring i are connected.
    """
    outputs, inputs = conductances.shape
    if wires.ideal or conductances.numel() == 0:
        return conductances
    if inputs * outputs**2 > _LARGEST:
        raise ValueError(
            f"wires of arrays of {inputs} inputs and {outputs} outputs need the compiled part of"
            f" lumina_kernel; without it inputs·outputs² must be at most {_LARGEST}"
        )
    g = conductances.double().t()  # [inputs, outputs]
    # Of each input: the currents to ground per volt of its driver while all C are grounded, and
    # how currents leave by the devices as C are raised.
    if wires.row_ohm == 0.0:
        driven, leaving = g, torch.diag_embed(g)
    else:
        row = 1e6 / wires.row_ohm
        chain = torch.diag_embed(g + row)
        following = torch.arange(outputs - 1, device=g.device)
        chain[:, following, following] += row
        chain[:, following, following + 1] = chain[:, following + 1, following] = -row
        inverse = torch.linalg.inv(chain)
        driven = g * inverse[:, :, 0] * row
        leaving = torch.diag_embed(g) - g[:, :, None] * inverse * g[:, None, :]
    if wires.column_ohm == 0.0:
        return driven.t().to(conductances.dtype)
    column = 1e6 / wires.column_ohm
    nodes = leaving + torch.eye(outputs, dtype=g.dtype, device=g.device) * (2.0 * column)
    nodes[-1].diagonal().sub_(column)
    # From the far end on: what is behind C(i) as seen from there.
    shares = torch.empty_like(nodes)  # of a current into C(i, o) that gets to each C(i − 1)
    shares[-1] = torch.linalg.inv(nodes[-1]) * column
    for i in range(inputs - 2, -1, -1):
        shares[i] = torch.linalg.inv(nodes[i] - column * shares[i + 1]) * column
    effective = torch.empty_like(driven)
    to_ground = torch.eye(outputs, dtype=g.dtype, device=g.device)
    for i in range(inputs):
        to_ground = to_ground @ shares[i]
        effective[i] = to_ground @ driven[i]
    return effective.t().to(conductances.dtype)
