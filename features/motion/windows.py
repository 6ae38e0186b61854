"""Movement of a window of 60 or 300 s from its 10 s epochs.

Not here: the epochs (`features.motion.epochs`), hours and nights (`features.motion.day`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from features.column import Column
from features.intervals import Bools, Floats
from features.lean import number_or
from features.motion.epochs import MotionEpochs
from features.segment_rows import column, columns, divided, row_mean, row_total


class Number(IntEnum):
    """Place of each number in an epoch's vector."""

    N = 0
    COVERAGE = 1
    ENMO_MG = 2
    MAD_MG = 3
    MEAN_X = 4
    MEAN_Y = 5
    MEAN_Z = 6
    SD_X = 7
    SD_Y = 8
    SD_Z = 9
    LOW_X = 10
    LOW_Y = 11
    LOW_Z = 12
    HIGH_X = 13
    HIGH_Y = 14
    HIGH_Z = 15
    STILL = 16
    COUNTS = 17
    STEPS = 18
    STEP_INTERVALS = 19
    GAIT_S = 20


MEAN: Final = slice(Number.MEAN_X, Number.MEAN_Z + 1)
SD: Final = slice(Number.SD_X, Number.SD_Z + 1)
LOW: Final = slice(Number.LOW_X, Number.LOW_Z + 1)
HIGH: Final = slice(Number.HIGH_X, Number.HIGH_Z + 1)
# Steeper than this the axis through the trunk is nearer to upright than half way to a recliner.
LYING_TILT_DEG: Final = 60.0
_EPOCH_S: Final = 10.0
_MINUTE_EPOCHS: Final = 6
# Cole, Kripke et al. (1992), Sleep 15:461: four minutes before, this one, two after; counts in
# hundreds, at most 300, as ActiGraph publishes its version.
_BEFORE_AND_NOW: Final = np.array([106.0, 54.0, 58.0, 76.0, 230.0])
_AFTER: Final = 74.0 + 67.0
_PER_COUNT: Final = 100.0
_MOST_SCORED: Final = 300.0
_WAKE: Final = 1000.0  # weighted sum from which a minute is awake


def numbers_of(epochs: MotionEpochs) -> Floats:
    """`(B, 21)` vectors to keep per epoch, in the order of `Number`."""
    return np.ascontiguousarray(
        np.column_stack(
            [
                epochs.n,
                epochs.coverage,
                epochs.enmo_mg,
                epochs.mad_mg,
                epochs.mean_g,
                epochs.sd_g,
                epochs.low_g,
                epochs.high_g,
                epochs.still,
                epochs.counts,
                epochs.steps,
                epochs.step_intervals,
                epochs.gait_s,
            ]
        )
    )


def motion_columns(numbers: Floats, quality: Floats) -> dict[str, Column]:
    """Features of movement by catalogue name.

    Parameters
    ----------
    numbers : (B, S, 21) float64
        Vectors of the S epochs of each window, in time order; NaN for missing ones.
    quality : (B,) float64
        0-1, mean over the window's epochs.

    Returns
    -------
    dict of str to Column
        At least half of the window with all three axes. Counts are per minute over complete
        epochs; steps are those seen, lost time adds none; cadence is over the time of the bouts
        and `UNDEFINED` without one.

    Notes
    -----
    ENMO and MAD: means over samples, MAD about the mean of each 10 s. Tilt: angle of the z axis
    above the horizontal, of the mean vector. Lying: epochs tilted by 60° or more either way,
    which holds for a sensor on the chest; lying on the side is not seen.
    Checked against: ``tests/features/motion/test_windows.py``.
    """
    n = number_or(numbers[:, :, Number.N])
    total = row_total(n)
    coverage = row_total(numbers[:, :, Number.COVERAGE]) / max(numbers.shape[1], 1)
    mean = [_weighted(n, numbers[:, :, MEAN.start + axis]) for axis in range(3)]
    tilt = np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1])))
    seen_min = row_total(numbers[:, :, Number.COVERAGE]) * (_EPOCH_S / 60.0)
    steps = row_total(numbers[:, :, Number.STEPS])
    gait_s = row_total(numbers[:, :, Number.GAIT_S])
    values = {
        "acc_enmo_mg": _weighted(n, numbers[:, :, Number.ENMO_MG]),
        "acc_mad_mg": _weighted(n, numbers[:, :, Number.MAD_MG]),
        "acc_tilt_deg": tilt,
        "acc_lying_pct": 100.0 * row_mean(_lying(numbers)),
        "acc_counts": row_mean(numbers[:, :, Number.COUNTS]) * _MINUTE_EPOCHS,
        "acc_steps": np.where(seen_min > 0, steps, np.nan),
        "acc_cadence_per_min": divided(
            60.0 * row_total(numbers[:, :, Number.STEP_INTERVALS]), gait_s
        ),
        "acc_still_pct": 100.0 * row_mean(numbers[:, :, Number.STILL]),
    }
    return columns(values, quality, coverage, total)


