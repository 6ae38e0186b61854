"""Beat-by-beat values of many windows become series at 4 Hz, ready for a spectrum.

Not here: the values themselves (`fiducials`), spectra (`spectrum`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.breathing.ragged import quartiles
from features.breathing.wave import WAVE_HZ
from features.runs import Bools, Floats, Ints

STEP_US: Final = round(1e6 / WAVE_HZ)
# Two beats further apart than this leave breathing unobserved between them (below 20 beats/min).
_LONGEST_STEP_US: Final = 3_000_000
_HELD_US: Final = 1_500_000  # before the first and after the last beat of a run
_OUTLIER: Final = 3.0  # quartile ranges beyond the median: 4 standard deviations of a normal


class EcgBeats(NamedTuple):
    """R peaks of B windows: `row` ascending, times ascending within a row, all (n_beats,)."""

    row: Ints
    time_us: Ints  # from the window's start
    peak: Floats  # `fiducials.edr_extremes`
    trough: Floats
    run: Ints  # gap-free run; no interval joins two


class Pulses(NamedTuple):
    """Pulses of B windows, as `EcgBeats`."""

    row: Ints
    time_us: Ints  # of the steepest upslope, from the window's start
    baseline: Floats  # `fiducials.pulse_levels`
    amplitude: Floats
    run: Ints


class Series(NamedTuple):
    """Values of one source at beats; a value that is not finite is no value."""

    row: Ints
    time_us: Ints
    value: Floats
    run: Ints


NO_ECG: Final = EcgBeats(
    np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.intp)
)
NO_PULSES: Final = Pulses(*NO_ECG)


def ecg_series(beats: EcgBeats) -> tuple[Series, Series, Series]:
    """R height, trough depth and RR interval (respiratory sinus arrhythmia) at R peaks."""
    row, time_us, peak, trough, run = beats
    heights = Series(row, time_us, peak, run)
    return heights, Series(row, time_us, trough, run), _intervals(row, time_us, run)


def ppg_series(pulses: Pulses) -> tuple[Series, Series, Series]:
    """Baseline, amplitude and interval of the pulses: the three respiratory modulations.

    Source: Charlton et al. (2018), IEEE Rev Biomed Eng 11:2 (names and definitions).
    """
    row, time_us, baseline, amplitude, run = pulses
    levels = Series(row, time_us, baseline, run)
    return levels, Series(row, time_us, amplitude, run), _intervals(row, time_us, run)


def on_grid(series: Series, n_rows: int, n_samples: int) -> Floats:
    """A source of every row at 4 Hz from the window's start, centred on the row's median.

    Parameters
    ----------
    series : Series
    n_rows, n_samples : int

    Returns
    -------
    (n_rows, n_samples) float64
        Straight lines between beats of one run at most 3 s apart, the outermost values held for
        1.5 s; values beyond 3 quartile ranges from the median are held there. NaN elsewhere.
    """
    series = _chosen(series, np.isfinite(series.value))
    value = _centred(series, n_rows)
    grid_us = np.arange(n_samples) * STEP_US
    if value.size == 0:
        return np.full((n_rows, n_samples), np.nan)
    before = _last_beat(series, n_rows, n_samples)
    after = before + 1
    rows = np.arange(n_rows)[:, None]
    left, right = before.clip(0), after.clip(max=value.size - 1)
    has_left = (before >= 0) & (series.row[left] == rows)
    has_right = (after < value.size) & (series.row[right] == rows)
    since_us = np.where(has_left, grid_us - series.time_us[left], _HELD_US + 1)
    until_us = np.where(has_right, series.time_us[right] - grid_us, _HELD_US + 1)
    step_us = since_us + until_us
    joined = has_left & has_right & (series.run[left] == series.run[right])
    joined &= step_us <= _LONGEST_STEP_US
    share = since_us / np.maximum(step_us, 1)
    line = value[left] + share * (value[right] - value[left])
    nearer = np.where(since_us <= until_us, value[left], value[right])
    held = np.where(np.minimum(since_us, until_us) <= _HELD_US, nearer, np.nan)
    return np.where(joined, line, held)


def _intervals(row: Ints, time_us: Ints, run: Ints) -> Series:
    """Seconds from the beat before, at each beat that follows one of the same run."""
    follows = (row[1:] == row[:-1]) & (run[1:] == run[:-1])
    at = np.flatnonzero(follows) + 1
    return Series(row[at], time_us[at], (time_us[at] - time_us[at - 1]) / 1e6, run[at])


def _chosen(series: Series, kept: Bools) -> Series:
    """The series without what is not kept."""
    if kept.all():
        return series
    row, time_us, value, run = series
    return Series(row[kept], time_us[kept], value[kept], run[kept])


def _centred(series: Series, n_rows: int) -> Floats:
    """Values minus their row's median, outliers held to 3 quartile ranges."""
    low, middle, high = quartiles(series.value, series.row, n_rows)
    reach = (_OUTLIER * (high - low))[series.row]
    return np.asarray((series.value - middle[series.row]).clip(-reach, reach), np.float64)


def _last_beat(series: Series, n_rows: int, n_samples: int) -> Ints:
    """Index of the last beat at or before each grid point; of an earlier row if there is none."""
    slot = -(-series.time_us // STEP_US)
    slot = series.row * (n_samples + 1) + slot.clip(0, n_samples)
    passed = np.cumsum(np.bincount(slot, minlength=n_rows * (n_samples + 1)))
    return passed.reshape(n_rows, n_samples + 1)[:, :n_samples] - 1
