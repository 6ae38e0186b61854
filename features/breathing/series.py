"""Beat-by-beat values of many windows become series at 4 Hz, ready for a spectrum.

Not here: the values themselves (`fiducials`), spectra (`spectrum`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.breathing.ragged import quartiles
from features.breathing.wave import WAVE_HZ
from features.ecg import kernels
from features.runs import Floats, Ints

STEP_US: Final = round(1e6 / WAVE_HZ)
# Two beats further apart than this leave breathing unobserved between them (below 20 beats/min).
_LONGEST_STEP_US: Final = 3_000_000
_HELD_US: Final = 1_500_000  # before the first and after the last beat of a run
_FAR_US: Final = 1 << 40  # no beat on that side
_OUTLIER: Final = 3.0  # quartile ranges beyond the median: 4 standard deviations of a normal


class EcgBeats(NamedTuple):
    """R peaks of B windows: `row` ascending, times ascending within a row, all (n_beats,)."""

    row: Ints
    time_us: Ints  # from the window's start
    peak: Floats  # `fiducials.edr_extremes`; or peak minus trough where only that is known
    trough: Floats  # and then 0: a source that never varies is no source
    run: Ints  # gap-free run; no interval joins two


class Pulses(NamedTuple):
    """Pulses of B windows, as `EcgBeats`."""

    row: Ints
    time_us: Ints  # of the steepest upslope, from the window's start
    baseline: Floats  # as `features.ppg.pulses.Pulses`
    amplitude: Floats
    run: Ints


class Series(NamedTuple):
    """Values of sources at the same beats; a beat of which any is not finite does not count."""

    row: Ints
    time_us: Ints
    run: Ints
    values: tuple[Floats, ...]


NO_ECG: Final = EcgBeats(
    np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.intp)
)
NO_PULSES: Final = Pulses(*NO_ECG)


def ecg_series(beats: EcgBeats) -> tuple[Series, Series]:
    """R height and trough depth at R peaks; RR interval (respiratory sinus arrhythmia)."""
    row, time_us, peak, trough, run = beats
    return Series(row, time_us, run, (peak, trough)), _intervals(row, time_us, run)


def ppg_series(pulses: Pulses) -> tuple[Series, Series]:
    """Baseline and amplitude of the pulses; pulse interval: the three respiratory modulations.

    Source: Charlton et al. (2018), IEEE Rev Biomed Eng 11:2 (names and definitions).
    """
    row, time_us, baseline, amplitude, run = pulses
    return Series(row, time_us, run, (baseline, amplitude)), _intervals(row, time_us, run)


def on_grid(series: Series, n_rows: int, n_samples: int) -> tuple[Floats, ...]:
    """Sources of every row at 4 Hz from the window's start, centred on the row's median.

    Parameters
    ----------
    series : Series
    n_rows, n_samples : int

    Returns
    -------
    tuple of (n_rows, n_samples) float64
        One per source: straight lines between beats of one run at most 3 s apart, the outermost
        values held for 1.5 s; values beyond 3 quartile ranges from the median are held there.
        NaN elsewhere.
    """
    series = _complete(series)
    if series.row.size == 0:
        return tuple(np.full((n_rows, n_samples), np.nan) for _ in series.values)
    if kernels.worth_it(n_rows):
        return _looped(series, n_rows, n_samples)
    grid_us = np.arange(n_samples) * STEP_US
    before = _last_beat(series, n_rows, n_samples)
    rows = np.arange(n_rows)[:, None]
    left, right = before.clip(0), (before + 1).clip(max=series.row.size - 1)
    has_left = (before >= 0) & (series.row[left] == rows)
    has_right = (before + 1 < series.row.size) & (series.row[right] == rows)
    since_us = np.where(has_left, grid_us - series.time_us[left], _FAR_US)
    until_us = np.where(has_right, series.time_us[right] - grid_us, _FAR_US)
    step_us = since_us + until_us
    joined = has_left & has_right & (series.run[left] == series.run[right])
    joined &= step_us <= _LONGEST_STEP_US
    # Beats of other rows must not enter, not even multiplied by nought.
    left, right = np.where(has_left, left, right), np.where(has_right, right, left)
    # Where no line joins two beats, the nearer one stands for a while.
    share = np.where(joined, since_us / np.maximum(step_us, 1), since_us > until_us)
    share[~joined & (np.minimum(since_us, until_us) > _HELD_US)] = np.nan
    out = []
    for value in series.values:
        centred = _centred(value, series.row, n_rows)
        start = centred[left]
        out.append(start + share * (centred[right] - start))
    return tuple(out)


def _looped(series: Series, n_rows: int, n_samples: int) -> tuple[Floats, ...]:
    """The same by a loop."""
    out = np.empty((len(series.values), n_rows, n_samples))
    spec = STEP_US, _LONGEST_STEP_US, _HELD_US, _OUTLIER
    _loops().on_grid(series[:3], np.stack(series.values), spec, out)
    return tuple(out)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.window_loops")


def _intervals(row: Ints, time_us: Ints, run: Ints) -> Series:
    """Seconds from the beat before, at each beat that follows one of the same run."""
    follows = (row[1:] == row[:-1]) & (run[1:] == run[:-1])
    at = np.flatnonzero(follows) + 1
    return Series(row[at], time_us[at], run[at], ((time_us[at] - time_us[at - 1]) / 1e6,))


def _complete(series: Series) -> Series:
    """The series without beats that lack a value."""
    kept = np.ones(series.row.size, np.bool_)
    for value in series.values:
        kept &= np.isfinite(value)
    if kept.all():
        return series
    row, time_us, run, values = series
    return Series(row[kept], time_us[kept], run[kept], tuple(value[kept] for value in values))


def _centred(value: Floats, row: Ints, n_rows: int) -> Floats:
    """Values minus their row's median, outliers held to 3 quartile ranges."""
    low, middle, high = quartiles(value, row, n_rows)
    reach = (_OUTLIER * (high - low))[row]
    return np.asarray((value - middle[row]).clip(-reach, reach), np.float64)


def _last_beat(series: Series, n_rows: int, n_samples: int) -> Ints:
    """Index of the last beat at or before each grid point; of an earlier row if there is none."""
    slot = -(-series.time_us // STEP_US)
    slot = series.row * (n_samples + 1) + slot.clip(0, n_samples)
    passed = np.cumsum(np.bincount(slot, minlength=n_rows * (n_samples + 1)))
    return passed.reshape(n_rows, n_samples + 1)[:, :n_samples] - 1
