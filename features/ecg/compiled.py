"""Compiled forms of what is done beat by beat; bit for bit what NumPy gives.

Imported only where numba is installed (`features.ecg.kernels`). NumPy adds the terms of a sum in
eight lanes (pairwise summation, as its `loops_utils.h.src` says); so does `total`. Nothing is
reassociated, never `fastmath`. The references are in `morphology`, `company`, `alone`, `localise`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.highest import highest_of, lowest_of

_TINY: Final = 1e-30  # `features.ecg.alone.TINY`
_LANES: Final = 8
_LONGEST: Final = 128  # terms; longer sums are halved


@compiled
def total(a: Any) -> Any:
    """Sum of a vector in NumPy's order."""
    n = a.size
    if n > _LONGEST:
        half = n // 2
        half -= half % _LANES
        return total(a[:half]) + total(a[half:])
    s = 0.0
    last = 0
    if n >= _LANES:
        r0, r1, r2, r3, r4, r5, r6, r7 = a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
        last = n - n % _LANES
        for i in range(_LANES, last, _LANES):
            r0 += a[i]
            r1 += a[i + 1]
            r2 += a[i + 2]
            r3 += a[i + 3]
            r4 += a[i + 4]
            r5 += a[i + 5]
            r6 += a[i + 6]
            r7 += a[i + 7]
        s = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for i in range(last, n):
        s += a[i]
    return s


@compiled
def column_totals(values: Any, out: Any) -> None:
    """Sums of columns as `np.add.reduceat` makes them: the first row, and the sum of the rest.

    All columns at a time, each in the order of `total`.
    """
    n, k = values.shape
    rest = values[1:]
    whole = rest.shape[0] - rest.shape[0] % _LANES
    if rest.shape[0] > _LONGEST:
        for j in range(k):
            out[j] = values[0, j] + total(rest[:, j])
        return
    out[:k] = 0.0
    if whole:
        lanes = np.empty((_LANES, k))
        for i in range(whole):
            lane = lanes[i % _LANES]
            for j in range(k):
                lane[j] = rest[i, j] if i < _LANES else lane[j] + rest[i, j]
        for j in range(k):
            left = (lanes[0, j] + lanes[1, j]) + (lanes[2, j] + lanes[3, j])
            out[j] = left + ((lanes[4, j] + lanes[5, j]) + (lanes[6, j] + lanes[7, j]))
    for i in range(whole, n - 1):
        for j in range(k):
            out[j] += rest[i, j]
    for j in range(k):
        out[j] = values[0, j] + out[j]


@compiled
def highest(x: Any, row: Any, centre: Any, reach: Any, out: Any) -> None:
    """Sample of the largest size within reach, the first of equals."""
    last = x.shape[1] - 1
    for k in range(row.size):
        best, where = -1.0, 0
        for i in range(-reach, reach + 1):
            at = min(max(centre[k] + i, 0), last)
            size = abs(x[row[k], at])
            if size > best:
                best, where = size, at
        out[k] = where


@compiled
def extremes(x: Any, beats: Any, reach: Any, every: Any, out: Any) -> None:
    """Highest and lowest of every n-th sample within reach."""
    row, centre = beats
    last = x.shape[1] - 1
    for k in range(row.size):
        high, low = -np.inf, np.inf
        for i in range(-reach, reach + 1, every):
            value = x[row[k], min(max(centre[k] + i, 0), last)]
            high, low = max(high, value), min(low, value)
        out[k, 0], out[k, 1] = high, low


@compiled
def units(cut: Any, out: Any) -> None:
    """Cuts of mean 0 and norm 1."""
    n, size = cut.shape
    square = np.empty(size)
    for k in range(n):
        mean = total(cut[k]) / size
        for i in range(size):
            out[k, i] = cut[k, i] - mean
            square[i] = out[k, i] * out[k, i]
        norm = np.sqrt(total(square)) + _TINY
        for i in range(size):
            out[k, i] /= norm


