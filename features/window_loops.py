"""Compiled loops over the segments of windows; the same bits as the NumPy beside which they stand.

Imported only where numba is installed. References: `features.gather.support_of`,
`features.breathing.series.on_grid`, `.spectrum._tapered`, `.tracking`,
`features.families.breathing._wave`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def support(rows: Any, segments: Any, reasons: Any, out: Any) -> None:
    """Usable share, quality and main loss of each window; see `support_of`."""
    start_us, end_us, first_us = rows
    row, begin_us, stop_us, coverage, quality, reason, ok = segments
    n_reasons, too_short, gap, fine = reasons
    usable, good, lost_to = out
    weighted = np.zeros(start_us.size)
    lost_us = np.zeros((start_us.size, n_reasons))
    for i in range(row.size):
        r = row[i]
        inside_us = max(min(stop_us[i], end_us[r]) - max(begin_us[i], start_us[r]), 0) * 1.0
        if ok[i]:
            usable[r] += inside_us * coverage[i]
            weighted[r] += inside_us * coverage[i] * quality[i]
        else:
            lost_us[r, reason[i]] += inside_us
    for r in range(start_us.size):
        length_us = end_us[r] - start_us[r]
        lost_us[r, too_short] += min(max(first_us[r] - start_us[r], 0), length_us)
        named_us = 0.0
        for k in range(n_reasons):
            named_us += lost_us[r, k]
        lost_us[r, gap] += max(length_us - usable[r] - named_us, 0.0)
        lost_us[r, fine] = -1.0
        good[r] = min(weighted[r] / usable[r], 1.0) if usable[r] > 0 else 0.0
        usable[r] = min(usable[r] / max(length_us, 1), 1.0)
        lost_to[r] = lost_us[r].argmax()


@compiled
def spread(ratio: Any, up: Any, down: Any) -> None:
    """Each row's shares handed on upwards and downwards; see `breathing.tracking`."""
    n_rows, n = up.shape
    for r in range(n_rows):
        for i in range(1, n):
            up[r, i] += ratio[r] * up[r, i - 1]
        for i in range(n - 2, -1, -1):
            down[r, i] += ratio[r] * down[r, i + 1]


@compiled
def centred(values: Any, outlier: float, out: Any) -> None:
    """Values of one row less their median, outliers held; see `breathing.series._centred`."""
    ordered = np.sort(values)
    last = values.size - 1
    quarters = np.empty(3)
    for k in range(3):
        at = last * (k + 1)
        low = ordered[at // 4]
        step = ordered[min(at // 4 + 1, last)] - low
        quarters[k] = low + step * ((at % 4) / 4)
    reach = outlier * (quarters[2] - quarters[0])
    for i in range(values.size):
        out[i] = min(max(values[i] - quarters[1], -reach), reach)


@compiled
def between(left: int, own: Any, beats: Any, longest_us: int) -> Any:
    """Two beats around a stretch of time, whether each is there, and if a line joins them.

    Where one is missing, the other stands for both.
    """
    first, stop = own
    time_us, run = beats
    end = left + 1
    has_left, has_right = left >= first, end < stop
    joined = False
    if has_left and has_right and run[left] == run[end]:
        joined = time_us[end] - time_us[left] <= longest_us
    return left if has_left else end, end if has_right else left, has_left, has_right, joined


@compiled
def place(at_us: int, pair: Any, time_us: Any, held_us: int) -> Any:
    """How far a time is from the first of two beats to the second, 0 to 1.

    Where no line joins them the nearer one stands for a while; NaN beyond.
    """
    begin, end, has_left, has_right, joined = pair
    since_us = at_us - time_us[begin] if has_left else held_us + 1
    until_us = time_us[end] - at_us if has_right else held_us + 1
    if joined:
        return since_us / max(since_us + until_us, 1)
    if min(since_us, until_us) > held_us:
        return np.nan
    return 1.0 if since_us > until_us else 0.0


@compiled
def on_grid(beats: Any, values: Any, spec: Any, out: Any) -> None:
    """Sources of every row on its grid; see `breathing.series.on_grid`."""
    row, time_us, run = beats
    step_us, longest_us, held_us, outlier = spec
    n_sources, n_rows, n_samples = out.shape
    first = 0
    slots = np.empty(n_samples + 1, np.int64)
    flat = np.empty(values.shape)
    low, rise = np.empty(n_sources), np.empty(n_sources)
    for r in range(n_rows):
        stop = first
        slots[:] = 0
        while stop < row.size and row[stop] == r:
            slots[min(max(-(-time_us[stop] // step_us), 0), n_samples)] += 1
            stop += 1
        if stop == first:
            out[:, r] = np.nan
            continue
        for k in range(n_sources):
            centred(values[k, first:stop], outlier, flat[k, first:stop])
        left = first - 1
        pair = between(left, (first, stop), (time_us, run), longest_us)
        for g in range(n_samples):
            if g == 0 or slots[g]:
                left += slots[g]
                pair = between(left, (first, stop), (time_us, run), longest_us)
                for k in range(n_sources):
                    low[k] = flat[k, pair[0]]
                    rise[k] = flat[k, pair[1]] - low[k]
            share = place(g * step_us, pair, time_us, held_us)
            for k in range(n_sources):
                out[k, r, g] = low[k] + share * rise[k] if share == share else np.nan
        first = stop


@compiled
def placed(events: Any, rows: Any, step_us: int, out: Any) -> None:
    """Values of events on the grid of their windows; see `families.breathing._wave`."""
    row, place, times_us, values, ok = events
    start_us, end_us = rows
    for i in range(row.size):
        since_us = times_us[i] - start_us[row[i]]
        at = (since_us + step_us // 2) // step_us
        inside = since_us >= 0 and at < out.shape[1] and times_us[i] < end_us[row[i]]
        if inside and ok[place[i]] and np.isfinite(values[i]):
            out[row[i], at] = values[i]


@compiled
def tapered(x: Any, window: Any, negligible: float, out: Any, n_known: Any, varies: Any) -> None:
    """Rows without their trend, of unit size, under a window; see `breathing.spectrum._tapered`."""
    n_rows, n = x.shape
    t, y, product = np.empty(n), np.empty(n), np.empty(n)
    for r in range(n_rows):
        count, largest = 0, 0.0
        for i in range(n):
            known = np.isfinite(x[r, i])
            count += known
            t[i] = i * 1.0 if known else 0.0
            y[i] = x[r, i] if known else 0.0
            largest = max(largest, abs(y[i]))
        n_known[r] = count
        middle, mean = total(t) / max(count, 1), total(y) / max(count, 1)
        for i in range(n):
            known = np.isfinite(x[r, i])
            t[i] = t[i] - middle if known else 0.0
            y[i] = y[i] - mean if known else 0.0
            product[i] = t[i] * t[i]
        spread = total(product)
        for i in range(n):
            product[i] = t[i] * y[i]
        slope = total(product) / (spread if spread > 0 else 1.0)
        left = 0.0
        for i in range(n):
            y[i] = y[i] - slope * t[i]
            left = max(left, abs(y[i]))
        varies[r] = left > negligible * largest
        size = largest if varies[r] else 1.0
        for i in range(n):
            out[r, i] = y[i] / size * window[i]
