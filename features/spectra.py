"""Power of NN intervals in the HRV bands, batched over rows of unequal length.

Not here: spectra of waveforms, the choice of which intervals are normal. Rows are laid end to end
in flat arrays (see `features.intervals`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from scipy import fft
from scipy.linalg import lapack

from features.ecg import kernels
from features.variability.rows import Bools, Floats, Ints, starts_of, sums

VLF_HZ: Final = (0.003, 0.04)
LF_HZ: Final = (0.04, 0.15)
HF_HZ: Final = (0.15, 0.4)
# Task Force 1996: ten periods of the slowest oscillation; VLF within a nominal 300-s window.
_SHORTEST_S: Final = (270.0, 120.0, 60.0)
_LOWEST_HF_TOP_HZ: Final = 0.30  # below it too little of HF is free of alias
_STEP_US: Final = 250_000  # 4 Hz grid
_FS_HZ: Final = 1e6 / _STEP_US
_N_FFT: Final = 4096
_LONGEST_SPLINE_HOLE_US: Final = 3_000_000  # a cubic overshoots in longer ones: a line instead
_FEWEST_INTERVALS: Final = 8
_PER_ROW: Final = 60  # intervals in a usual minute: fewer are a small batch
_CHUNK_ROWS: Final = 16
_NEGLIGIBLE_MS2: Final = 1e-6  # what times rounded to µs make of a constant rhythm


class BandPowers(NamedTuple):
    """Power in ms², one value per row; NaN where the row cannot tell it."""

    vlf: Floats
    lf: Floats
    hf: Floats


class Spectrum(NamedTuple):
    """One value per row; NaN where the row cannot tell it."""

    vlf_ms2: Floats
    lf_ms2: Floats
    hf_ms2: Floats
    hf_peak_hz: Floats  # NaN too where HF has no peak of its own
    alias: Bools  # HF is missing because the heart is too slow for it


class _Rows(NamedTuple):
    """Intervals of several rows, and where each row begins and stops among them."""

    t_us: Ints  # from the row's first
    nn_ms: Floats
    row: Ints
    start: Ints  # per row
    stop: Ints  # per row


def band_powers(t_us: Ints, nn_ms: Floats, row: Ints, n_rows: int) -> BandPowers:
    """VLF, LF and HF power of NN intervals: the first three columns of `nn_spectrum`."""
    return BandPowers(*nn_spectrum(t_us, nn_ms, row, n_rows)[:3])


def nn_spectrum(t_us: Ints, nn_ms: Floats, row: Ints, n_rows: int) -> Spectrum:
    """VLF, LF and HF power of NN intervals, and where HF peaks.

    Parameters
    ----------
    t_us : (n,) int64
        Time of the beat that ends each interval, strictly ascending within a row.
    nn_ms : (n,) float64
        Normal intervals only, finite.
    row : (n,) int
        Row of each interval, ascending, 0 to `n_rows` - 1.
    n_rows : int

    Returns
    -------
    Spectrum
        (n_rows,) each. NaN for fewer than 8 intervals, for less than 270 / 120 / 60 s of
        data (VLF / LF / HF) and for a band above half the heart rate. The peak is the highest
        local maximum of the density inside HF, refined by a parabola.

    Notes
    -----
    Natural cubic spline of the intervals at their end times, sampled at 4 Hz from the first to
    the last, mean removed, one periodic Hann window over all of it, zero-padded to 4096 points,
    one-sided density, summed over VLF [0.003, 0.04), LF [0.04, 0.15), HF [0.15, 0.4) Hz. The top
    of HF is lowered to 1/(2 mean NN), where aliases begin; below 0.30 Hz HF is NaN. A hole of
    more than 3 s without intervals is bridged by a straight line, and LF and HF are taken
    relative to the window's power outside holes: they cannot be seen inside. Against the same
    recordings without the hole, that errs by about a third of what the Lomb periodogram does
    (``benchmarks/bench_hrv.py``), and a gap changes no definition.
    Source: Task Force of the ESC and NASPE (1996), Circulation 93:1043.
    Checked against: ``tests/features/test_spectra.py`` (sinusoids, ANSI/AAMI EC57 patterns).
    """
    out = np.full((n_rows, 4), np.nan)
    alias = np.zeros(n_rows, np.bool_)
    count = np.bincount(row, minlength=n_rows)
    stop = np.cumsum(count)
    start = stop - count
    known = np.flatnonzero(count >= _FEWEST_INTERVALS)
    if known.size == 0:
        return Spectrum(out[:, 0], out[:, 1], out[:, 2], out[:, 3], alias)
    total_s = sums(nn_ms, count)[known] / 1000.0
    mean_s = total_s / count[known]
    span_s = (t_us[stop[known] - 1] - t_us[start[known]]) / 1e6 + mean_s
    top_hz = np.minimum(HF_HZ[1], 0.5 / mean_s)
    rows = _Rows(t_us - t_us[start[row]], nn_ms, row, start, stop)
    powers = _spline_powers(rows if known.size == n_rows else _select(rows, known), top_hz)
    out[known] = _refused(powers, top_hz, span_s)
    alias[known] = top_hz < _LOWEST_HF_TOP_HZ
    return Spectrum(out[:, 0], out[:, 1], out[:, 2], out[:, 3], alias)


def _refused(powers: Floats, top_hz: Floats, span_s: Floats) -> Floats:
    """Powers without those the heart is too slow or the recording too short for."""
    bands = powers[:, :3]
    bands[bands < _NEGLIGIBLE_MS2] = 0.0
    bands[:, 1][top_hz < LF_HZ[1]] = np.nan
    bands[:, 2][top_hz < _LOWEST_HF_TOP_HZ] = np.nan
    bands[span_s[:, None] < np.array(_SHORTEST_S)] = np.nan
    powers[:, 3][~(bands[:, 2] > 0)] = np.nan
    return powers


def _select(rows: _Rows, chosen: Ints) -> _Rows:
    """Only these rows, renumbered from 0."""
    count = (rows.stop - rows.start)[chosen]
    kept = np.isin(rows.row, chosen)
    stop = np.cumsum(count)
    renumbered = np.repeat(np.arange(chosen.size), count)
    return _Rows(rows.t_us[kept], rows.nn_ms[kept], renumbered, stop - count, stop)


def _spline_powers(rows: _Rows, top_hz: Floats) -> Floats:
    """`[B, 4]` band powers and peaks, some rows at a time: those stay in the processor's cache."""
    found = []
    for first in range(0, top_hz.size, _CHUNK_ROWS):
        chunk = range(first, min(first + _CHUNK_ROWS, top_hz.size))
        span_us = rows.t_us[rows.stop[chunk] - 1]
        # Rows may not choose each other's resolution: a long one goes alone.
        whole = bool((span_us < _N_FFT * _STEP_US).all())
        for part in (chunk,) if whole else [range(i, i + 1) for i in chunk]:
            at = slice(rows.start[part[0]], rows.stop[part[-1]])
            begin, stop = rows.start[part] - at.start, rows.stop[part] - at.start
            own = _Rows(rows.t_us[at], rows.nn_ms[at], rows.row[at] - part[0], begin, stop)
            found.append(_few_spline_powers(own, top_hz[part.start : part.stop]))
    return np.concatenate(found)


