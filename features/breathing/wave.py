"""Breaths in the chest wave itself: the wave at 4 Hz, its breath intervals, their rate.

Not here: respiration derived from the ECG or the pulse wave, and the choice between sources.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features import filters, runs
from features.breathing.ragged import quartiles
from features.ecg import kernels
from features.intervals import row_sums
from features.runs import Floats, Ints

WAVE_HZ: Final = 4.0  # carries 2 Hz: more than twice the fastest breathing
MIN_FS_HZ: Final = 2.0

_KEPT_BELOW_HZ: Final = 1.5
_BREATH_HZ: Final = (4 / 60, 60 / 60)
_SHORTEST_RUN_S: Final = 8.0
_LONGEST_BRIDGED_S: Final = 1.0  # shorter than half a breath at 30/min
_CLIP: Final = 1.0  # times the 5-95 % range, beyond that range: a cough must not set the scale
_HYSTERESIS: Final = 0.3  # times the standard deviation: cardiac ripple is no breath
_REGULAR: Final = 0.3  # an interval within +-30 % of the median counts as regular
_FEWEST_INTERVALS: Final = 2
_NEGLIGIBLE: Final = 1e-6  # of the largest sample: below it the wave is rounding


class Breaths(NamedTuple):
    """Breath intervals of a batch, rows ascending, each row's in time order."""

    row: Ints
    interval_s: Floats


class WaveRate(NamedTuple):
    """What the breath intervals of each row say, (B,) each."""

    rate_per_min: Floats  # 60 / mean interval; NaN with fewer than two
    regular: Floats  # 0-1, share of intervals within 30 % of their median; 0 without a rate
    cv: Floats  # standard deviation (ddof 1) / mean; NaN with fewer than two
    n: Ints  # intervals


def breath_wave(x: Floats, fs_hz: float, at: Floats) -> Floats:
    """Respiration wave of each row at the asked positions, free of what is above 1.5 Hz.

    Parameters
    ----------
    x : (B, n_samples) float64
        Chest impedance or belt in any unit; NaN marks a gap.
    fs_hz : float
        Sampling rate.
    at : (B, n_out) float64
        Positions in samples from the row's first, ascending.

    Returns
    -------
    (B, n_out) float64
        NaN where the wave has a gap.

    Notes
    -----
    Every gap-free run is filtered by itself (Butterworth order 2, forwards and backwards), then
    read off by straight lines, which is exact enough as 1.5 Hz is far below the sampling rate.
    """
    out = np.full(at.shape, np.nan)
    if x.size == 0 or not runs.is_rate(fs_hz):
        return out
    sos = filters.low_pass(2, _KEPT_BELOW_HZ, fs_hz)
    bridged = runs.bridge(x, fs_hz)
    for block in runs.runs_of(bridged, ~np.isnan(bridged), 2):
        smooth = block.x if sos is None else filters.zero_phase(sos, block.x, round(2 * fs_hz))
        asked, start = at[block.row], block.start[:, None]
        here = (asked >= start) & (asked <= start + (block.x.shape[1] - 1))
        value = _read_off(smooth, np.where(here, asked - start, 0.0))
        out[block.row] = np.where(here, value, out[block.row])
    return out


def _read_off(y: Floats, at: Floats) -> Floats:
    """Each row at fractional positions by straight lines, its ends held; bits as `np.interp`."""
    last = y.shape[1] - 1
    left = np.clip(np.floor(at), 0, last - 1).astype(np.intp)
    share = at - left
    low, high = np.take_along_axis(y, left, axis=1), np.take_along_axis(y, left + 1, axis=1)
    value = np.where(share > 0, (high - low) * share + low, low)
    return np.where(at >= last, y[:, last:], value)


def breath_rate(wave: Floats, fs_hz: float) -> tuple[Floats, Floats]:
    """Breaths per minute in each row of the respiration wave.

    Parameters
    ----------
    wave : (B, n_samples) float64
        Respiration wave of one window; NaN marks a gap.
    fs_hz : float
        Its sampling rate, at least 2 Hz.

    Returns
    -------
    rate_per_min : (B,) float64
        60 / mean breath interval. NaN if the row holds fewer than two whole breaths.
    quality : (B,) float64
        0-1: the share of breath intervals within 30 % of their median. 0 where the rate is NaN.

    Notes
    -----
    A breath is an upward crossing of zero by the 4-60/min wave, accepted once the wave has gone
    from below -0.3 to above +0.3 standard deviations. Intervals across gaps are not counted.
    Counting follows irregular breathing, where a spectral peak reports only the commonest rate.
    Checked against: ``tests/features/test_respiration.py`` (two human annotators).

    Examples
    --------
    >>> t = np.arange(240) / 4
    >>> rate, quality = breath_rate(np.sin(2 * np.pi * 0.25 * t)[None], 4.0)
    >>> round(float(rate[0]), 1), float(quality[0])
    (15.0, 1.0)
    """
    x = runs.as_rows(wave)
    found = wave_rate(breaths(x, fs_hz), len(x))
    return found.rate_per_min, found.regular


