"""The pulse wave as detectors see it: gap-free stretches, band-passed, at 40 to 80 Hz.

A pulse wave has nothing above 8 Hz, so a faster one is averaged down first: that costs no
accuracy, and what follows costs a fifth at 250 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from scipy import ndimage

from features import filters, lanes, runs
from features.ecg import kernels
from features.runs import Bools, Floats, Ints, Runs

MIN_FS_HZ: Final = 20.0
MAX_FS_HZ: Final = 5000.0
SHORTEST_RUN_S: Final = 2.0  # no interval between pulses can be trusted in less
BAND_HZ: Final = (0.5, 8.0)  # Elgendi et al. (2013), PLoS One 8:e76585
_ORDER: Final = 2
_LOWEST_INNER_HZ: Final = 40.0  # enough to place a wave of 8 Hz by a parabola
_PAD_S: Final = 1.0
# An electric spike or step leaves the high-pass swinging for a second. A pulse climbs at most 15
# times its height in a second, and goes up and down again in more than 0.03 s.
_JUMP: Final = 0.8  # of the usual height, from one sample to the next
_SPIKE_S: Final = 0.06  # the median over it keeps edges and removes what is half as long
_FLANK: Final = 0.15  # of a spike's height
# A step is a jump after which the level stays. In noise large jumps follow on small ones back: were
# they taken out by themselves, the level would walk away by many times a pulse's height.
_LEVEL_S: Final = 0.06
_STAYS: Final = 0.5  # of the jump
_FEWEST_OF_BURST: Final = 3  # jumps
_BURST_S: Final = 0.2  # between them
_USUAL_SHARE: Final = 0.7  # of the heights of a row's seconds: at 25/min most rise nowhere
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
        if kernels.worth_it(len(self.raw)):
            third = np.empty((len(self.raw), self.raw.shape[1] - 3))
            kernels.over_pulse_waves().third_differences(np.ascontiguousarray(self.raw), third)
        else:
            third = np.abs(np.diff(self.raw, 3, axis=1))
        middle = third.shape[1] // 2
        return np.partition(third, middle, axis=1)[:, middle] * _PER_MEDIAN

    def outer(self, inner: Floats | Ints) -> Floats:
        """Inner positions as positions among the samples given."""
        return np.asarray(inner, np.float64) * self.factor + (self.factor - 1) / 2


def averaged_away(x: Floats, fs_hz: float) -> Floats:
    """How far samples that are averaged into one usually lie apart, (B,); 0 where none are.

    A pulse moves little in so short a time. Mains hum does, and what is left of it in the means may
    be as slow as a heart and as regular.

    Parameters
    ----------
    x : (B, n_samples) float64
        Gap-free, at least 2 s.
    fs_hz : float
    """
    factor = _factor(fs_hz)
    if factor == 1:
        return np.zeros(len(x))
    m = x.shape[1] // factor
    apart = np.abs(x[:, factor // 2 :: factor][:, :m] - x[:, ::factor][:, :m])
    return np.asarray(np.partition(apart, m // 2, axis=1)[:, m // 2], np.float64)


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
    raw = _averaged(_without_jumps(x, fs_hz), factor)
    sos = filters.band_pass(_ORDER, *BAND_HZ, inner_hz)
    assert sos is not None, "every rate from 20 Hz has the band"
    band = filters.zero_phase(sos, raw, round(_PAD_S * inner_hz))
    floor = _ROUNDING * np.maximum(raw.max(axis=1), -raw.min(axis=1))[:, None]
    only_rounding = np.maximum(band.max(axis=1), -band.min(axis=1))[:, None] <= floor
    return raw, np.where(only_rounding, 0.0, band) if only_rounding.any() else band


def _without_jumps(x: Floats, fs_hz: float) -> Floats:
    """Rows with straight lines for spikes of up to 0.03 s, and without the steps that remain."""
    width = max(1, round(fs_hz))
    whole = max(1, x.shape[1] // width)
    if kernels.worth_it(len(x)) and x.shape[1] >= width:
        heights, steepest = lanes.heights(x, width)
    else:
        seconds = x[:, : whole * width].reshape(len(x), whole, -1)
        heights = seconds.max(axis=2) - seconds.min(axis=2)
        steepest = np.abs(np.diff(x, axis=1)).max(axis=1)
    most = _JUMP * np.sort(heights, axis=1)[:, int(_USUAL_SHARE * (whole - 1))]
    odd = np.flatnonzero((most > 0) & (steepest > most))
    if not odd.size:
        return x
    out = x.copy()
    out[odd] = _level(_bridged(x[odd], most[odd], fs_hz), most[odd], fs_hz)
    return out


def _bridged(x: Floats, most: Floats, fs_hz: float) -> Floats:
    """Rows with straight lines for what goes up and down again at once."""
    out, longest, last = x.copy(), round(_SPIKE_S * fs_hz) // 2, x.shape[1] - 1
    off = np.abs(x - ndimage.median_filter(x, (1, 2 * longest + 1), mode="mirror"))
    for r, start, stop in zip(*runs.spans(off > most[:, None]), strict=True):
        ends = [at for at in (start - 1, stop) if 0 <= at <= last]
        if stop - start > longest or not ends:
            continue
        if max(off[r, at] for at in ends) < _FLANK * off[r, start:stop].max():
            out[r, start:stop] = np.interp(np.arange(start, stop), ends, x[r, ends])
    return out


def _level(x: Floats, most: Floats, fs_hz: float) -> Floats:
    """Rows that go on after each step where they were before it; noise stays as it is."""
    out, near = x.copy(), max(3, round(_LEVEL_S * fs_hz))
    large = np.abs(np.diff(x, axis=1, prepend=x[:, :1])) > most[:, None]
    for r in np.flatnonzero(large.any(axis=1)).tolist():
        step = np.zeros(x.shape[1])
        for jumps in _parted(np.flatnonzero(large[r]), round(_BURST_S * fs_hz)):
            if jumps.size >= _FEWEST_OF_BURST:
                step[jumps] = _together(x[r], jumps, near, float(most[r]))
                continue
            for pair in _parted(jumps, near):
                step[pair] = _apart(x[r], pair, near, float(most[r]))
        out[r] -= np.cumsum(step)
    return out


def _parted(at: Ints, reach: int) -> list[Ints]:
    """Samples in groups whose neighbours lie within reach."""
    return np.split(at, np.flatnonzero(np.diff(at) > reach) + 1)


def _together(x: Floats, at: Ints, near: int, most: float) -> Floats:
    """What the level is moved by a burst, shared among its jumps by their size."""
    size = np.abs(x[at] - x[at - 1])
    moved = _moved(x, at, near)
    return np.asarray((moved if abs(moved) > most else 0.0) * (size / size.sum()), np.float64)


def _apart(x: Floats, at: Ints, near: int, most: float) -> Floats:
    """One jump if the level stays; two next to each other, and of both together what stays."""
    step, moved = x[at] - x[at - 1], _moved(x, at, near)
    if at.size == 1:
        return step if np.sign(step[0]) * moved >= _STAYS * abs(step[0]) else np.zeros(1)
    return np.asarray(step - step.sum() / step.size + _together(x, at, near, most), np.float64)


def _moved(x: Floats, at: Ints, near: int) -> float:
    """Level of a row after the last of some jumps less that before the first."""
    before, after = x[max(at[0] - near, 0) : at[0]], x[at[-1] : at[-1] + near]
    return float(np.median(after) - np.median(before))


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
