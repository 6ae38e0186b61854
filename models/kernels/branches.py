"""One modality over time: a gated recurrent unit, or the modality as it stands now. Compiled.

The references are `models.encoders.gru_d.GruD` with `models.encoders.trend.Trend`, and
`models.encoders.point.Point`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from features.compiler import compiled
from models.kernels import network as net
from models.kernels.functions import log1p, tanh
from models.kernels.lanes import BLOCK, ratio
from models.kernels.network import CHUNK
from models.kernels.rows import dense, denser, put, put_above_zero, sigmoids

_LANES: Final = 16
_START: Final = 6  # as `models.encoders.trend.START`

_F = np.float32
_ZERO, _ONE, _QUARTER = _F(0.0), _F(1.0), _F(0.25)
_DAY_S, _MONTH_DAYS = _F(86_400.0), _F(30.0)


class Chunk(NamedTuple):
    """What lies between the layers of a chunk, flat."""

    given: Any  # [4, rows * padded inputs] as given
    shown: Any  # [rows, widest encoder's inputs]
    mixed: Any  # [rows, padded width] what a recurrence is shown
    gates: Any
    new_x: Any
    new_h: Any
    parts: Any  # [M, rows, padded] what each adds to the outer layer
    fused: Any
    hidden: Any
    out: Any
    passed: Any  # [rows] log(1 + hours since the last row)


@compiled
def encode(network: Any, m: int, shown: Any, chunk: Any, memory: Any, n: int) -> None:
    """One modality's vectors, its memory renewed; as `GruD.step` and `Point.step`."""
    part = network.parts[m]
    recurrent = part[net.GATES_X] != net.NONE
    if recurrent:
        _show(network, m, shown, chunk, memory, n)
    else:
        _show_point(network, m, shown, chunk, n)
    _, _, inner, blocks = network.layers[part[net.MIX]]
    wide = blocks * BLOCK
    dense(network, part[net.MIX], chunk.shown, (0, inner), chunk.mixed, n)
    mixed = chunk.mixed[: n * wide]
    put_above_zero(mixed, mixed)
    if recurrent:
        _recur(network, m, chunk, memory, n)
        return
    columns, width = network.sizes[net.STATE], part[net.WIDTH]
    for r in range(n):
        at = memory[2] + r * columns + part[net.H]
        put(mixed[r * wide : r * wide + width], memory[1][at : at + width])


@compiled
def _recur(network: Any, m: int, chunk: Any, memory: Any, n: int) -> None:
    """One step of a gated recurrent unit; as `models.encoders.gru_d.gru_step`."""
    part, layers, (state, after, start) = network.parts[m], network.layers, memory
    width, columns = part[net.WIDTH], network.sizes[net.STATE]
    shown = (0, layers[part[net.MIX], net.BLOCKS] * BLOCK)
    held = (start + part[net.H], columns)
    dense(network, part[net.GATES_X], chunk.mixed, shown, chunk.gates, n)
    denser(network, part[net.GATES_H], state, held, chunk.gates, n)
    dense(network, part[net.NEW_X], chunk.mixed, shown, chunk.new_x, n)
    dense(network, part[net.NEW_H], state, held, chunk.new_h, n)
    wide = layers[part[net.GATES_X], net.BLOCKS] * BLOCK
    sigmoids(chunk.gates[: n * wide])
    narrow = layers[part[net.NEW_X], net.BLOCKS] * BLOCK
    for r in range(n):
        at, gate, candidate = held[0] + r * columns, r * wide, r * narrow
        _renew(
            chunk.gates[gate : gate + 2 * width],
            (
                chunk.new_x[candidate : candidate + width],
                chunk.new_h[candidate : candidate + width],
            ),
            state[at : at + width],
            after[at : at + width],
        )


@compiled
def _renew(gates: Any, candidates: Any, before: Any, after: Any) -> None:
    """One row's memory."""
    width = before.size
    reset, update = gates[:width], gates[width:]
    new_x, new_h = candidates
    for j in range(width):
        new = tanh(new_x[j] + reset[j] * new_h[j])
        after[j] = new + update[j] * (before[j] - new)


@compiled
def _copy(source: Any, at: int, to: Any, start: int, d: int) -> None:
    """Whole vectors of one kind of input beside each other: what is too much is written over."""
    wide = -(-d // _LANES) * _LANES
    put(source[at : at + wide], to[start : start + wide])


@compiled
def _show(network: Any, m: int, shown: Any, chunk: Any, memory: Any, n: int) -> None:
    """What a recurrent branch is shown; as `GruD._channels`."""
    part, padded = network.parts[m], network.columns.shape[1] // CHUNK
    inner = network.layers[part[net.MIX], net.INNER]
    d = part[net.INPUTS]
    out = chunk.shown
    for r in range(n):
        at, to = r * padded + part[net.START], r * inner
        _copy(shown.faded, at, out, to, d)
        _copy(shown.mask, at, out, to + d, d)
        _copy(shown.fresh, at, out, to + 2 * d, d)
        _copy(shown.age, at, out, to + 3 * d, d)
        out[to + 4 * d] = chunk.passed[r]
        to += 4 * d + 1
        if part[net.QUALITY]:
            _copy(shown.quality, at, out, to, d)
            to += d
        if part[net.TREND] != net.NONE:
            held = memory[2] + r * network.sizes[net.STATE] + part[net.TREND]
            _follow(shown, (at, held, to), memory, out, d)


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
    inner = network.layers[part[net.MIX], net.INNER]
    d = part[net.INPUTS]
    out = chunk.shown
    for r in range(n):
        at, to = r * padded + part[net.START], r * inner
        _copy(shown.value, at, out, to, d)
        _copy(shown.mask, at, out, to + d, d)
        wide, to = -(-d // _LANES) * _LANES, to + 2 * d
        _show_days(shown.age_s[at : at + wide], out[to : to + wide])


@compiled
def _show_days(age_s: Any, out: Any) -> None:
    """How old facts are, of one row."""
    for j in range(out.size):
        days = ratio(age_s[j], _DAY_S)
        days = _MONTH_DAYS if days > _MONTH_DAYS else days
        out[j] = log1p(days) * _QUARTER
