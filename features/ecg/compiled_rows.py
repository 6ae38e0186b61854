"""Compiled forms of what is done to many rows sample by sample; bit for bit what SciPy gives.

Rows are worked on side by side (`features.tiles`); every row's own operations keep their order.
Imported only where numba is installed (`features.ecg.kernels`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total
from features.highest import highest_of
from features.tiles import LANES, averaged, continued, laid, lifted, running, swept


@compiled
def two_bands(x: Any, first: Any, bands: Any, tile: Any, out: Any) -> Any:
    """A tile's shape band put into its rows, its beat band left in it; how many rows it has."""
    (shape, beat), (pad, waves) = bands, out
    lanes = laid(x, first, tile, pad)
    continued(tile, pad)
    swept(tile, shape[0], shape[1])
    lifted(tile, pad, first, lanes, waves)
    laid(x, first, tile, pad)
    continued(tile, pad)
    swept(tile, beat[0], beat[1])
    return lanes


@compiled
def view(x: Any, shape: Any, beat: Any, spec: Any, out: Any) -> None:
    """Two bands of rows, the size of the second above a floor, and its running mean."""
    pad, width, floor = spec
    waves, sizes, means = out
    n_rows, n = x.shape
    most = min(LANES, n_rows)
    tile, mean = np.zeros((n + 2 * pad, most)), np.empty((n, most))
    low = np.zeros(most)
    for first in range(0, n_rows, LANES):
        lanes = two_bands(x, first, (shape, beat), tile, (pad, waves))
        low[:lanes] = floor[first : first + lanes]
        size = tile[pad : pad + n]
        for i in range(n):
            for lane in range(most):
                value = abs(size[i, lane])
                size[i, lane] = value if value > low[lane] else 0.0
        lifted(tile, pad, first, lanes, sizes)
        averaged(size, width, mean)
        lifted(mean, 0, first, lanes, means)


@compiled
def margins(energy: Any, limit: Any, found: Any, spec: Any, out: Any) -> None:
    """Short over long running means of clipped power at three samples of each place."""
    row, place = found
    (short, long), (shoulder, offset) = spec
    n_rows, n = energy.shape
    most = min(LANES, n_rows)
    power, near, far = np.zeros((n, most)), np.empty((n, most)), np.empty((n, most))
    bar, whole = np.zeros(most), np.empty(most)
    k = 0
    for first in range(0, n_rows, LANES):
        lanes = laid(energy, first, power, 0)
        bar[:lanes] = limit[first : first + lanes]
        whole[:] = 0.0
        for i in range(n):
            for lane in range(most):
                size = min(power[i, lane], bar[lane])
                power[i, lane] = size * size
                whole[lane] += size * size
        running(power, short, near)
        running(power, long, far)
        while k < row.size and row[k] < first + lanes:
            lane = row[k] - first
            for side in range(3):
                at = min(max(place[k] + (side - 1) * shoulder, 0), n - 1)
                most_far = far[at, lane] / long + offset * (whole[lane] / n)
                out[k, side] = near[at, lane] / short / most_far if most_far > 0 else 0.0
            k += 1


@compiled
def is_top(row: Any, at: Any, reach: Any) -> Any:
    """Whether nothing within reach of a sample is higher."""
    return not highest_of(row[max(at - reach, 0) : at + reach + 1]) > row[at]


@compiled
def summits_of(row: Any, bar: Any, reach: Any, possible: Any, out: Any) -> Any:
    """Samples of a row above a bar with nothing higher within reach; how many there are.

    Most are told by their neighbours alone, many at a time.
    """
    n = row.size
    by_eight = possible.view(np.uint64)
    left, here, right, inner = row[:-2], row[1:-1], row[2:], possible[1:]
    for i in range(n - 2):
        inner[i] = (here[i] > bar) & (here[i] >= left[i]) & (here[i] >= right[i])
    possible[0], possible[n - 1] = row[0] > bar, row[n - 1] > bar
    count = 0
    for w in range(by_eight.size):
        if by_eight[w] == 0:
            continue
        for i in range(8 * w, 8 * w + 8):
            if possible[i] != 0 and is_top(row, i, reach):
                out[count] = i
                count += 1
    return count


@compiled
def summits(x: Any, reach: Any, least: Any) -> Any:
    """Largest of their neighbourhood and above a bar; row and sample of each."""
    n_rows, n = x.shape
    found = np.empty((2, n_rows * (n // (reach + 1) + 1)), np.intp)
    possible, tops = np.zeros(n + 8 - n % 8, np.uint8), np.empty(n, np.intp)
    count = 0
    for r in range(n_rows):
        n_tops = summits_of(x[r], least[r], reach, possible, tops)
        if count + n_tops > found.shape[1]:  # a plateau is all summits
            room = np.empty((2, found.shape[1] + n_tops), np.intp)
            found = np.concatenate((found, room), axis=1)
        for k in range(n_tops):
            found[0, count], found[1, count] = r, tops[k]
            count += 1
    return found[0, :count].copy(), found[1, :count].copy()


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
