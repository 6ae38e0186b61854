"""Compiled forms of what the pulse wave's decisions do candidate by candidate.

The same bits as the NumPy in `features.ppg.choice`, `rises` and `motion`: every row's own
operations in their order. Imported only where numba is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from features.ecg.compiled import total
from features.tiles import LANES, laid, running, summed_in_halves, tops


@compiled
def clipped(value: Any, low: float, high: float) -> Any:
    """As `numpy.clip`; NaN stays."""
    if value < low:
        return low
    return high if value > high else value


@compiled
def cost_of(share: float, above: float, like: float, terms: Any) -> Any:
    """Log-odds against one candidate following another; `features.ppg.choice.Terms`."""
    long_cost, long_from, longest, like_from, like_range = terms[:5]
    low_range, short_cost, most_excuse, short_from, high_cost, high_from = terms[5:11]
    cost = clipped(long_cost * (share - long_from), 0.0, longest)
    excuse = clipped((like - like_from) / like_range, 0.0, 1.0)
    excuse *= 1.0 - clipped(above / low_range, 0.0, 1.0)
    cost += short_cost * (1.0 - most_excuse * excuse) * max(short_from - share, 0.0)
    if share < 1.0:
        cost += high_cost * clipped(above - high_from, 0.0, 1.0)
    return cost


@compiled
def best_paths(borders: Any, candidates: Any, usual_s: Any, terms: Any, taken: Any) -> None:
    """Whether each candidate is on its row's best path; rows lie between `borders`."""
    time_s, height, level, gain = candidates
    longest, (refractory_s, start_cost, never, reach) = terms[2], terms[11:]
    score, before = np.empty(time_s.size), np.empty(time_s.size, np.intp)
    for r in range(usual_s.size):
        first, last = borders[r], borders[r + 1]
        far, far_at = 0.0, -1
        end = first
        for j in range(first, last):
            begin = max(first, j - reach)
            if begin > first and score[begin - 1] - longest > far:
                far, far_at = score[begin - 1] - longest, begin - 1
            best, best_at = far - start_cost, far_at
            top, top_at = -np.inf, -1
            for k in range(begin, j):
                apart_s = time_s[j] - time_s[k]
                cost = never
                if not apart_s < refractory_s:
                    above = (level[j] - level[k]) / height[k]
                    like = height[j] / min(height[k], 1.0)
                    cost = cost_of(apart_s / usual_s[r], above, like, terms)
                if score[k] - cost > top:
                    top, top_at = score[k] - cost, k
            if top > best:
                best, best_at = top, top_at
            score[j], before[j] = best + gain[j], best_at
            if score[j] > score[end]:
                end = j
        at = end if last > first and score[end] > 0 else -1
        while at >= 0:
            taken[at] = True
            at = before[at]


@compiled
def first_largest(values: Any) -> int:
    """As `numpy.argmax`: the first of equals; one that is no number comes before all."""
    best = 0
    for k in range(values.size):
        if values[k] != values[k]:
            return k
        if values[k] > values[best]:
            best = k
    return best


@compiled
def tracked(bpm: Any, weight: Any, gain: Any, costs: Any, found: Any) -> None:
    """Mean rate and weight along the best path of each window, and segments that offer any."""
    jump_cost, most = costs
    n_windows, n_segments, n_rates = bpm.shape
    path = np.empty((4, n_rates))  # score, total, weight, place
    after, step = np.empty((4, n_rates)), np.empty(n_rates)
    for w in range(n_windows):
        path[:3] = 0.0
        path[3] = np.nan
        n = 0
        for s in range(n_segments):
            here = bpm[w, s]
            if np.isnan(here).all():
                continue
            n += 1
            for i in range(n_rates):
                for k in range(n_rates):
                    cost = jump_cost * abs(here[i] - path[3, k])
                    step[k] = path[0, k] - (min(cost, most) if cost == cost else 0.0)
                best = first_largest(step)
                after[0, i] = step[best] + gain[w, s, i]
                after[1, i] = path[1, best] + (here[i] if here[i] == here[i] else 0.0)
                after[2, i] = path[2, best] + weight[w, s, i]
                after[3, i] = here[i]
            path[:] = after
        end = first_largest(path[0])
        found[0, w], found[1, w], found[2, w] = path[1, end], path[2, end], n


