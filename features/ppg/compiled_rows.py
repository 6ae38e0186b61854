"""Compiled forms of what is done to pulse waves sample by sample; bit for bit what NumPy gives.

The references are in `features.ppg.wave`, `quality`, `likeness` and `flat`. Imported only where
numba is installed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import ranked, total

_FEW: Final = 48  # values that are sorted one by one


@compiled
def third_differences(x: Any, out: Any) -> None:
    """Sizes of the third differences of rows."""
    for r in range(x.shape[0]):
        row, mine = x[r], out[r]
        for i in range(mine.size):
            a, b, c, d = row[i], row[i + 1], row[i + 2], row[i + 3]
            mine[i] = abs(((d - c) - (c - b)) - ((c - b) - (b - a)))


@compiled
def falls(raw: Any, band: Any, least: Any, out: Any) -> None:
    """How often what is slower than the band falls by more than so much from sample to sample."""
    for r in range(raw.shape[0]):
        whole, own, most = raw[r], band[r], least[r]
        n = 0
        for i in range(whole.size - 1):
            n += (whole[i] - own[i]) - (whole[i + 1] - own[i + 1]) > most
        out[r] = n


@compiled
def often(x: Any, low: Any, high: Any, shortest: Any, out: Any) -> None:
    """Rows in which the lowest or the highest value comes so often that it may be a rail."""
    for r in range(x.shape[0]):
        row, bottom, top = x[r], low[r], high[r]
        n_low = n_high = 0
        for i in range(row.size):
            n_low += row[i] == bottom
            n_high += row[i] == top
        out[r] = max(n_low, n_high) >= shortest


@compiled
def ordered(values: Any, row: Any, out: Any) -> None:
    """The values of each row in ascending order."""
    start = 0
    while start < row.size:
        stop = start
        while stop < row.size and row[stop] == row[start]:
            value, i = values[stop], stop
            while i > start and stop - start < _FEW and out[i - 1] > value:
                out[i] = out[i - 1]
                i -= 1
            out[i] = value
            stop += 1
        if stop - start > _FEW:
            out[start:stop].sort()
        start = stop


@compiled
def product_of(a: Any, b: Any, room: Any) -> Any:
    """Sum of the products of two shapes."""
    for j in range(room.size):
        room[j] = a[j] * b[j]
    return total(room)


@compiled
def shape_at(y: Any, begin: Any, offset: Any, room: Any, out: Any) -> None:
    """Samples at fractional places, mean 0 and norm 1."""
    n = offset.size
    for j in range(n):
        at = begin + offset[j]
        left = int(at)
        share = at - left
        out[j] = y[left] * (1.0 - share) + y[left + 1] * share
    mean = total(out) / n
    for j in range(n):
        out[j] -= mean
    norm = np.sqrt(product_of(out, out, room))
    if norm > 0:
        for j in range(n):
            out[j] /= norm


@compiled
def likenesses(y: Any, row: Any, steepest: Any, offset: Any, out: Any) -> None:
    """Correlation of pulses with those around; see `features.ppg.likeness.likeness`."""
    n = row.size
    shape, index, room = np.empty((n, offset.size)), np.empty(n, np.intp), np.empty(offset.size)
    best = np.full((n, 2), -np.inf)
    m = 0
    for k in range(n):
        first, last = steepest[k] + offset[0], steepest[k] + offset[offset.size - 1]
        if not (first >= 0 and last < y.shape[1] - 1):
            continue
        shape_at(y[row[k]], steepest[k], offset, room, shape[m])
        index[m] = k
        for shift in range(1, min(2, m) + 1):
            if row[index[m - shift]] == row[k]:
                alike = product_of(shape[m], shape[m - shift], room)
                ranked(best[m], alike)
                ranked(best[m - shift], alike)
        m += 1
    for i in range(m):
        if best[i, 1] > -np.inf:
            out[index[i]] = 0.5 * (best[i, 0] + best[i, 1])
        elif best[i, 0] > -np.inf:
            out[index[i]] = best[i, 0]
