"""Compiled loops over the segments of windows; the same bits as the NumPy beside which they stand.

Imported only where numba is installed. References: `features.gather.support_of`,
`features.breathing.series.on_grid`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled


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
def place_between(at_us: int, left: int, own: Any, beats: Any, spec: Any) -> Any:
    """Two beats of a row around a time and how far it is from the first to the second, 0 to 1.

    Where no line joins them the nearer one stands for a while; NaN beyond.
    """
    first, stop = own
    time_us, run = beats
    longest_us, held_us = spec
    end = left + 1
    has_left, has_right = left >= first, end < stop
    since_us = at_us - time_us[left] if has_left else held_us + 1
    until_us = time_us[end] - at_us if has_right else held_us + 1
    if has_left and has_right and run[left] == run[end] and since_us + until_us <= longest_us:
        return left, end, since_us / max(since_us + until_us, 1)
    share = 1.0 if since_us > until_us else 0.0
    if min(since_us, until_us) > held_us:
        share = np.nan
    return left if has_left else end, end if has_right else left, share


@compiled
def on_grid(beats: Any, values: Any, spec: Any, out: Any) -> None:
    """Sources of every row on its grid; see `breathing.series.on_grid`."""
    row, time_us, run = beats
    step_us, longest_us, held_us, outlier = spec
    n_sources, n_rows, n_samples = out.shape
    first = 0
    slots = np.empty(n_samples + 1, np.int64)
    flat = np.empty(values.shape)
    for r in range(n_rows):
        stop = first
        slots[:] = 0
        while stop < row.size and row[stop] == r:
            slots[min(max(-(-time_us[stop] // step_us), 0), n_samples)] += 1
            stop += 1
        for k in range(n_sources if stop > first else 0):
            centred(values[k, first:stop], outlier, flat[k, first:stop])
        left = first - 1
        for g in range(n_samples):
            left += slots[g]
            begin, end, share = place_between(
                g * step_us, left, (first, stop), (time_us, run), (longest_us, held_us)
            )
            for k in range(n_sources):
                value = np.nan
                if share == share:
                    value = flat[k, begin] + share * (flat[k, end] - flat[k, begin])
                out[k, r, g] = value
        first = stop
