"""Spectra of waveforms: a Hann periodogram per 10 s segment, averaged over a window's segments.

That average is Welch's estimate with segments of 10 s that do not overlap, each transformed once.
Its resolution of 0.1 Hz is right for ECG, PPG and movement and wrong for heart rate variability
(`features.spectra`) and breathing (`features.respiration`), which are not here.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from features.column import Column
from features.ecg import kernels
from features.intervals import Bools, Floats, Ints
from features.runs import bridge, is_rate
from features.segment_rows import columns, divided
from features.spectrum_specs import LARGEST_DEVIATION, Band, SpectrumSpec

Bins = NDArray[np.float32]

_FINE_HZ: Final = 0.1  # resolution of a 10 s segment
_EDGE_SHARE: Final = 0.95
_TOLERANCE: Final = 0.25  # of a line: a rate a little off keeps its lines in their bins


class Shape(NamedTuple):
    """Shape of B spectra, each (B,); NaN for a spectrum without power."""

    peak_hz: Floats
    centroid_hz: Floats
    edge95_hz: Floats
    entropy: Floats  # 0 a single line, 1 white


def segment_bins(x: Floats, fs_hz: float, spec: SpectrumSpec) -> Bins:
    """Power per frequency bin of each segment.

    Parameters
    ----------
    x : (B, n) float64
        The cores of B segments, without context; NaN is a gap.
    fs_hz : float
    spec : SpectrumSpec

    Returns
    -------
    (B, n_bins) float32
        Power in units². A row is NaN unless all of its samples are there (holes of 20 ms are
        bridged), and so are bins above half the sampling rate and all rows of segments too short
        to resolve the bins (10 s for bins of 0.1 Hz).

    Notes
    -----
    Mean removed, periodic Hann window, one-sided density times resolution, so that the bins of a
    noise add up to its variance. The transform is single precision, after the mean is gone.
    Checked against: ``tests/features/test_waveform_spectra.py`` (scipy.signal.welch, Parseval).
    """
    return axes_bins(x[None], fs_hz, spec)


def axes_bins(axes: Floats, fs_hz: float, spec: SpectrumSpec) -> Bins:
    """`segment_bins` of one or more axes, `(axes, B, n)`, their powers added.

    The sum over the axes of an accelerometer does not change when the device is turned.
    """
    n_axes, n_rows, n = axes.shape
    out = np.full((n_rows, spec.n_bins), np.nan, np.float32)
    if n < 4 or n_rows == 0 or not is_rate(fs_hz):
        return out
    plan = _plan(n, fs_hz, spec)
    if plan.n_known == 0:
        return out
    tapered, complete = _tapered(axes.reshape(-1, n), fs_hz, plan.window)
    each = _power(tapered, plan).reshape(n_axes, n_rows, -1)
    power = each[0]
    for more in each[1:]:
        power += more
    good = complete.reshape(n_axes, -1).all(axis=0)
    if good.all():
        out[:, : plan.n_known] = power
    else:
        out[good, : plan.n_known] = power[good]
    return out


class _Plan(NamedTuple):
    """What a transform of one length and rate needs."""

    window: NDArray[np.float32]  # Hann with the scale of a density folded in
    first: Ints  # first line of every bin
    n_lines: int
    n_known: int  # bins below half the rate
    nyquist: bool  # the last line is half the rate and has no mirror image
    most: int  # lines of a bin


@lru_cache(maxsize=64)
def _plan(n: int, fs_hz: float, spec: SpectrumSpec) -> _Plan:
    """Window and bins of a segment of n samples."""
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)
    # Density 2 |X|² / (fs Σw²) times resolution fs / n.
    scale = np.sqrt(2.0 / (n * (hann**2).sum()))
    step = fs_hz / n / spec.bin_hz
    place = ((np.arange(n // 2 + 1) + _TOLERANCE) * step).astype(np.intp)
    n_known = min(int(place[-1]) + 1, spec.n_bins)
    # A bin that half the rate cuts in two is not known, unless it begins there.
    if fs_hz / 2.0 < n_known * spec.bin_hz - spec.bin_hz * step and n_known > 1:
        n_known -= 1
    if np.diff(place[: np.searchsorted(place, n_known)]).max(initial=0) > 1:
        n_known = 0  # too short a segment: bins without a line
    n_lines = int(np.searchsorted(place, n_known))
    first = np.searchsorted(place, np.arange(n_known))
    nyquist = n % 2 == 0 and n_lines > n // 2
    most = int(np.diff(first, append=n_lines).max(initial=0))
    return _Plan((hann * scale).astype(np.float32), first, n_lines, n_known, nyquist, most)


def _tapered(
    x: Floats, fs_hz: float, window: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Bools]:
    """Rows without their mean, as float32, times the window, and which are complete."""
    if not kernels.worth_it(len(x)):
        centred, complete = _centred(x, fs_hz)
        return centred * window, complete
    out, good = np.empty(x.shape, np.float32), np.empty(len(x), np.bool_)
    rows = np.ascontiguousarray(x)
    kernels.over_lines().tapered(rows, window, LARGEST_DEVIATION, out, good)
    odd = np.flatnonzero(~good)
    if odd.size:
        centred, good[odd] = _centred(x[odd], fs_hz)
        out[odd] = centred * window
    return out, good


def _centred(x: Floats, fs_hz: float) -> tuple[NDArray[np.float32], Bools]:
    """Rows without their mean, as float32, and which are complete; others are 0."""
    gap = np.isnan(x)
    if gap.any():
        x = bridge(x, fs_hz)
        gap = np.isnan(x)
    good: Bools = ~np.asarray(gap.any(axis=1))
    x = x if good.all() else np.where(good[:, None], x, 0.0)
    centred = x - x.mean(axis=1, keepdims=True)
    sane = np.maximum(centred.max(axis=1), -centred.min(axis=1)) <= LARGEST_DEVIATION
    if not sane.all():
        centred[~sane] = 0.0
    return centred.astype(np.float32), good & sane


def _power(tapered: NDArray[np.float32], plan: _Plan) -> NDArray[np.float32]:
    """`(B, n_known)` power of each bin."""
    lines = fft.rfft(tapered, axis=1)[:, : plan.n_lines]
    if kernels.worth_it(len(tapered)) and plan.most <= kernels.MOST_LINES:
        out = np.empty((len(lines), plan.n_known), np.float32)
        kernels.over_lines().bin_powers(lines, plan.first, plan.nyquist, out)
        return out
    power = lines.real**2
    power += lines.imag**2
    power[:, 0] *= 0.5
    if plan.nyquist:
        power[:, -1] *= 0.5
    if plan.n_known == plan.n_lines:
        return np.asarray(power, np.float32)
    return np.asarray(np.add.reduceat(power, plan.first, axis=1), np.float32)


def mean_bins(bins: Bins) -> tuple[Floats, Ints]:
    """Welch's estimate of each window: the mean of its complete segments.

    Parameters
    ----------
    bins : (B, S, n_bins) float32
        NaN rows for segments that are missing.

    Returns
    -------
    (B, n_bins) float64
        NaN where no segment knows the bin.
    (B,) int64
        Number of segments.
    """
    known = ~np.isnan(bins)
    total = np.zeros((bins.shape[0], bins.shape[2]))
    for i in range(bins.shape[1]):  # one after the other: the same order for every batch
        total += np.where(known[:, i], bins[:, i], 0.0)
    mean = divided(total, known.sum(axis=1).astype(np.float64))
    return mean, known.any(axis=2).sum(axis=1).astype(np.int64)


def band_power(mean: Floats, spec: SpectrumSpec, band: Band) -> Floats:
    """Power of a band in `(B, n_bins)` mean bins; NaN if half the rate lies inside it."""
    inside = slice(round(band.low_hz / spec.bin_hz), round(band.high_hz / spec.bin_hz))
    return np.asarray(np.ascontiguousarray(mean[:, inside]).sum(axis=1), np.float64)


def shape(mean: Floats, spec: SpectrumSpec) -> Shape:
    """Peak, centroid, 95 % edge and entropy of `(B, n_bins)` mean bins.

    Notes
    -----
    From `shape_from_hz` to the last known bin. The peak is refined by a parabola through it and
    its neighbours; the edge is interpolated inside its bin; the entropy is Shannon's, divided by
    the logarithm of the number of bins (Inouye et al. 1991, Electroenceph Clin Neurophysiol
    79:204).
    """
    first = round(spec.shape_from_hz / spec.bin_hz)
    part = np.ascontiguousarray(mean[:, first:])
    n_known = (~np.isnan(part)).sum(axis=1)
    part = np.where(np.isfinite(part), part, 0.0)
    total = part.sum(axis=1)
    lower_hz = (np.arange(part.shape[1]) + first) * spec.bin_hz - _FINE_HZ / 2.0
    middle_hz = lower_hz + spec.bin_hz / 2.0
    share = divided(part, total[:, None])
    centroid = (share * middle_hz).sum(axis=1)
    running = share.cumsum(axis=1)
    at = np.minimum((running < _EDGE_SHARE).sum(axis=1), part.shape[1] - 1)
    row = np.arange(part.shape[0])
    above = divided(running[row, at] - _EDGE_SHARE, share[row, at])
    edge = lower_hz[at] + spec.bin_hz * (1.0 - np.clip(above, 0.0, 1.0))
    return Shape(
        np.where(total > 0, middle_hz[0] + spec.bin_hz * _peak(part), np.nan),
        centroid,
        edge,
        _entropy(share, n_known),
    )


def _peak(part: Floats) -> Floats:
    """Place of the largest bin of each row, in bins, refined by a parabola."""
    row, last = np.arange(part.shape[0]), part.shape[1] - 1
    at = part.argmax(axis=1)
    here = part[row, at]
    left, right = part[row, np.maximum(at - 1, 0)], part[row, np.minimum(at + 1, last)]
    bend = 2.0 * here - left - right
    step = np.zeros(part.shape[0])
    inner = (at > 0) & (at < last) & (bend > 0)
    np.divide(0.5 * (right - left), bend, out=step, where=inner)
    return np.asarray(at + np.clip(step, -0.5, 0.5), np.float64)


def spectral_columns(bins: Bins, quality: Floats, spec: SpectrumSpec) -> dict[str, Column]:
    """Spectral features of B windows by catalogue name.

    Parameters
    ----------
    bins : (B, S, n_bins) float32
        Of the S segments of each window; NaN rows for missing ones and those below the gate.
    quality : (B,) float64
        0-1, mean over the window's segments.
    spec : SpectrumSpec

    Returns
    -------
    dict of str to Column
        `<signal>_spec_<band>_<unit>`, `_peak_hz`, `_centroid_hz`, `_edge95_hz`, `_entropy`; at
        least half of the segments.
    """
    powers, named, n = _looped(bins, spec) if kernels.worth_it(len(bins)) else _told(bins, spec)
    coverage = n / max(bins.shape[1], 1)
    values = {
        f"{spec.signal}_spec_{band.name}_{spec.suffix}": power
        for band, power in zip(spec.bands, powers, strict=True)
    }
    values |= {
        f"{spec.signal}_spec_{name}": value
        for name, value in zip(Shape._fields, named, strict=True)
    }
    return columns(values, quality, coverage, n)


def _told(bins: Bins, spec: SpectrumSpec) -> tuple[list[Floats], Shape, Ints]:
    """Band powers and shape of windows, and how many segments each has."""
    mean, n = mean_bins(bins)
    return [band_power(mean, spec, band) for band in spec.bands], shape(mean, spec), n


def _looped(bins: Bins, spec: SpectrumSpec) -> tuple[list[Floats], Shape, Ints]:
    """The same by a loop."""
    plan, n_rows = _reading(spec), len(bins)
    values, n = np.empty((len(spec.bands) + 3, n_rows)), np.empty((2, n_rows), np.int64)
    share = np.empty((n_rows, plan.lower_hz.size))
    asked = plan.first, spec.bin_hz, _EDGE_SHARE, plan.bands
    hz = plan.lower_hz, plan.middle_hz
    _loops().spectra(np.ascontiguousarray(bins), asked, hz, share, (values, n[0], n[1]))
    *powers, peak, centroid, edge = values
    return powers, Shape(peak, centroid, edge, _entropy(share, n[1])), n[0]


class _Reading(NamedTuple):
    """How the bins of a kind of spectrum are read."""

    first: int  # of the shape
    bands: Ints  # (bands, 2) first bin and the one after the last
    lower_hz: Floats  # of each bin of the shape
    middle_hz: Floats


@lru_cache(maxsize=8)
def _reading(spec: SpectrumSpec) -> _Reading:
    first = round(spec.shape_from_hz / spec.bin_hz)
    bands = [[round(edge / spec.bin_hz) for edge in (b.low_hz, b.high_hz)] for b in spec.bands]
    lower_hz = (np.arange(spec.n_bins - first) + first) * spec.bin_hz - _FINE_HZ / 2.0
    lower: Floats = np.asarray(lower_hz, np.float64)
    middle: Floats = np.asarray(lower_hz + spec.bin_hz / 2.0, np.float64)
    return _Reading(first, np.array(bands), lower, middle)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.spectrum_loops")


def _entropy(share: Floats, n_known: Ints) -> Floats:
    """Shannon's entropy of shares, 1 for equal ones."""
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    flat_entropy = np.log(np.maximum(n_known, 2))
    return np.asarray(np.clip(entropy / flat_entropy, 0.0, 1.0), np.float64)