@compiled
def strongest(salience: Any, reach: int, at: Any, shift: Any, share: Any) -> None:
    """Highest peaks of rows, their vertices, and the share within their lobes.

    See `ppg.motion._strongest`; a place that no peak took is -1.
    """
    n_rows, n = salience.shape
    n_found = at.shape[1]
    for r in range(n_rows):
        row = salience[r]
        whole = total(row)
        height = np.full(n_found, -1.0)
        at[r] = -1
        shift[r] = share[r] = 0.0
        for i in range(1, n - 1):
            if not (row[i] > row[i - 1] and row[i] >= row[i + 1] and row[i] > height[-1]):
                continue
            k = n_found - 1  # of equals the first stays before
            while k > 0 and height[k - 1] < row[i]:
                height[k], at[r, k] = height[k - 1], at[r, k - 1]
                k -= 1
            height[k], at[r, k] = row[i], i
        for k in range(n_found):
            if not height[k] > 0.0:
                at[r, k] = -1
                continue
            i = at[r, k]
            lobe = 0.0
            for j in range(i - reach, i + reach + 1):
                lobe += row[j] if 0 <= j < n else 0.0
            part = lobe / (whole if whole > 0 else 1.0)
            share[r, k] = 1.0 if part > 1.0 else part
            bend = row[i - 1] - 2 * row[i] + row[i + 1]
            if bend != 0:
                shift[r, k] = min(max(0.5 * (row[i - 1] - row[i + 1]) / bend, -0.5), 0.5)


@compiled
def quotient(above: float, below: float) -> float:
    """Division as NumPy does it."""
    if below != 0.0:
        return above / below
    return np.nan if above == 0.0 or above != above else above * np.inf


@compiled
def mean_of_three(y: Any, at: int) -> Any:
    """Of a sample and its neighbours; at an end it counts twice."""
    return (y[max(at - 1, 0)] + y[at] + y[min(at + 1, y.size - 1)]) / 3.0


@compiled
def rises(wave: Any, limits: Any, out: Any) -> int:
    """All rises the wave as sent shares; places and values of each, and how many."""
    (raw, band, slope), (places, values) = wave, out
    fs_hz, least_raw, least_steep, reach = limits
    n_rows, n = band.shape
    k = 0
    for r in range(n_rows):
        stop = 0
        while stop < n:
            start = stop
            while start < n and not slope[r, start] > 0:
                start += 1
            if start == n:
                break
            stop, steepest = start, start
            while stop < n and slope[r, stop] > 0:
                if slope[r, stop] > slope[r, steepest]:
                    steepest = stop
                stop += 1
            onset, peak = max(start - 1, 0), min(stop, n - 1)
            # A centred difference changes its sign within a sample of the extreme.
            onset = onset if band[r, onset] < band[r, start] else start
            peak = peak if band[r, peak] > band[r, stop - 1] else stop - 1
            if steepest - onset > reach:
                onset = steepest - reach + first_largest(-slope[r, steepest - reach : steepest])
            height = band[r, peak] - band[r, onset]
            climbed = mean_of_three(raw[r], peak) - mean_of_three(raw[r], onset)
            climb = quotient(slope[r, steepest] * fs_hz, height)
            if climbed >= least_raw * height and climb >= least_steep:
                places[0, k], places[1, k], places[2, k], places[3, k] = r, onset, steepest, peak
                values[0, k], values[1, k], values[2, k] = height, band[r, onset], climb
                k += 1
    return k


@compiled
def bars(maxima: Any, clip: float, level: Any) -> None:
    """Energy above which each lane is clipped: a multiple of the median of its maxima; else all."""
    whole = maxima.shape[0]
    for lane in range(level.size):
        level[lane] = np.inf
        if whole:
            ordered = np.sort(maxima[:, lane])
            low, high = ordered[(whole - 1) // 2], ordered[whole // 2]
            bar = clip * (low if whole % 2 else (low + high) / 2.0)
            level[lane] = bar if bar > 0 else np.inf


@compiled
def voted(wave: Any, found: Any, spec: Any, out: Any) -> None:
    """Whether the short average of energy is above the long one at places; `rises._blocks`."""
    row, place = found
    width, clip, short, long, offset = spec
    n_rows, n = wave.shape
    most = min(LANES, n_rows)
    energy, near, far = np.zeros((n, most)), np.empty((n, most)), np.empty((n, most))
    maxima, level, whole = np.empty((n // width, most)), np.empty(most), np.empty(most)
    k = 0
    for first in range(0, n_rows, LANES):
        lanes = laid(wave, first, energy, 0)
        for i in range(n):
            for lane in range(most):
                positive = energy[i, lane] if energy[i, lane] > 0.0 else 0.0
                energy[i, lane] = positive * positive
        tops(energy, width, maxima)
        bars(maxima, clip, level)
        for i in range(n):
            for lane in range(most):
                energy[i, lane] = min(energy[i, lane], level[lane])
        running(energy, short, near)
        running(energy, long, far)
        summed_in_halves(energy, whole)
        while k < row.size and row[k] < first + lanes:
            at, lane = place[k], row[k] - first
            most_far = far[at, lane] / long + offset * (whole[lane] / n)
            out[k] = 0 < at < n - 1 and near[at, lane] / short > most_far
            k += 1