def breaths(x: Floats, fs_hz: float) -> Breaths:
    """Breath intervals of `[B, n]` float64 rows, NaN = gap; see `breath_rate`."""
    rows, lengths = [np.empty(0, np.intp)], [np.empty(0)]
    if x.size and MIN_FS_HZ <= fs_hz <= runs.MOST_FS_HZ:
        bridged = runs.bridge(x, fs_hz, _LONGEST_BRIDGED_S)
        band = filters.band_pass(2, *_BREATH_HZ, fs_hz)
        usable = ~np.isnan(bridged)
        shortest = int(_SHORTEST_RUN_S * fs_hz)
        for block in runs.runs_of(bridged, usable, shortest):
            if band is None:  # sampled too slowly for any breath
                break
            breathing = filters.zero_phase(band, _limited(block.x), round(15 * fs_hz))
            largest = np.abs(block.x).max(axis=1, keepdims=True)
            row, position = _upward_crossings(breathing, largest)
            same = np.diff(row) == 0
            rows.append(block.row[row[1:][same]])
            lengths.append(np.diff(position)[same] / fs_hz)
    row, length = np.concatenate(rows), np.concatenate(lengths)
    order = np.argsort(row, kind="stable")
    return Breaths(row[order], length[order])


def wave_rate(found: Breaths, n_rows: int) -> WaveRate:
    """Rate, regularity and variability of the breath intervals of `n_rows` rows."""
    row, interval = found
    n = np.bincount(row, minlength=n_rows)
    enough = n >= _FEWEST_INTERVALS
    mean = row_sums(interval, row, n_rows) / np.maximum(n, 1)
    middle = quartiles(interval, row, n_rows)[1]
    near = np.abs(interval - middle[row]) <= _REGULAR * middle[row]
    share = np.bincount(row[near], minlength=n_rows) / np.maximum(n, 1)
    squares = row_sums((interval - mean[row]) ** 2, row, n_rows)
    usable_mean = np.where(enough, mean, 1.0)
    cv = np.sqrt(squares / np.maximum(n - 1, 1)) / usable_mean
    return WaveRate(
        np.where(enough, 60.0 / usable_mean, np.nan),
        np.where(enough, share, 0.0),
        np.where(enough, cv, np.nan),
        n,
    )


def uncounted(n_rows: int) -> WaveRate:
    """`wave_rate` of rows without a single breath."""
    nothing = np.full(n_rows, np.nan)
    return WaveRate(nothing, np.zeros(n_rows), nothing, np.zeros(n_rows, np.intp))


def _limited(x: Floats) -> Floats:
    """Rows without their mean, outliers held to one 5-95 % range beyond that range."""
    low, high = np.percentile(x, (5, 95), axis=1, keepdims=True)
    reach = _CLIP * (high - low)
    limited = np.clip(x, low - reach, high + reach)
    return np.asarray(limited - limited.mean(axis=1, keepdims=True), np.float64)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.breathing.loops")


def _upward_crossings(x: Floats, largest: Floats) -> tuple[Ints, Floats]:
    """Row and position of the upward zero crossings that span the hysteresis."""
    if kernels.worth_it(len(x)):
        most = len(x) * (x.shape[1] // 2)
        of, position = np.empty(most, np.intp), np.empty(most)
        spec = _HYSTERESIS, _NEGLIGIBLE
        n = _loops().crossings(np.ascontiguousarray(x), largest, spec, of, position)
        return of[:n], position[:n]
    limit = np.maximum(_HYSTERESIS * x.std(axis=1, keepdims=True), _NEGLIGIBLE * largest)
    side = np.where(x > limit, 1, np.where(x < -limit, -1, 0)).astype(np.int8)
    index = np.arange(x.shape[1])
    decided = np.maximum.accumulate(np.where(side != 0, index, 0), axis=1)
    state = np.take_along_axis(side, decided, axis=1)
    row, after = np.nonzero((state[:, 1:] == 1) & (state[:, :-1] == -1))
    rising = np.zeros(x.shape, np.intp)
    rising[:, 1:] = np.where((x[:, 1:] > 0) & (x[:, :-1] <= 0), index[1:], 0)
    up = np.maximum.accumulate(rising, axis=1)[row, after + 1]
    high, low = x[row, up], x[row, up - 1]
    return row, up - high / (high - low)