def sleep_column(numbers: Floats, quality: Floats) -> Column:
    """Whether the last minute of each window was slept (1) or not (0).

    Parameters
    ----------
    numbers : (B, 30, 21) float64
        Epochs of 300 s.
    quality : (B,) float64

    Returns
    -------
    Column
        Every one of the five minutes needs half of its epochs; else `UNDEFINED`.

    Notes
    -----
    Cole and Kripke weigh seven minutes of which two have not come yet; the causal form weighs
    the five known ones up to the same sum, so that steady activity is judged as before. `n` is
    the number of minutes.
    """
    counts = numbers[:, :, Number.COUNTS]
    minutes = minute_counts(counts)
    known = ~np.isnan(minutes)
    coverage = row_total(numbers[:, :, Number.COVERAGE]) / max(numbers.shape[1], 1)
    return column(asleep(minutes), quality, coverage, known.sum(axis=1))


def minute_counts(counts: Floats) -> Floats:
    """`(B, S/6)` counts per minute of `(B, S)` epochs; NaN with fewer than three of six."""
    n_rows, n_minutes = counts.shape[0], counts.shape[1] // _MINUTE_EPOCHS
    by_minute = counts[:, : n_minutes * _MINUTE_EPOCHS].reshape(-1, _MINUTE_EPOCHS)
    enough = (~np.isnan(by_minute)).sum(axis=1) >= _MINUTE_EPOCHS // 2
    mean = np.where(enough, row_mean(by_minute), np.nan)
    return np.asarray((mean * _MINUTE_EPOCHS).reshape(n_rows, n_minutes), np.float64)


def asleep(minutes: Floats) -> Floats:
    """1 asleep, 0 awake, of `(B, 5)` counts of the last five minutes; NaN if one is missing."""
    weights = _BEFORE_AND_NOW * (1.0 + _AFTER / _BEFORE_AND_NOW.sum())
    scaled = np.minimum(minutes / _PER_COUNT, _MOST_SCORED) * weights
    score = scaled.sum(axis=1)
    return np.where(np.isnan(score), np.nan, (score < _WAKE).astype(np.float64))


def _lying(numbers: Floats) -> Floats:
    """1 or 0 per epoch, NaN where unknown."""
    x, y, z = (numbers[:, :, MEAN.start + axis] for axis in range(3))
    flat: Bools = np.abs(z) >= np.tan(np.radians(LYING_TILT_DEG)) * np.hypot(x, y)
    return np.where(np.isnan(x + y + z), np.nan, flat.astype(np.float64))


def _weighted(n: Floats, value: Floats) -> Floats:
    """Mean over samples of numbers that are means over an epoch's samples."""
    return divided(row_total(n * value), row_total(np.where(np.isnan(value), 0.0, n)))
