"""The pulse wave as detectors see it: gap-free stretches, band-passed, at 40 to 80 Hz.

A pulse wave has nothing above 8 Hz, so a faster one is averaged down first: that costs no
accuracy, and what follows costs a fifth at 250 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from features import filters, runs
from features.runs import Bools, Floats, Ints, Runs

MIN_FS_HZ: Final = 20.0
MAX_FS_HZ: Final = 5000.0
SHORTEST_RUN_S: Final = 2.0  # no interval between pulses can be trusted in less
BAND_HZ: Final = (0.5, 8.0)  # Elgendi et al. (2013), PLoS One 8:e76585
_ORDER: Final = 2
_LOWEST_INNER_HZ: Final = 40.0  # enough to place a wave of 8 Hz by a parabola
_PAD_S: Final = 1.0
# Median of |white noise| is 0.6745 of its deviation; a third difference has sqrt(20) times it.
_PER_MEDIAN: Final = 1.0 / (0.6745 * 20**0.5)
_ROUNDING: Final = 1e-9  # of the largest sample: below it a filter's output is its own error


class Wave(NamedTuple):
    """Gap-free rows at the inner rate; inner sample i lies at `i * factor + (factor - 1) / 2`."""

    raw: Floats  # (B, m) averaged down, in the signal's unit
    band: Floats  # (B, m) 0.5-8 Hz, zero-phase; 0 where it is only rounding
    slope: Floats  # (B, m) of `band`, per inner sample
    fs_hz: float  # inner rate
    factor: int  # samples per inner sample

    def noise(self) -> Floats:
        """Standard deviation of what is faster than any pulse in each row, (B,).

        Of the third differences: to white noise they add up as given, a pulse leaves few traces.
        """
        third = np.abs(np.diff(self.raw, 3, axis=1))
        middle = third.shape[1] // 2
        return np.partition(third, middle, axis=1)[:, middle] * _PER_MEDIAN

    def outer(self, inner: Floats | Ints) -> Floats:
        """Inner positions as positions among the samples given."""
        return np.asarray(inner, np.float64) * self.factor + (self.factor - 1) / 2


def usable_samples(x: Floats, fs_hz: float) -> tuple[Floats, Bools]:
    """Rows with the smallest holes bridged, and which samples are neither gap nor flat.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    bridged : (B, n_samples) float64
        `x` itself where nothing was missing.
    usable : (B, n_samples) bool
    """
    known = x == x
    if known.all():
        return x, ~runs.flat(x, fs_hz)
    bridged = runs.bridge(x, fs_hz)
    return bridged, ~np.isnan(bridged) & ~runs.flat(bridged, fs_hz)


def gap_free(x: Floats, usable: Bools, fs_hz: float) -> Iterator[Runs]:
    """Runs of at least 2 s, those of equal length together; whole rows are not copied."""
    shortest = round(SHORTEST_RUN_S * fs_hz)
    whole = usable.all(axis=1)
    if x.shape[1] >= shortest and whole.any():
        row = np.flatnonzero(whole)
        yield Runs(row, np.zeros(row.size, np.intp), x if whole.all() else x[row])
    broken = np.flatnonzero(~whole)
    if broken.size:
        for run in runs.runs_of(x[broken], usable[broken], shortest):
            yield run._replace(row=broken[run.row])


def pulse_wave(x: Floats, fs_hz: float) -> Wave:
    """Average down to 40-80 Hz where faster, band-pass, differentiate.

    Parameters
    ----------
    x : (B, n_samples) float64
        Gap-free, at least 2 s.
    fs_hz : float
        20 to 5000 Hz.

    Returns
    -------
    Wave

    Notes
    -----
    Butterworth of order 2 forwards and backwards, ends continued by odd reflection of 1 s.
    """
    raw, band = _raw_and_band(x, fs_hz)
    slope = np.empty_like(band)
    np.subtract(band[:, 2:], band[:, :-2], out=slope[:, 1:-1])
    slope[:, 1:-1] *= 0.5
    slope[:, 0], slope[:, -1] = band[:, 1] - band[:, 0], band[:, -1] - band[:, -2]
    factor = _factor(fs_hz)
    return Wave(raw, band, slope, fs_hz / factor, factor)


def pulse_band(x: Floats, fs_hz: float) -> tuple[Floats, float]:
    """`band` and `fs_hz` of `pulse_wave` alone."""
    return _raw_and_band(x, fs_hz)[1], fs_hz / _factor(fs_hz)


def _factor(fs_hz: float) -> int:
    return max(1, int(fs_hz / _LOWEST_INNER_HZ))


def _raw_and_band(x: Floats, fs_hz: float) -> tuple[Floats, Floats]:
    """The first two fields of a `Wave`."""
    factor = _factor(fs_hz)
    inner_hz = fs_hz / factor
    raw = _averaged(x, factor)
    sos = filters.band_pass(_ORDER, *BAND_HZ, inner_hz)
    assert sos is not None, "every rate from 20 Hz has the band"
    band = filters.zero_phase(sos, raw, round(_PAD_S * inner_hz))
    floor = _ROUNDING * np.maximum(raw.max(axis=1), -raw.min(axis=1))[:, None]
    only_rounding = np.maximum(band.max(axis=1), -band.min(axis=1))[:, None] <= floor
    return raw, np.where(only_rounding, 0.0, band) if only_rounding.any() else band


def _averaged(x: Floats, factor: int) -> Floats:
    """Mean of every `factor` samples; a rest at the end is dropped."""
    if factor == 1:
        return x
    m = x.shape[1] // factor
    total = x[:, 0 : m * factor : factor].copy()
    for k in range(1, factor):
        total += x[:, k : m * factor : factor]
    total *= 1.0 / factor
    return total