def _few_spline_powers(rows: _Rows, top_hz: Floats) -> Floats:
    """`[B, 4]` band powers and peaks by spline and one Hann window per row."""
    last_us = rows.t_us[rows.stop - 1]
    n_grid = -(-last_us // _STEP_US) + (last_us % _STEP_US == 0)
    n_fft = max(_N_FFT, 1 << int(n_grid.max() - 1).bit_length())
    padded = np.zeros((n_grid.size, n_fft))
    weight = 3.0 / 8.0 * n_grid  # sums of the squared window, all of it and what is in no hole
    seen_weight = weight.copy()
    if kernels.worth_it(rows.nn_ms.size // _PER_ROW):
        _looped(rows, n_grid, padded, seen_weight)
    else:
        _tapered(rows, n_grid, padded, seen_weight)
    half = fft.rfft(padded, axis=1)[:, : int(HF_HZ[1] * n_fft / _FS_HZ) + 2]
    density = (half.real**2 + half.imag**2) * (2.0 / (_FS_HZ * weight))[:, None]
    hz = np.arange(half.shape[1], dtype=np.float64) * (_FS_HZ / n_fft)
    found = _bands(density, hz, _FS_HZ / n_fft, top_hz)
    found[:, 1:3] *= (weight / seen_weight)[:, None]
    return found


def _tapered(rows: _Rows, n_grid: Ints, padded: Floats, seen_weight: Floats) -> None:
    """Curves on their grids, less their means, under their windows."""
    grid, seen = _spline_grid(rows, n_grid)
    borders = np.cumsum(n_grid)[:-1]
    parts = zip(padded, np.split(grid, borders), np.split(seen, borders), strict=True)
    for i, (own, part, known) in enumerate(parts):
        n, n_known = part.size, np.count_nonzero(known)
        window, whole = _hann(n), n_known == n
        mean = (part if whole else part[known]).sum() / n_known
        if not whole:
            seen_weight[i] = (window[known] ** 2).sum()
        np.multiply(part - mean, window, out=own[:n])


def _looped(rows: _Rows, n_grid: Ints, padded: Floats, seen_weight: Floats) -> None:
    """The same by a loop."""
    lengths = sorted(set(n_grid.tolist()))
    windows = np.zeros((len(lengths), padded.shape[1]))
    for own, n in zip(windows, lengths, strict=True):
        own[:n] = _hann(n)
    of_row = np.searchsorted(lengths, n_grid)
    curve = _curve(rows)
    _loops().tapered(
        (rows.t_us, curve.t_s, rows.nn_ms, curve.hole),
        (curve.cubic, curve.second / 2.0, curve.linear),
        (rows.start, rows.stop, (_STEP_US, _FS_HZ)),
        (windows, of_row),
        (padded, seen_weight),
    )


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.variability.compiled_spline")


@lru_cache(maxsize=256)
def _hann(n: int) -> Floats:
    """Periodic Hann window; to be read only."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi / n * np.arange(n)), np.float64)


def _bands(density: Floats, hz: Floats, step_hz: float, top_hz: Floats) -> Floats:
    """`[B, 4]`: density summed over VLF, LF and HF, the last up to `top_hz`; the peak of HF."""
    out = np.empty((density.shape[0], 4))
    for i, (low, high) in enumerate((VLF_HZ, LF_HZ, HF_HZ)):
        inside = np.flatnonzero((hz >= low) & (hz < high))
        part = density[:, inside]
        if i == 2:
            part = np.where(hz[inside] < top_hz[:, None], part, 0.0)
        out[:, i] = np.ascontiguousarray(part).sum(axis=1) * step_hz
    out[:, 3] = _hf_peaks(density, hz, step_hz, top_hz)
    return out


def _hf_peaks(density: Floats, hz: Floats, step_hz: float, top_hz: Floats) -> Floats:
    """Frequency of the highest local maximum of each row inside HF; NaN without one."""
    middle = density[:, 1:-1]
    peaked = (middle > density[:, :-2]) & (middle >= density[:, 2:])
    peaked &= (hz[1:-1] >= HF_HZ[0]) & (hz[1:-1] < top_hz[:, None])
    best = np.where(peaked, middle, -1.0).argmax(axis=1) + 1
    row = np.arange(best.size)
    left, top, right = (density[row, best + k] for k in (-1, 0, 1))
    bend = 2.0 * top - left - right
    shift = np.zeros(best.size)
    np.divide(0.5 * (right - left), bend, out=shift, where=bend > np.abs(right - left))
    peak = hz[best] + step_hz * shift
    return np.where(peaked.any(axis=1), np.clip(peak, *HF_HZ), np.nan)


class _Curve(NamedTuple):
    """Natural cubic splines of rows, a polynomial from each knot to the next."""

    t_s: Floats
    hole: Bools  # from this knot to the next
    cubic: Floats
    second: Floats  # derivative
    linear: Floats


def _curve(rows: _Rows) -> _Curve:
    """Natural cubic splines of all rows.

    All rows are one tridiagonal system; zeros at the borders and at holes keep them apart, and a
    stretch between two ends that do not bend is a straight line.
    """
    t_s, y = rows.t_us / 1e6, rows.nn_ms
    last = rows.stop - 1
    h = np.ones(y.size)
    h[:-1] = np.diff(t_s)
    h[last] = 1.0  # the step from one row to the next is no interval
    hole = np.zeros(y.size, np.bool_)  # between this interval's end and the next one's begin
    hole[:-1] = h[:-1] * 1e6 - y[1:] * 1000.0 > _LONGEST_SPLINE_HOLE_US
    hole[last] = False
    inner = ~hole
    inner[1:] &= ~hole[:-1]
    inner[rows.start] = inner[last] = False
    slope = np.diff(y, append=y[-1]) / h
    diagonal, bend = np.ones(y.size), np.zeros(y.size)
    i = np.flatnonzero(inner)
    diagonal[i] = 2 * (h[i - 1] + h[i])
    bend[i] = 6 * (slope[i] - slope[i - 1])
    beside = np.where(inner[1:] & inner[:-1], h[:-1], 0.0)
    _, _, second, _ = lapack.dptsv(diagonal, beside, bend)
    after = np.append(second[1:], 0.0)
    cubic = (after - second) / (6.0 * h)
    linear = slope - h * (2.0 * second + after) / 6.0
    return _Curve(t_s, hole, cubic, second, linear)


def _spline_grid(rows: _Rows, n_grid: Ints) -> tuple[Floats, Bools]:
    """Splines of all rows on their 4 Hz grids, end to end, and which points lie in no hole."""
    t_s, hole, cubic, second, linear = _curve(rows)
    last = rows.stop - 1
    tick = -(-rows.t_us // _STEP_US)  # first grid point at or after each knot
    on_grid = rows.t_us[last] % _STEP_US == 0
    n_points = np.diff(tick, append=0)
    n_points[last] = 0
    n_points[last - 1] += on_grid
    place = np.arange(int(n_grid.sum())) - np.repeat(starts_of(n_grid), n_grid)
    u = place / _FS_HZ - np.repeat(t_s, n_points)
    value = np.repeat(cubic, n_points) * u
    for coefficient in (second / 2.0, linear):
        value += np.repeat(coefficient, n_points)
        value *= u
    value += np.repeat(rows.nn_ms, n_points)
    return value, np.repeat(~hole, n_points)