@compiled
def measures(cut: Any, out: Any) -> None:
    """Width as area over height, root of the power, highest, and depth, of each cut."""
    n, size = cut.shape
    scratch = np.empty(size)
    for k in range(n):
        row = cut[k]
        high, low = highest_of(row), lowest_of(row)
        for i in range(size):
            scratch[i] = abs(row[i])
        out[0, k] = total(scratch) / size / (max(high, -low) + _TINY)
        for i in range(size):
            scratch[i] = row[i] * row[i]
        out[1, k] = np.sqrt(total(scratch))
        out[2, k], out[3, k] = high, -low


@compiled
def around(x: Any, beats: Any, reach: Any, every: Any, out: Any) -> None:
    """Every n-th sample around each beat; the row's ends are held."""
    row, centre = beats
    last = x.shape[1] - 1
    for k in range(row.size):
        mine, own, begin = x[row[k]], out[k], centre[k] - reach
        if begin >= 0 and centre[k] + reach <= last:
            part = mine[begin : begin + 2 * reach + 1]
            for j in range(own.size):
                own[j] = part[j * every]
        else:
            for j in range(own.size):
                own[j] = mine[min(max(begin + j * every, 0), last)]


@compiled
def without_line(cut: Any, along: Any, fifth: Any) -> None:
    """Less the line through the means of the first and the last fifth, in place."""
    n, size = cut.shape
    for k in range(n):
        first = total(cut[k, :fifth]) / fifth
        last = total(cut[k, size - fifth :]) / fifth
        for i in range(size):
            cut[k, i] = cut[k, i] - first - (last - first) * along[i]


@compiled
def row_end(row: Any, start: Any) -> Any:
    """Index after the last candidate of the row that begins at `start`."""
    stop = start + 1
    while stop < row.size and row[stop] == row[start]:
        stop += 1
    return stop


@compiled
def likeness(unit: Any, row: Any, out: Any) -> None:
    """Correlation with the mean of the row's other beats."""
    n, size = unit.shape
    whole, others, product = np.empty(size), np.empty(size), np.empty(size)
    start = 0
    while start < n:
        stop = row_end(row, start)
        column_totals(unit[start:stop], whole)
        for k in range(start, stop):
            for i in range(size):
                others[i] = whole[i] - unit[k, i]
                product[i] = others[i] * others[i]
            norm = np.sqrt(total(product)) + _TINY
            for i in range(size):
                product[i] = unit[k, i] * others[i]
            out[k] = min(max(total(product) / norm, -1.0), 1.0)
        start = stop


@compiled
def ranked(best: Any, value: Any) -> None:
    """A value put among the two largest so far."""
    if value > best[0]:
        best[1] = best[0]
        best[0] = value
    elif value > best[1]:
        best[1] = value


@compiled
def kinship(unit: Any, row: Any, nearby: Any, out: Any) -> None:
    """Mean of the two best correlations with beats nearby, 0 for those that are not there."""
    n, size = unit.shape
    product = np.empty(size)
    count = np.zeros(n, np.int64)
    best = np.full((n, 2), -np.inf)
    for k in range(1, min(nearby, n - 1) + 1):
        for i in range(k, n):
            alike = 0.0
            if row[i] == row[i - k]:
                for j in range(size):
                    product[j] = unit[i, j] * unit[i - k, j]
                alike = total(product)
            for one in (i, i - k):
                count[one] += 1
                ranked(best[one], alike)
    for i in range(n):
        for _ in range(min(2, 2 * nearby - count[i])):
            ranked(best[i], 0.0)  # a neighbour that is not there
        out[i] = min(max(0.5 * (best[i, 0] + best[i, 1]), -1.0), 1.0)


