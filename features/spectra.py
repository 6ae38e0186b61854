"""Power of NN intervals in the HRV bands, batched over rows of unequal length.

Not here: spectra of waveforms, the choice of which intervals are normal. Rows are laid end to end
in flat arrays (see `features.intervals`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.linalg import lapack

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
_LONGEST_SPLINE_HOLE_US: Final = 3_000_000  # a cubic overshoots in longer ones: Lomb instead
_LEAST_SPLINE_SHARE: Final = 0.9  # of the time in intervals; many small holes: Lomb as well
_LONGEST_LOMB_S: Final = 1200.0  # its cost grows with the square of the duration
_FEWEST_INTERVALS: Final = 8
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
    of HF is lowered to 1/(2 mean NN), where aliases begin; below 0.30 Hz HF is NaN. Rows with an
    unobserved hole of more than 3 s, or with intervals for less than 0.9 of their time, use the
    Lomb periodogram instead of bridging holes, up to 1200 s; longer ones are NaN.
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
    holed = _longest_holes_us(t_us, nn_ms, row, n_rows)[known] > _LONGEST_SPLINE_HOLE_US
    holed |= total_s < _LEAST_SPLINE_SHARE * span_s
    top_hz = np.minimum(HF_HZ[1], 0.5 / mean_s)
    powers = np.full((known.size, 4), np.nan)
    rows = _Rows(t_us - t_us[start[row]], nn_ms, row, start, stop)
    smooth = known[~holed]
    if smooth.size:
        powers[~holed] = _spline_powers(_select(rows, smooth), top_hz[~holed])
    for i in np.flatnonzero(holed & (span_s <= _LONGEST_LOMB_S)):
        part = slice(start[known[i]], stop[known[i]])
        powers[i] = _lomb_powers(rows.t_us[part], nn_ms[part], float(top_hz[i]))
    out[known] = _refused(powers, top_hz, span_s)
    alias[known] = top_hz < _LOWEST_HF_TOP_HZ
    return Spectrum(out[:, 0], out[:, 1], out[:, 2], out[:, 3], alias)


def _longest_holes_us(t_us: Ints, nn_ms: Floats, row: Ints, n_rows: int) -> Floats:
    """Longest time without an interval inside each row."""
    hole_us = np.zeros(t_us.size)
    inside = row[1:] == row[:-1]
    np.subtract(np.diff(t_us), nn_ms[1:] * 1000.0, out=hole_us[1:], where=inside)
    count = np.bincount(row, minlength=n_rows)
    worst, filled = np.zeros(n_rows), np.flatnonzero(count)
    worst[filled] = np.maximum.reduceat(hole_us, starts_of(count)[filled])
    return worst


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
    grid, n_grid = _spline_grid(rows)
    n_rows = rows.start.size
    n_fft = max(_N_FFT, 1 << int(n_grid.max() - 1).bit_length())
    weight = 3.0 / 8.0 * n_grid  # sum of the squared window
    padded = np.zeros((n_rows, n_fft))
    windows: dict[int, Floats] = {}
    for own, part in zip(padded, np.split(grid, np.cumsum(n_grid)[:-1]), strict=True):
        n = part.size
        if n not in windows:
            windows[n] = 0.5 - 0.5 * np.cos(2 * np.pi / n * np.arange(n))
        np.multiply(part - part.sum() / n, windows[n], out=own[:n])
    half = fft.rfft(padded, axis=1)[:, : int(HF_HZ[1] * n_fft / _FS_HZ) + 2]
    density = (half.real**2 + half.imag**2) * (2.0 / (_FS_HZ * weight))[:, None]
    hz = np.arange(half.shape[1], dtype=np.float64) * (_FS_HZ / n_fft)
    return _bands(density, hz, _FS_HZ / n_fft, top_hz)


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
    bend = np.maximum(2.0 * top - left - right, np.finfo(np.float64).tiny)
    peak = hz[best] + step_hz * np.clip(0.5 * (right - left) / bend, -0.5, 0.5)
    return np.where(peaked.any(axis=1), np.clip(peak, *HF_HZ), np.nan)


def _spline_grid(rows: _Rows) -> tuple[Floats, Ints]:
    """Natural cubic splines of all rows on their 4 Hz grids, end to end, and points per row.

    All rows are one tridiagonal system; zeros at the borders keep them apart.
    """
    t_s, y = rows.t_us / 1e6, rows.nn_ms
    last = rows.stop - 1
    inner = np.ones(y.size, np.bool_)
    inner[rows.start] = inner[last] = False
    h = np.ones(y.size)
    h[:-1] = np.diff(t_s)
    h[last] = 1.0  # the step from one row to the next is no interval
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
    tick = -(-rows.t_us // _STEP_US)  # first grid point at or after each knot
    n_points = np.diff(tick, append=0)
    n_points[last] = 0
    n_points[last - 1] += rows.t_us[last] % _STEP_US == 0
    n_grid = tick[last] + (rows.t_us[last] % _STEP_US == 0)
    place = np.arange(int(n_grid.sum())) - np.repeat(starts_of(n_grid), n_grid)
    u = place / _FS_HZ - np.repeat(t_s, n_points)
    value = np.repeat(cubic, n_points) * u
    for coefficient in (second / 2.0, linear, y):
        value += np.repeat(coefficient, n_points)
        if coefficient is not y:
            value *= u
    return value, n_grid


def _lomb_powers(t_us: Ints, nn_ms: Floats, top_hz: float) -> Floats:
    """`(4,)` band powers and peak of one row by the Lomb periodogram, which needs no even grid.

    Frequencies k/(4T); density 2 T' P / N with P unnormalised (N A²/4 for a sinusoid), T the
    duration with its holes and T' without.
    """
    t_s = t_us / 1e6
    n = nn_ms.size
    y = nn_ms - nn_ms.sum() / n
    duration_s = float(t_s[-1]) + float(nn_ms.sum()) / n / 1000.0
    step_hz = 1.0 / (4.0 * duration_s)
    hz = np.arange(1.0, int(HF_HZ[1] / step_hz) + 1) * step_hz
    along, twice = _fourier(step_hz, hz.size, t_s, y)
    # The offset tau makes sine and cosine orthogonal at these times (Scargle 1982).
    turn = np.exp(-0.5j * np.angle(twice))
    along *= turn
    even = np.maximum((n + np.abs(twice)) / 2.0, 1e-9)
    odd = np.maximum((n - np.abs(twice)) / 2.0, 1e-9)
    power = 0.5 * (along.real**2 / even + along.imag**2 / odd)
    # The observed time, not the duration: else a hole of 10 % adds 10 % of power.
    density = power * (2.0 * float(nn_ms.sum()) / 1000.0 / n)
    return np.asarray(_bands(density[None, :], hz, step_hz, np.array([top_hz]))[0])


def _fourier(
    step_hz: float, n_hz: int, t_s: Floats, y: Floats
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Sums of y exp(2 pi i f t) and of exp(4 pi i f t) at f = step, 2 step...

    Coarse times fine steps: few exponentials, and what is multiplied stays in the cache.
    """
    fine = 32
    base = 2j * np.pi * step_hz * t_s
    near = np.exp(base * np.arange(1, fine + 1)[:, None])
    along = np.empty((n_hz // fine + 1, fine), np.complex128)
    twice = np.empty_like(along)
    for k in range(along.shape[0]):
        wave = near * np.exp(base * (fine * k))
        along[k] = (wave * y).sum(axis=1)
        wave *= wave
        twice[k] = wave.sum(axis=1)
    return along.reshape(-1)[:n_hz], twice.reshape(-1)[:n_hz]
