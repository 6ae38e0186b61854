"""Compiled forms of what is done to many rows sample by sample; bit for bit what SciPy gives.

Eight rows are worked on at a time, so that one instruction serves eight of them; every row's own
operations keep their order. Imported only where numba is installed (`features.ecg.kernels`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total

_LANES: Final = 32


@compiled
def continued(block: Any, pad: Any, buffer: Any) -> None:
    """Rows (n, lanes) put into a buffer, continued by odd reflection."""
    n, lanes = block.shape
    buffer[pad : pad + n, :lanes] = block
    for i in range(pad):
        buffer[i, :lanes] = 2 * block[0] - block[pad - i]
        buffer[pad + n + i, :lanes] = 2 * block[n - 1] - block[n - 2 - i]


@compiled
def swept(buffer: Any, sos: Any, state: Any) -> None:
    """One section forwards and backwards over a buffer, in place."""
    b0, b1, b2, a1, a2 = sos[0], sos[1], sos[2], sos[4], sos[5]
    length = buffer.shape[0]
    z0, z1 = np.empty(buffer.shape[1]), np.empty(buffer.shape[1])
    for step in (1, -1):
        at = 0 if step == 1 else length - 1
        z0[:] = state[0] * buffer[at]
        z1[:] = state[1] * buffer[at]
        for _ in range(length):
            for lane in range(buffer.shape[1]):
                value = buffer[at, lane]
                y = b0 * value + z0[lane]
                z0[lane] = b1 * value - a1 * y + z1[lane]
                z1[lane] = b2 * value - a2 * y
                buffer[at, lane] = y
            at += step


@compiled
def averaged(x: Any, width: Any, out: Any) -> None:
    """Running mean of (n, lanes); ends are held.

    Differences are added, and sums divided, as SciPy's uniform filter does.
    """
    n = x.shape[0]
    half = width // 2
    sums = np.zeros(x.shape[1])
    for i in range(width):
        sums += x[min(max(i - half, 0), n - 1)]
    out[0] = sums / width
    for i in range(1, n):
        new, old = min(i + half, n - 1), max(i - half - 1, 0)
        for lane in range(x.shape[1]):
            sums[lane] += x[new, lane] - x[old, lane]
            out[i, lane] = sums[lane] / width


@compiled
def view(x: Any, shape: Any, beat: Any, spec: Any, out: Any) -> None:
    """Two bands of rows, the size of the second above a floor, and its running mean."""
    pad, width, floor = spec
    waves, sizes, means = out
    n_rows, n = x.shape
    most = min(_LANES, n_rows)
    buffer = np.zeros((n + 2 * pad, most))
    mean = np.empty((n, most))
    low = np.zeros(most)
    for first in range(0, n_rows, _LANES):
        block = x[first : first + _LANES].T
        lanes = block.shape[1]
        last = first + lanes
        continued(block, pad, buffer)
        swept(buffer, shape[0], shape[1])
        waves[first:last] = buffer[pad : pad + n, :lanes].T
        continued(block, pad, buffer)
        swept(buffer, beat[0], beat[1])
        low[:lanes] = floor[first:last]
        size = buffer[pad : pad + n]
        for i in range(n):
            for lane in range(most):
                value = abs(size[i, lane])
                size[i, lane] = value if value > low[lane] else 0.0
        sizes[first:last] = size[:, :lanes].T
        averaged(size, width, mean)
        means[first:last] = mean[:, :lanes].T


@compiled
def slope_energy(x: Any, smooth: Any, half: Any, width: Any, out: Any) -> None:
    """Running mean of the squared slope of the running mean of rows."""
    n_rows, n = x.shape
    most = min(_LANES, n_rows)
    rows, mean = np.zeros((n, most)), np.empty((n, most))
    for first in range(0, n_rows, _LANES):
        block = x[first : first + _LANES].T
        lanes = block.shape[1]
        rows[:, :lanes] = block
        averaged(rows, smooth, mean)
        rows[:] = 0.0
        for i in range(half, n - half):
            for lane in range(most):
                slope = mean[i + half, lane] - mean[i - half, lane]
                rows[i, lane] = slope * slope
        averaged(rows, width, mean)
        out[first : first + lanes] = mean[:, :lanes].T


@compiled
def fourth(wave: Any, out: Any) -> None:
    """Mean square and mean fourth power of rows less their mean; (2, rows)."""
    n_rows, n = wave.shape
    square = np.empty(n)
    for r in range(n_rows):
        mean = total(wave[r]) / n
        for i in range(n):
            square[i] = (wave[r, i] - mean) * (wave[r, i] - mean)
        out[0, r] = total(square) / n
        for i in range(n):
            square[i] *= square[i]
        out[1, r] = total(square) / n


@compiled
def around(x: Any, centre: Any, reach: int, lanes: Any, out: Any) -> None:
    """Sum of a row's samples around some of its places, terms in the order of `np.add.reduceat`.

    That is the first, and the sum of the rest: one by one up to seven, of more in eight lanes.
    """
    n, size = centre.size - 1, out.size
    whole = n - n % 8  # at most 128: longer sums would be halved
    for k in range(8 if whole else 0):
        begin = centre[k + 1] - reach
        for i in range(size):
            lanes[k, i] = x[begin + i]
    for at in range(8, whole):
        begin = centre[at + 1] - reach
        lane = lanes[at % 8]
        for i in range(size):
            lane[i] += x[begin + i]
    for i in range(size):
        out[i] = 0.0
        if whole:
            left = (lanes[0, i] + lanes[1, i]) + (lanes[2, i] + lanes[3, i])
            out[i] = left + ((lanes[4, i] + lanes[5, i]) + (lanes[6, i] + lanes[7, i]))
    for at in range(whole, n):
        begin = centre[at + 1] - reach
        for i in range(size):
            out[i] += x[begin + i]
    begin = centre[0] - reach
    for i in range(size):
        out[i] = x[begin + i] + out[i]


@compiled
def mean_beats(x: Any, row: Any, peak: Any, reach: int, out: Any) -> None:
    """Sums over each row's beats; see `features.ecg.standstill.mean_beats`."""
    lanes = np.empty((8, out.shape[1]))
    first = 0
    while first < row.size:
        r, last = row[first], first + 1
        while last < row.size and row[last] == r:
            last += 1
        around(x[r], peak[first:last], reach, lanes, out[r])
        first = last
