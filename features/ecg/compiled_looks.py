"""Compiled forms of what the two looks see: a row's candidates one after the other, all at once.

Bit for bit what NumPy gives in `features.ecg.alone` and `features.ecg.company`. Logarithms are
taken outside, by NumPy: a compiled one may differ in its last bit. Imported only where numba is
installed (`features.ecg.kernels`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import (
    explained,
    neighbours,
    rivals,
    row_end,
    since,
    total,
)
from features.ecg.compiled_sides import best_alike, tile_end

_TINY: Final = 1e-30  # `features.ecg.alone.TINY`


@compiled
def limited(value: Any, low: Any, high: Any) -> Any:
    """As `numpy.clip` of a number."""
    return min(max(value, low), high)


@compiled
def by_themselves(waves: Any, found: Any, logs: Any, spec: Any, out: Any) -> None:
    """Inputs of the first look; see `features.ecg.alone.alone`."""
    wave, slow = waves
    row, at, summit, margin = found
    log_height, log_level, log_size, unit = logs
    (on_wave, wave_most), (on_slow, slow_most), (steps, far_s, fs_hz) = spec
    last = wave.shape[1] - 1
    first = 8 + 4 * steps
    for k in range(row.size):
        r, own = row[k], log_height[k]
        middle = log_level[r, 1]
        for j in range(3):
            out[j, k] = limited(own - log_level[r, j], -4.0, 4.0)
        for j in range(3, 5):
            out[j, k] = limited(log_level[r, j] - middle, -6.0, 0.0)
        out[5, k] = limited(log_size[k] - own, -4.0, 4.0)
        out[6, k] = limited(margin[k, 1], -3.0, 3.0)
        out[7, k] = limited(min(margin[k, 0], margin[k, 1], margin[k, 2]), -3.0, 3.0)
        mine, theirs = wave[r], slow[r]
        for j in range(on_wave.size):
            value = mine[limited(at[k] + on_wave[j], 0, last)] * unit[k]
            out[first + j, k] = limited(value, -wave_most, wave_most)
        here = theirs[at[k]]
        for j in range(on_slow.size):
            value = (theirs[limited(at[k] + on_slow[j], 0, last)] - here) * unit[k]
            out[first + on_wave.size + j, k] = limited(value, -slow_most, slow_most)
    neighbours(row, summit, log_height, (steps, far_s, fs_hz), out[8:first])


@compiled
def sizes(waves: Any, beats: Any, spec: Any, out: Any) -> None:
    """Norm of each candidate's shape, and its range with low frequencies; (2, n)."""
    wave, slow = waves
    row, at = beats
    reach, range_reach = spec
    last = wave.shape[1] - 1
    square = np.empty(2 * reach + 1)
    for k in range(row.size):
        mine, theirs = wave[row[k]], slow[row[k]]
        for i in range(square.size):
            value = mine[limited(at[k] - reach + i, 0, last)]
            square[i] = value * value
        out[0, k] = np.sqrt(total(square)) + _TINY
        high, low = -np.inf, np.inf
        for i in range(-range_reach, range_reach + 1, 2):
            value = theirs[limited(at[k] + i, 0, last)]
            high, low = max(high, value), min(low, value)
        out[1, k] = high - low + _TINY


@compiled
def mean_of(values: Any, weight: Any, whole: Any) -> Any:
    """Weighted mean of a row's values; 0 where nothing is believed."""
    weighted = 0.0
    for k in range(values.size):
        weighted += weight[k] * values[k]
    return weighted / max(whole, _TINY)


@compiled
def compared(values: Any, weight: Any, whole: Any, out: Any) -> None:
    """Values of a row less their mean; 0 where nothing is believed."""
    mean = mean_of(values, weight, whole)
    for k in range(values.size):
        out[k] = limited(values[k] - mean, -3.0, 3.0) if whole > 0 else 0.0


@compiled
def usual_rr(at_s: Any, believed: Any, ordered: Any, usual: Any) -> Any:
    """The upper median of intervals between a row's believed beats; `usual` without any."""
    count, before = 0, -1
    for k in range(at_s.size):
        if not believed[k]:
            continue
        if before >= 0:
            rr = at_s[k] - at_s[before]
            i = count
            while i > 0 and ordered[i - 1] > rr:
                ordered[i] = ordered[i - 1]
                i -= 1
            ordered[i] = rr
            count += 1
        before = k
    return ordered[count // 2] if count else usual


@compiled
def rhythm(at_s: Any, rr: Any, gaps: Any, out: Any) -> None:
    """Times to the believed beats around, in usual intervals and in seconds."""
    for k in range(at_s.size):
        before, after = gaps[0, k], gaps[1, k]
        out[0, k] = limited(before / rr, 0.0, 3.0)
        out[1, k] = limited(before, 0.0, 2.0)
        out[2, k] = limited(after / rr, 0.0, 3.0)
        out[3, k] = limited(after, 0.0, 2.0)
        out[4, k] = limited((before + after) / rr, 0.0, 4.0)
        out[5, k] = limited(rr, 0.2, 2.0)


@compiled
def in_company(wave: Any, found: Any, logs: Any, spec: Any, out: Any) -> None:
    """Inputs of the second look but those of the first; see `features.ecg.company.together`."""
    row, at, summit, logit = found
    log_norm, log_range = logs
    (reach, lag, tail), (doubt, most_s, usual_s, fs_hz), (near, far), steps = spec
    n = row.size
    weight, at_s, believed = np.empty(n), np.empty(n), np.empty(n, np.bool_)
    bests, gaps, ordered = np.empty(n), np.empty((2, n)), np.empty(n)
    for k in range(n):
        weight[k] = limited(0.25 * (logit[k] + 2.0), 0.0, 1.0)
        at_s[k] = summit[k] / fs_hz
        believed[k] = logit[k] > 0
        out[0, k] = limited(logit[k], -10.0, 10.0)
    first = 0
    while first < n:
        last = tile_end(row, first)
        some = row[first:last], at[first:last]
        best_alike(wave, some, weight[first:last], (reach, lag), bests[first:last])
        first = last
    explained(wave, (row, at), believed, (reach, tail), out[3])
    since(row, at_s, believed, most_s, gaps)
    rivals((row, summit), logit, near, steps, out[13:15])
    rivals((row, summit), logit, far, steps, out[15:17])
    start = 0
    while start < n:
        stop = row_end(row, start)
        own = weight[start:stop]
        whole, sure, unsure = 0.0, 0, 0
        for k in range(start, stop):
            whole += weight[k]
            sure += believed[k]
            unsure += abs(logit[k]) < doubt
        for k in range(start, stop):
            out[1, k] = bests[k] if whole > weight[k] else 0.0
            out[5, k] = limited(unsure / max(sure, 1), 0.0, 2.0)
        compared(log_norm[start:stop], own, whole, out[2, start:stop])
        compared(log_range[start:stop], own, whole, out[4, start:stop])
        out[6, start:stop] = mean_of(out[1, start:stop], own, whole)
        rr = usual_rr(at_s[start:stop], believed[start:stop], ordered, usual_s)
        rhythm(at_s[start:stop], rr, gaps[:, start:stop], out[7:13, start:stop])
        start = stop
