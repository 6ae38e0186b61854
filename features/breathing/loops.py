"""Compiled loops over the chest wave; the same bits as the NumPy and SciPy beside which they stand.

Imported only where numba is installed. References: `features.breathing.wave._upward_crossings`,
`features.breathing.apnoea`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total
from features.variability.compiled_correction import selected


@compiled
def crossings(x: Any, largest: Any, spec: Any, row: Any, position: Any) -> int:
    """Upward zero crossings of each row that span the hysteresis; how many in all."""
    hysteresis, negligible = spec
    n_rows, n = x.shape
    square = np.empty(n)
    found = 0
    for r in range(n_rows):
        own = x[r]
        mean = total(own) / n
        for i in range(n):
            square[i] = (own[i] - mean) * (own[i] - mean)
        limit = max(hysteresis * np.sqrt(total(square) / n), negligible * largest[r, 0])
        below, up = False, 0  # whether it was below last, where it last rose
        for i in range(n):
            if i > 0 and own[i] > 0 and own[i - 1] <= 0:
                up = i
            if own[i] > limit:
                if below:
                    row[found] = r
                    position[found] = up - own[up] / (own[up] - own[up - 1])
                    found += 1
                below = False
            elif own[i] < -limit:
                below = True
    return found


@compiled
def spread(x: Any, span: int, room: Any, out: Any) -> None:
    """Largest less smallest of every `span` samples, a power of 2 and one more."""
    high, low = room
    n, width = x.size, 1
    for i in range(n):
        high[i] = low[i] = x[i]
    while 2 * width < span:
        for i in range(n - 2 * width + 1):
            high[i] = max(high[i], high[i + width])
            low[i] = min(low[i], low[i + width])
        width *= 2
    for i in range(n - span + 1):
        most, least = max(high[i], x[i + span - 1]), min(low[i], x[i + span - 1])
        out[i] = most - least


@compiled
def upper_quartile(values: Any, n: int) -> Any:
    """By a straight line between order statistics, as `ragged.quartiles`."""
    at = (n - 1) * 3
    low = selected(values[:n], at // 4)
    step = selected(values[:n], min(at // 4 + 1, n - 1)) - low
    return low + step * ((at % 4) / 4)


@compiled
def pauses(wave: Any, spec: Any, out: Any) -> None:
    """Seconds of each row in pauses; see `apnoea.apnoea_s`."""
    span, share, shortest_s, hz = spec
    n_rows, n = wave.shape
    places = n - span + 1
    filled, size, known = np.empty(n), np.empty(places), np.empty(places)
    room = np.empty(n), np.empty(n)
    whole, quiet = np.empty(places, np.bool_), np.empty(n, np.bool_)
    for r in range(n_rows):
        known_before = 0  # samples without a gap, up to this one
        for i in range(n):
            there = wave[r, i] == wave[r, i]
            filled[i] = wave[r, i] if there else 0.0
            known_before = known_before + 1 if there else 0
            if i >= span - 1:
                whole[i - span + 1] = known_before >= span
        spread(filled, span, room, size)
        count, least, most = 0, np.inf, 0.0
        for i in range(places):
            if whole[i]:
                known[count] = size[i]
                least, most = min(least, size[i]), max(most, size[i])
                count += 1
        if count == 0 or most == 0:
            out[r] = np.nan
            continue
        if least >= share * most:  # no size is so small, whatever is usual
            out[r] = 0.0
            continue
        usual = upper_quartile(known, count)
        out[r] = paused(whole, size, share * usual, (span, shortest_s, hz), quiet)
        if not usual > 0:
            out[r] = np.nan


@compiled
def paused(whole: Any, size: Any, least: float, spec: Any, quiet: Any) -> Any:
    """Seconds in pauses of one row; the span around a small size is part of one."""
    span, shortest_s, hz = spec
    quiet[:] = False
    for i in range(size.size):
        if whole[i] and size[i] < least:
            quiet[i : i + span] = True
    total_s, length = 0.0, 0
    for i in range(quiet.size + 1):
        if i < quiet.size and quiet[i]:
            length += 1
            continue
        if length and length / hz >= shortest_s:
            total_s += length / hz
        length = 0
    return total_s
