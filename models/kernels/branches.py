"""One modality over time: a gated recurrent unit, or the modality as it stands now. Compiled.

The references are `models.encoders.gru_d.GruD` with `models.encoders.trend.Trend`, and
`models.encoders.point.Point`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from features.compiler import compiled
from models.kernels import network as net
from models.kernels.functions import tanh
from models.kernels.lanes import BLOCK, move, ratio
from models.kernels.network import CHUNK
from models.kernels.rows import above_zero, dense, denser, sigmoids

_START: Final = 6  # as `models.encoders.trend.START`

_F = np.float32
_ZERO, _ONE = _F(0.0), _F(1.0)


class Chunk(NamedTuple):
    """What lies between the layers of a chunk; widths are the widest there are."""

    given: Any  # [4, rows * padded inputs] as given
    shown: Any  # [rows, inputs of an encoder, and a vector beyond]
    mixed: Any  # [rows, width] what a recurrence is shown
    reset: Any
    update: Any
    new_x: Any
    new_h: Any
    held: Any  # [rows, width] what is remembered
    joined: Any  # [rows, outer] vectors side by side, and flags
    parts: Any  # [M, rows, outer] what each adds to the outer layer
    fused: Any  # [rows, outer]
    hidden: Any
    out: Any
    passed: Any  # [rows] log(1 + hours since the last row)


@compiled
def encode(network: Any, m: int, shown: Any, chunk: Any, memory: Any, n: int) -> None:
    """One modality's vectors, its memory renewed; as `GruD.step` and `Point.step`.

    `memory` is the state before and after, flat, and where the chunk's first row begins in them.
    """
    part = network.parts[m]
    recurrent = part[net.RESET_X] != net.NONE
    if recurrent:
        _show(network, m, shown, chunk, memory, n)
    else:
        _show_point(network, m, shown, chunk, n)
    mixed, width = chunk.mixed, part[net.WIDTH]
    dense(network, part[net.MIX], chunk.shown, (0, chunk.shown.shape[1]), mixed, n)
    above_zero(mixed, n, network.layers[part[net.MIX], net.BLOCKS] * BLOCK)
    after, columns = memory[1], network.sizes[net.STATE]
    kept = memory[2] + part[net.H]
    if recurrent:
        _recur(network, m, chunk, memory, n)
        for r in range(n):
            move(chunk.held, r * chunk.held.shape[1], after, kept + r * columns, width)
    else:
        for r in range(n):
            move(mixed, r * mixed.shape[1], after, kept + r * columns, width)


@compiled
def _recur(network: Any, m: int, chunk: Any, memory: Any, n: int) -> None:
    """One step of a gated recurrent unit, in `held`; as `models.encoders.gru_d.gru_step`."""
    part, state, columns = network.parts[m], memory[0], network.sizes[net.STATE]
    x, shown, kept = chunk.mixed, (0, chunk.mixed.shape[1]), (memory[2] + part[net.H], columns)
    for r in range(n):
        to = r * chunk.held.shape[1]
        move(state, kept[0] + r * columns, chunk.held, to, part[net.WIDTH])
    dense(network, part[net.RESET_X], x, shown, chunk.reset, n)
    denser(network, part[net.RESET_H], state, kept, chunk.reset, n)
    dense(network, part[net.UPDATE_X], x, shown, chunk.update, n)
    denser(network, part[net.UPDATE_H], state, kept, chunk.update, n)
    dense(network, part[net.NEW_X], x, shown, chunk.new_x, n)
    dense(network, part[net.NEW_H], state, kept, chunk.new_h, n)
    wide = network.layers[part[net.NEW_X], net.BLOCKS] * BLOCK
    sigmoids(chunk.reset, n, wide)
    sigmoids(chunk.update, n, wide)
    _renew((chunk.reset, chunk.update), chunk.new_x, chunk.new_h, chunk.held, (n, wide))


@compiled
def _renew(gates: Any, new_x: Any, new_h: Any, held: Any, shape: Any) -> None:
    """Memories, in place; what is beyond a width stays finite and is not read."""
    reset, update = gates
    for r in range(shape[0]):
        for j in range(shape[1]):
            new = tanh(new_x[r, j] + reset[r, j] * new_h[r, j])
            held[r, j] = new + update[r, j] * (held[r, j] - new)


@compiled
def _show(network: Any, m: int, shown: Any, chunk: Any, memory: Any, n: int) -> None:
    """What a recurrent branch is shown; as `GruD._channels`."""
    part, padded = network.parts[m], network.columns.shape[1] // CHUNK
    d, out = part[net.INPUTS], chunk.shown
    for r in range(n):
        at, to = r * padded + part[net.START], r * out.shape[1]
        move(shown.faded, at, out, to, d)
        move(shown.mask, at, out, to + d, d)
        move(shown.fresh, at, out, to + 2 * d, d)
        move(shown.age, at, out, to + 3 * d, d)
        out[r, 4 * d] = chunk.passed[r]
        to += 4 * d + 1
        if part[net.QUALITY]:
            move(shown.quality, at, out, to, d)
            to += d
        if part[net.TREND] != net.NONE:
            held = memory[2] + r * network.sizes[net.STATE] + part[net.TREND]
            _follow(shown, (at, held, to), memory, out.reshape(-1), d)


@compiled
def _follow(shown: Any, place: Any, memory: Any, out: Any, d: int) -> None:
    """Change and deviation from the start of one row; as `models.encoders.trend.Trend`."""
    at, held, to = place
    state, after, _ = memory
    for j in range(d):
        z, new = shown.value[at + j], shown.fresh[at + j] > _ZERO
        last, change = state[held + j], state[held + d + j]
        start, count = state[held + 2 * d + j], state[held + 3 * d + j]
        moved = z - last if count > _ZERO else _ZERO
        settled = start + ratio(z - start, count + _ONE)
        change = moved if new else change
        start = settled if new & (count < _F(_START)) else start
        count = count + _ONE if new else count
        after[held + j] = z if new else last
        after[held + d + j], after[held + 2 * d + j] = change, start
        after[held + 3 * d + j] = count
        known = shown.mask[at + j] if count > _ZERO else _ZERO
        out[to + j], out[to + d + j] = change * known, (z - start) * known


@compiled
def _show_point(network: Any, m: int, shown: Any, chunk: Any, n: int) -> None:
    """What a branch without memory is shown; as `Point.scan`."""
    part, padded = network.parts[m], network.columns.shape[1] // CHUNK
    d, out = part[net.INPUTS], chunk.shown
    for r in range(n):
        at, to = r * padded + part[net.START], r * out.shape[1]
        move(shown.value, at, out, to, d)
        move(shown.mask, at, out, to + d, d)
        move(shown.days, at, out, to + 2 * d, d)
