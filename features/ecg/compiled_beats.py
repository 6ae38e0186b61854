"""Compiled forms of where beats lie, what a second opinion is, and what mean beats look like.

Bit for bit what NumPy gives in `features.ecg.localise`, `second`, `artefacts` and `standstill`.
Imported only where numba is installed (`features.ecg.kernels`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import row_end, total
from features.ecg.compiled_looks import limited, usual_rr
from features.highest import highest_of, lowest_of


@compiled
def block_maxima(x: Any, width: Any, out: Any) -> None:
    """Highest of each whole `width` samples of rows, in ascending order."""
    for r in range(x.shape[0]):
        row, mine = x[r], out[r]
        for k in range(mine.size):
            mine[k] = highest_of(row[k * width : (k + 1) * width])
        mine.sort()


@compiled
def missed(row: Any, at_s: Any, size: Any, sure: Any, spec: Any, out: Any) -> None:
    """The largest small peak, the first of equals, of every interval far above the usual."""
    most, usual_s = spec
    ordered = np.empty(row.size)
    start = 0
    while start < row.size:
        stop = row_end(row, start)
        rr = usual_rr(at_s[start:stop], sure[start:stop], ordered, usual_s)
        before = -1
        for k in range(start, stop):
            if not sure[k]:
                continue
            if before >= 0 and k > before + 1 and at_s[k] - at_s[before] > most * rr:
                best = before + 1
                for i in range(before + 2, k):
                    if size[i] > size[best]:
                        best = i
                out[best] = True
            before = k
        start = stop


@compiled
def nearest(of: Any, among: Any, out: Any) -> None:
    """Index of the nearest one of the same row, of two as near the earlier; -1 without any.

    Both ascend by row, then place.
    """
    (row_a, at_a), (row_b, at_b) = of, among
    j = 0
    for k in range(row_a.size):
        while j < row_b.size and row_b[j] < row_a[k]:
            j += 1
        best = j
        if best == row_b.size or row_b[best] != row_a[k]:
            out[k] = -1
            continue
        while (
            best + 1 < row_b.size
            and row_b[best + 1] == row_a[k]
            and abs(at_b[best + 1] - at_a[k]) < abs(at_b[best] - at_a[k])
        ):
            best += 1
        out[k] = j = best


@compiled
def highest_near(row: Any, centre: Any, reach: Any) -> Any:
    """Sample of the largest size within reach, the first of equals."""
    best, where = -1.0, 0
    for at in range(max(centre - reach, 0), min(centre + reach, row.size - 1) + 1):
        size = abs(row[at])
        if size > best:
            best, where = size, at
    return where


@compiled
def quartic(y: Any, newton_steps: Any) -> Any:
    """Offset of the top of the quartic through five samples; `features.ecg.localise._vertex`."""
    far_left, left, middle, right, far_right = y[0], y[1], y[2], y[3], y[4]
    first = (far_left - 8 * left + 8 * right - far_right) / 12
    second = (-far_left + 16 * left - 30 * middle + 16 * right - far_right) / 24
    third = (-far_left + 2 * left - 2 * right + far_right) / 12
    fourth = (far_left - 4 * left + 6 * middle - 4 * right + far_right) / 24
    curvature = left - 2 * middle + right
    offset = 0.0
    if curvature < 0:
        offset = limited(0.5 * (left - right) / curvature, -0.5, 0.5)
    for _ in range(newton_steps):
        slope = first + offset * (2 * second + offset * (3 * third + offset * 4 * fourth))
        bend = 2 * second + offset * (6 * third + offset * 12 * fourth)
        step = slope / bend if bend < 0 else 0.0
        offset = limited(offset - step, -0.5, 0.5)
    return offset


@compiled
def places(wave: Any, beats: Any, spec: Any, out: Any) -> None:
    """Position, nearest sample and height of beats; `features.ecg.localise.localise`."""
    row, summit = beats
    reach, newton_steps = spec
    position, peak, height = out
    last = wave.shape[1] - 1
    y = np.empty(5)
    for k in range(row.size):
        mine = wave[row[k]]
        top = highest_near(mine, summit[k], reach)
        side = -1.0 if mine[top] < 0 else 1.0
        for i in range(5):
            y[i] = mine[min(max(top + i - 2, 0), last)] * side
        offset = quartic(y, newton_steps)
        position[k] = top + (offset if 0 < top < last else 0.0)
        peak[k], height[k] = top, mine[top]


@compiled
def levelled(beat: Any, rest: Any, along: Any) -> None:
    """A beat less the line through its outer quarters, in place."""
    first, last = total(beat[:rest]) / rest, total(beat[beat.size - rest :]) / rest
    for i in range(beat.size):
        beat[i] = beat[i] - first - (last - first) * along[i]


@compiled
def mean_measures(mean: Any, along: Any, spec: Any, out: Any) -> None:
    """Of mean beats: height, steepest step, range before and after, excursions around, next to it.

    See `features.ecg.standstill.measures`.
    """
    sums, n_beats = mean
    rest, side, before_at, (begin, end), (before, after, spike), (near, far) = spec
    n = sums.shape[1]
    reach = n // 2
    beat, size = np.empty(n), np.empty(n)
    for r in range(sums.shape[0]):
        for i in range(n):
            beat[i] = sums[r, i] / max(n_beats[r], 1)
        levelled(beat, rest, along)
        for i in range(n):
            size[i] = abs(beat[i])
        qrs = beat[reach - side : reach + side + 1]
        out[0, r] = highest_of(qrs) - lowest_of(qrs)
        steepest = 0.0
        for i in range(2, qrs.size):
            steepest = max(steepest, abs(qrs[i] - qrs[i - 2]))
        out[1, r] = steepest
        early, late = beat[:before_at], beat[reach + begin : reach + end]
        out[2, r] = highest_of(early) - lowest_of(early)
        out[3, r] = highest_of(late) - lowest_of(late)
        top = highest_near(size, reach, side)
        around = flank = 0.0
        for i in range(n):
            since = i - top
            if -before <= since < after and abs(since) > spike:
                around = max(around, size[i])
            if near < abs(since) <= far:
                flank = max(flank, size[i])
        out[4, r], out[5, r] = around, flank