@compiled
def explained(wave: Any, beats: Any, believed: Any, spec: Any, out: Any) -> None:
    """Share of each wave that follows every believed beat of its row at the same delay."""
    row, at = beats
    reach, tail = spec
    n, size, last_column = row.size, reach + tail + 1, wave.shape[1] - 1
    waves, usual = np.empty((n, size)), np.empty(size)
    left, here = np.empty(2 * reach + 1), np.empty(2 * reach + 1)
    start = 0
    while start < n:
        stop = row_end(row, start)
        count = 0
        for k in range(start, stop):
            if believed[k] and at[k] + tail <= last_column and at[k] >= reach:
                waves[count] = wave[row[k], at[k] - reach : at[k] + tail + 1]
                count += 1
        usual[:] = 0.0
        if count:
            column_totals(waves[:count], usual)
            usual /= count
        before = -1
        for k in range(start, stop):
            out[k] = 0.0
            delay = at[k] - at[before]
            if before >= 0 and reach < delay <= tail - reach:
                for i in range(2 * reach + 1):
                    value = wave[row[k], min(max(at[k] + i - reach, 0), last_column)]
                    rest = value - usual[delay + i]
                    here[i], left[i] = value * value, rest * rest
                share = 1.0 - total(left) / (total(here) + _TINY)
                out[k] = min(max(share, -1.0), 1.0)
            if believed[k]:
                before = k
        start = stop


@compiled
def neighbours(row: Any, summit: Any, log_height: Any, spec: Any, out: Any) -> None:
    """Seconds to, and relative height of, the candidates before and after; (4 per step, n)."""
    steps, far, fs_hz = spec
    n = row.size
    for step in range(1, steps + 1):
        for side in range(2):
            j = 4 * (step - 1) + 2 * side
            k = step if side else -step
            for i in range(n):
                other = i + k
                if 0 <= other < n and row[other] == row[i]:
                    out[j, i] = min(abs(summit[other] - summit[i]) / fs_hz, far)
                    out[j + 1, i] = min(max(log_height[other] - log_height[i], -3.0), 3.0)
                else:
                    out[j, i], out[j + 1, i] = far, -1.0


@compiled
def rivals(found: Any, logit: Any, reach: Any, steps: Any, out: Any) -> None:
    """How much more neighbours at a distance are believed, before and after; (2, n)."""
    row, summit = found
    near, far = reach
    n = row.size
    for side in range(2):
        for i in range(n):
            best = -10.0
            for step in range(1, steps + 1):
                other = i + step if side else i - step
                if not 0 <= other < n or row[other] != row[i]:
                    continue
                if near < abs(summit[other] - summit[i]) <= far:
                    best = max(best, logit[other])
            out[side, i] = min(max(best - logit[i], -10.0), 10.0)


@compiled
def since(row: Any, at_s: Any, chosen: Any, most: Any, out: Any) -> None:
    """Seconds from the chosen one before each and to the one after; (2, n)."""
    n = row.size
    last = -1
    for i in range(n):
        exists = last >= 0 and row[last] == row[i]
        out[0, i] = min(max(at_s[i] - at_s[last], 0.0), most) if exists else most
        if chosen[i]:
            last = i
    last = -1
    for i in range(n - 1, -1, -1):
        exists = last >= 0 and row[last] == row[i]
        out[1, i] = min(max(at_s[last] - at_s[i], 0.0), most) if exists else most
        if chosen[i]:
            last = i


@compiled
def middles(values: Any, row: Any, upper: Any, out: Any) -> None:
    """Median of each row's values, the upper or the lower of two; rows without are left."""
    n = row.size
    ordered = np.empty(n)
    start = 0
    while start < n:
        stop = row_end(row, start)
        for i in range(start, stop):
            k = i
            while k > start and ordered[k - 1] > values[i]:
                ordered[k] = ordered[k - 1]
                k -= 1
            ordered[k] = values[i]
        count = stop - start
        out[row[start]] = ordered[start + (count // 2 if upper else (count - 1) // 2)]
        start = stop
