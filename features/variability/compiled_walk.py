"""Compiled walks over the intervals of each row; the same bits as the NumPy they stand for.

Sums are added as `rows.sums` adds them. Imported only where numba is installed. The references are
in `time_domain`, `fragmentation` and `prsa`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def added(values: Any, n: int) -> Any:
    """Sum of the first n values as `numpy.add.reduceat` gives it."""
    return values[0] + total(values[1:n]) if n > 0 else 0.0


@compiled
def spread(values: Any, n: int, mean: float, room: Any) -> Any:
    """Standard deviation of the first n values, ddof 1; NaN for fewer than two."""
    for i in range(n):
        room[i] = (values[i] - mean) * (values[i] - mean)
    return np.sqrt(added(room, n) / (n - 1)) if n > 1 else np.nan


@compiled
def middle_of_5(a: float, b: float, c: float, d: float, e: float) -> Any:
    """Median of five values."""
    low = max(min(a, b), min(c, d))
    high = min(max(a, b), max(c, d))
    return max(min(low, high), min(max(low, high), e))


@compiled
def extremes(x: Any, linked: Any) -> Any:
    """Largest and smallest running median of five linked intervals of one row; NaN without."""
    slowest, fastest = -np.inf, np.inf
    for i in range(2, x.size - 2):
        if linked[i - 1] and linked[i] and linked[i + 1] and linked[i + 2]:
            middle = middle_of_5(x[i - 2], x[i - 1], x[i], x[i + 1], x[i + 2])
            slowest, fastest = max(slowest, middle), min(fastest, middle)
    return slowest if slowest > -np.inf else np.nan, fastest if fastest < np.inf else np.nan


@compiled
def time_domain(nn: Any, borders: Any, limits: Any, out: Any) -> None:
    """Measures of each row, (9, rows), in the order of `time_domain.TimeDomain` without n."""
    nn_ms, linked, stepped = nn
    start, count = borders
    wide, narrow = limits
    step, room = np.empty(nn_ms.size), np.empty(nn_ms.size)
    for r in range(start.size):
        first, n = start[r], count[r]
        x = nn_ms[first : first + n]
        mean = added(x, n) / n if n > 0 else np.nan
        sdnn = spread(x, n, mean, room)
        m = n_wide = n_narrow = 0
        for i in range(n):
            if stepped[first + i]:
                step[m] = x[i] - x[i - 1]
                room[m] = step[m] * step[m]
                n_wide += abs(step[m]) > wide
                n_narrow += abs(step[m]) > narrow
                m += 1
        out[:, r] = np.nan
        out[0, r], out[1, r] = mean, sdnn
        if mean > 0:
            out[2, r] = sdnn / mean
        if m > 0:
            out[3, r] = np.sqrt(added(room, m) / m)
            out[4, r] = spread(step, m, added(step, m) / m, room)
            out[5, r], out[6, r] = 100.0 * (n_wide / m), 100.0 * (n_narrow / m)
        slowest, fastest = extremes(x, linked[first : first + n])
        out[7, r], out[8, r] = 60000.0 / slowest, 60000.0 / fastest


@compiled
def share(above: int, below: int, times: float) -> Any:
    """`times` the ratio; NaN below nothing."""
    return times * (above / below) if below > 0 else np.nan


@compiled
def fragmentation(nn_ms: Any, stepped: Any, borders: Any, spec: Any, out: Any) -> None:
    """PIP, IALS, PSS and PAS of each row, (4, rows)."""
    start, count = borders
    short, alternations = spec
    for r in range(start.size):
        first, stop = start[r], start[r] + count[r]
        pairs = turns = n_steps = segments = within = in_short = in_zigzag = 0
        monotone = zigzag = 0  # length of the runs that the step before belongs to
        moving = False  # whether the monotone run began with a step that is not 0
        for i in range(first, stop + 1):
            there = i < stop and stepped[i]
            follows = there and i > first and stepped[i - 1]
            turn = 0.0
            if follows:
                turn = np.sign(nn_ms[i] - nn_ms[i - 1]) * np.sign(nn_ms[i - 1] - nn_ms[i - 2])
            if not (follows and turn > 0):
                if monotone > 0 and moving:
                    segments, within = segments + 1, within + monotone
                    in_short += monotone if monotone < short else 0
                monotone, moving = 0, there and nn_ms[i] != nn_ms[i - 1]
            if not (follows and turn < 0):
                in_zigzag += zigzag if zigzag > alternations else 0
                zigzag = 0
            if there:
                n_steps, monotone, zigzag = n_steps + 1, monotone + 1, zigzag + 1
                pairs += follows
                turns += follows and turn <= 0
        out[0, r] = share(turns, pairs, 100.0)
        out[1, r] = share(segments, within, 1.0)
        out[2, r] = share(in_short, within, 100.0)
        out[3, r] = share(in_zigzag, n_steps, 100.0)


@compiled
def capacities(nn_ms: Any, stepped: Any, borders: Any, spec: Any, out: Any) -> None:
    """Deceleration and acceleration capacity and how many anchors each has, (4, rows)."""
    start, count = borders
    most, least, fewest = spec
    slower, faster = np.empty(nn_ms.size), np.empty(nn_ms.size)
    for r in range(start.size):
        n_dc = n_ac = 0
        for i in range(start[r] + 2, start[r] + count[r] - 1):
            if not (stepped[i - 1] and stepped[i] and stepped[i + 1]):
                continue
            change = nn_ms[i] / nn_ms[i - 1]
            slope = (nn_ms[i] + nn_ms[i + 1] - nn_ms[i - 1] - nn_ms[i - 2]) / 4.0
            if 1.0 < change <= most:
                slower[n_dc] = slope
                n_dc += 1
            elif least <= change < 1.0:
                faster[n_ac] = slope
                n_ac += 1
        out[0, r] = added(slower, n_dc) / n_dc if n_dc >= fewest else np.nan
        out[1, r] = added(faster, n_ac) / n_ac if n_ac >= fewest else np.nan
        out[2, r], out[3, r] = n_dc, n_ac
