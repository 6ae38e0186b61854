"""Compiled loop that reads splines of NN off on a grid; the same bits as `features.spectra`.

Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total


@compiled
def read_off(knots: Any, curve: Any, row: Any, spec: Any, out: Any) -> int:
    """One row's curve on its grid, and which points lie in no hole; how many points there are."""
    t_us, t_s, y, hole = knots
    cubic, half_second, linear = curve
    first, last = row
    step_us, fs_hz = spec
    value, seen = out
    place = 0
    for k in range(first, last):
        until = t_us[k + 1] + (k == last - 1)  # the last knot itself is read too
        while place * step_us < until:
            u = place / fs_hz - t_s[k]
            value[place] = ((cubic[k] * u + half_second[k]) * u + linear[k]) * u + y[k]
            seen[place] = not hole[k]
            place += 1
    return place


@compiled
def tapered(knots: Any, curve: Any, rows: Any, windows: Any, out: Any) -> None:
    """Each row less its mean under its window; see `features.spectra._tapered`."""
    start, stop, spec = rows
    window, of_row = windows
    padded, seen_weight = out
    most = padded.shape[1]
    value, seen, kept = np.empty(most), np.empty(most, np.bool_), np.empty(most)
    for r in range(start.size):
        row = start[r], stop[r] - 1
        n = read_off(knots, curve, row, spec, (value, seen))
        known = 0
        for i in range(n):
            if seen[i]:
                kept[known] = value[i]
                known += 1
        mean = total(kept[:known]) / known
        own = window[of_row[r]]
        if known < n:
            m = 0
            for i in range(n):
                if seen[i]:
                    kept[m] = own[i] * own[i]
                    m += 1
            seen_weight[r] = total(kept[:known])
        for i in range(n):
            padded[r, i] = (value[i] - mean) * own[i]
