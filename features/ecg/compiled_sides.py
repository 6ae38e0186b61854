"""Candidates side by side: shapes as `(points, candidates)`, so that one instruction serves many.

Bit for bit what NumPy gives in `features.ecg.company`: each one's own sums keep their order. A tile
holds whole rows, because candidates are compared within their row only. Imported only where numba
is installed (`features.ecg.compiled_looks`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import row_end, total
from features.tiles import summed

_TINY: Final = 1e-30  # `features.ecg.alone.TINY`
CANDIDATES: Final = 128  # of a tile, more only where a row has more


@compiled
def tile_end(row: Any, start: Any) -> Any:
    """Index after the last candidate of the whole rows that fit a tile from `start` on."""
    stop = row_end(row, start)
    while stop < row.size:
        after = row_end(row, stop)
        if after - start > CANDIDATES:
            break
        stop = after
    return stop


@compiled
def cut_around(x: Any, row: Any, centre: Any, reach: Any, out: Any) -> None:
    """Samples around each candidate; the row's ends are held."""
    last = x.shape[1] - 1
    for k in range(row.size):
        mine, begin = x[row[k]], centre[k] - reach
        if begin >= 0 and centre[k] + reach <= last:
            own = mine[begin : begin + 2 * reach + 1]
            for j in range(out.shape[0]):
                out[j, k] = own[j]
        else:
            for j in range(out.shape[0]):
                out[j, k] = mine[min(max(begin + j, 0), last)]


@compiled
def norms_of(x: Any, room: Any, out: Any) -> None:
    """Root of each candidate's sum of squares, never 0."""
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            room[j, k] = x[j, k] * x[j, k]
    summed(room, out)
    for k in range(out.size):
        out[k] = np.sqrt(out[k]) + _TINY


@compiled
def products_of(a: Any, b: Any, room: Any, out: Any) -> None:
    """Sum of the products of two shapes of each candidate."""
    for j in range(a.shape[0]):
        for k in range(a.shape[1]):
            room[j, k] = a[j, k] * b[j, k]
    summed(room, out)


@compiled
def others_of(own: Any, row: Any, out: Any) -> None:
    """Of each candidate, the sum of its row's less itself, in the order of `column_totals`."""
    start = 0
    while start < row.size:
        stop = row_end(row, start)
        for j in range(own.shape[0]):
            mine, left = own[j, start:stop], out[j, start:stop]
            whole = mine[0] + total(mine[1:])
            for k in range(mine.size):
                left[k] = whole - mine[k]
        start = stop


@compiled
def best_alike(wave: Any, beats: Any, weight: Any, spec: Any, out: Any) -> None:
    """Best correlation with the row's others at any lag; see `company._best_alike`."""
    row, at = beats
    reach, lag = spec
    many, size = row.size, 2 * reach + 1
    wide, own = np.empty((size + 2 * lag, many)), np.empty((size, many))
    others, room = np.empty((size, many)), np.empty((size, many))
    norm, power, product, side = np.empty(many), np.empty(many), np.empty(many), np.empty(many)
    cut_around(wave, row, at, reach + lag, wide)
    norms_of(wide[lag : lag + size], room, norm)
    for k in range(many):
        side[k] = -1.0 if wave[row[k], at[k]] < 0 else 1.0
        norm[k] = side[k] / norm[k] * weight[k]
    for j in range(size):
        for k in range(many):
            own[j, k] = wide[lag + j, k] * norm[k]
    others_of(own, row, others)
    norms_of(others, room, norm)
    products_of(wide[:size], wide[:size], room, power)
    out[:] = -1.0
    for shift in range(2 * lag + 1):
        if shift:
            left, new = wide[shift - 1], wide[shift + size - 1]
            for k in range(many):
                power[k] = power[k] - left[k] * left[k] + new[k] * new[k]
        products_of(wide[shift : shift + size], others, room, product)
        for k in range(many):
            length = np.sqrt(max(power[k], 0.0)) + _TINY
            out[k] = max(out[k], side[k] * product[k] / (length * norm[k]))
    for k in range(many):
        out[k] = min(out[k], 1.0)
