"""Movement over hours and nights, from one row per 300 s: nothing here goes back to samples.

Not here: windows of 60 and 300 s (`features.motion.windows`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.column import Column
from features.feature import FeatureReason
from features.intervals import Floats
from features.lean import number_or
from features.motion.windows import HIGH, LOW, MEAN, SD, Number
from features.segment_rows import column, divided, row_extreme, row_median, row_total

# What a device on a table shows: van Hees et al. (2013), PLoS One 8:e61691.
_NONWEAR_SD_G: Final = 0.013
_NONWEAR_RANGE_G: Final = 0.05
_NONWEAR_AXES: Final = 2
# Numbers of a 300-s row: n, mean (3), variance (3), lowest (3), highest (3), coverage.
N_ROW: Final = 14
_N, _COVERAGE = 0, 13
_ROW_MEAN, _ROW_VAR, _ROW_LOW, _ROW_HIGH = (slice(1 + 3 * i, 4 + 3 * i) for i in range(4))
_LEAST_WORN_COVERAGE: Final = 0.9  # a person may move in the rest
_FEWEST_ASLEEP: Final = 12  # rows, one hour


def motion_row(numbers: Floats) -> Floats:
    """What an hour needs to know of 300 s: `(B, 14)` from `(B, S, 21)` epochs.

    Samples, per axis mean, variance (ddof 0), lowest and highest value, and coverage; the mean
    and variance are of all samples together.
    """
    n = number_or(numbers[:, :, Number.N])
    total = row_total(n)
    out = np.full((numbers.shape[0], N_ROW), np.nan)
    out[:, _N] = total
    out[:, _COVERAGE] = row_total(numbers[:, :, Number.COVERAGE]) / max(numbers.shape[1], 1)
    for axis in range(3):
        mean, sd = numbers[:, :, MEAN.start + axis], numbers[:, :, SD.start + axis]
        out[:, 1 + axis], out[:, 4 + axis] = _pooled(n, mean, sd**2)
        out[:, 7 + axis] = row_extreme(numbers[:, :, LOW.start + axis], largest=False)
        out[:, 10 + axis] = row_extreme(numbers[:, :, HIGH.start + axis], largest=True)
    return out


def nonwear_column(rows: Floats, quality: Floats) -> Column:
    """Whether the device was off the body (1) for the last hour or worn (0).

    Parameters
    ----------
    rows : (B, 12, 14) float64
        `motion_row` of twelve successive 300 s; NaN for missing ones.
    quality : (B,) float64

    Returns
    -------
    Column
        At least 0.9 of the hour recorded, else `GAP`: a person could have moved in the rest.
        An hour in which two axes moved is known to be worn from half of it.

    Notes
    -----
    Off: SD below 13 mg and range below 50 mg on at least two of three axes over 60 minutes
    (van Hees et al. 2013, PLoS One 8:e61691).
    Checked against: ``tests/features/motion/test_day.py``.
    """
    n = number_or(rows[:, :, _N])
    quiet = np.zeros(rows.shape[0])
    for axis in range(3):
        mean, variance = rows[:, :, _ROW_MEAN.start + axis], rows[:, :, _ROW_VAR.start + axis]
        sd = np.sqrt(_pooled(n, mean, variance)[1])
        low = row_extreme(rows[:, :, _ROW_LOW.start + axis], largest=False)
        high = row_extreme(rows[:, :, _ROW_HIGH.start + axis], largest=True)
        quiet += (sd < _NONWEAR_SD_G) & (high - low < _NONWEAR_RANGE_G)
    coverage = row_total(rows[:, :, _COVERAGE]) / max(rows.shape[1], 1)
    total = row_total(n)
    off = np.where(total > 0, (quiet >= _NONWEAR_AXES).astype(np.float64), np.nan)
    out = column(off, quality, coverage, total)
    unsure = (out.value == 1.0) & (coverage < _LEAST_WORN_COVERAGE)
    out.value[unsure] = np.nan
    out.reason[unsure] = FeatureReason.GAP
    return out


def night_columns(hr_bpm: Floats, rmssd_ms: Floats, asleep: Floats) -> dict[str, Column]:
    """Median heart rate and RMSSD of the sleep of the last day.

    Parameters
    ----------
    hr_bpm, rmssd_ms, asleep : (B, R) float64
        Of R successive 300-s rows (288 in a day); `asleep` 1, 0 or NaN.

    Returns
    -------
    dict of str to Column
        `ecg_night_hr_bpm`, `ecg_night_rmssd_ms`; at least twelve rows asleep with a value, else
        `UNDEFINED` (`GAP` if less than half of the day was judged). `coverage` is the share of
        the rows asleep that had a value.
    """
    slept = asleep == 1.0
    judged = (~np.isnan(asleep)).sum(axis=1) / max(asleep.shape[1], 1)
    out = {}
    for name, values in (("ecg_night_hr_bpm", hr_bpm), ("ecg_night_rmssd_ms", rmssd_ms)):
        chosen = np.where(slept, values, np.nan)
        n = (~np.isnan(chosen)).sum(axis=1)
        median = np.where(n >= _FEWEST_ASLEEP, row_median(chosen), np.nan)
        share = number_or(divided(n * 1.0, slept.sum(axis=1) * 1.0))
        out[name] = column(median, share, judged, n)
    return out


def _pooled(n: Floats, mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of all samples from those of their groups, `(B, S)` each."""
    n = np.where(np.isnan(mean), 0.0, n)
    total = row_total(n)
    centre = divided(row_total(n * mean), total)
    within = row_total(n * variance)
    between = row_total(n * (mean - centre[:, None]) ** 2)
    return centre, divided(within + between, total)
