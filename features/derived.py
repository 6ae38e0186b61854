"""Numbers made of several signals.

Shock index, heart rate over steps, heart rate that movement does not explain. Not here: NEWS2
and its parts (`models.news2`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.column import Column
from features.intervals import Bools, Floats
from features.lean import number_or
from features.segment_rows import column, divided

# A cuff is read every 15 min to 4 h on a ward; an older pressure is another patient's state.
OLDEST_SBP_S: Final = 4 * 3600.0
_LOWEST_SBP_MMHG: Final = 30.0
_HIGHEST_SBP_MMHG: Final = 300.0
# Movement acts on the heart within a minute and for some minutes after.
_QUICK_S: Final = 60.0
_SLOW_S: Final = 600.0
_SOFT_MG: Final = 20.0  # of movement, above which a doubling adds as much again
_LONGEST_BREAK_S: Final = 1800.0  # after it the last minutes' movement is not known
_N: Final = 3
_UPPER: Final = np.triu_indices(_N)
# A heart at rest, and what a log unit of movement adds: wide, the person soon takes over.
_PRIOR: Final = np.array([74.0, 8.0, 5.0])
_PRIOR_SD: Final = np.array([13.0, 6.0, 6.0])
_SCATTER_BPM: Final = 7.0
_CORRELATED_S: Final = 300.0  # deviations this far apart are taken as independent
_DRIFT_PER_H: Final = 0.004  # of the scatter squared: about five hours of memory
_DIAGONAL: Final = [0, 3, 5]  # of the upper half
_MOST_SURPRISE: Final = 2.5
_POSSIBLE_BPM: Final = (10.0, 350.0)


class MotionHeartState(NamedTuple):
    """State of B patients: 12 numbers each."""

    coefficients: Floats  # (B, 3) at rest, quick and slow response to movement
    covariance: Floats  # (B, 6) upper half
    quick: Floats  # (B,) running mean of log movement over a minute
    slow: Floats  # (B,) over ten minutes
    last_us: NDArray[np.int64]  # (B,) -1 for none


def shock_index(hr_bpm: Floats, hr_quality: Floats, sbp_mmhg: Floats, sbp_age_s: Floats) -> Column:
    """Heart rate over systolic pressure.

    Parameters
    ----------
    hr_bpm, hr_quality : (B,) float64
        Of the window; NaN where missing.
    sbp_mmhg, sbp_age_s : (B,) float64
        Last pressure known then and its age at the window's end; NaN where there is none.

    Returns
    -------
    Column
        `shock_index`, 1/(min mmHg). Coverage is 1 where both are there, else 0; quality is that
        of the heart rate, falling to 0 as the pressure reaches 4 h, from where it is not used.

    Notes
    -----
    Source: Allgöwer and Burri (1967), Dtsch Med Wochenschr 92:1947; above 0.9 in shock.

    Examples
    --------
    >>> one = [np.array([x]) for x in (100.0, 1.0, 80.0, 0.0)]
    >>> shock_index(*one).value.tolist()
    [1.25]
    """
    fresh_sbp = (sbp_age_s >= 0) & (sbp_age_s <= OLDEST_SBP_S)
    usable = fresh_sbp & (sbp_mmhg >= _LOWEST_SBP_MMHG) & (sbp_mmhg <= _HIGHEST_SBP_MMHG)
    both = usable & ~np.isnan(hr_bpm)
    value = np.where(both, divided(hr_bpm, np.where(usable, sbp_mmhg, 0.0)), np.nan)
    quality = hr_quality * (1.0 - number_or(sbp_age_s) / OLDEST_SBP_S)
    return column(value, quality, both.astype(np.float64), both)


def heart_over_steps(hr_bpm: Floats, steps: Floats, minutes: float, quality: Floats) -> Column:
    """`hros`: heart rate over (steps per minute + 1).

    Parameters
    ----------
    hr_bpm, steps, quality : (B,) float64
        Heart rate of the window and the steps in it; NaN where missing.
    minutes : float
        Length of the window.

    Returns
    -------
    Column
        Coverage 1 where both are there, else 0.

    Notes
    -----
    After HROS-AD of Mishra et al. (2020), Nat Biomed Eng 4:1208; one step is added so that rest
    has a value, the heart rate itself.
    """
    both = ~np.isnan(hr_bpm) & ~np.isnan(steps)
    value = np.where(both, hr_bpm / (number_or(steps) / minutes + 1.0), np.nan)
    return column(value, quality, both.astype(np.float64), both)


def fresh(n_rows: int) -> MotionHeartState:
    """State of patients not seen yet."""
    prior = np.diag(_PRIOR_SD**2)[_UPPER]
    return MotionHeartState(
        np.tile(_PRIOR, (n_rows, 1)),
        np.tile(prior, (n_rows, 1)),
        np.zeros(n_rows),
        np.zeros(n_rows),
        np.full(n_rows, -1, np.int64),
    )


def unexplained(
    state: MotionHeartState,
    hr_bpm: Floats,
    movement_mg: Floats,
    end_us: NDArray[np.int64],
    learn: Bools,
) -> tuple[MotionHeartState, Floats, Floats]:
    """Heart rate beyond what the person's movement of the last minutes explains.

    Parameters
    ----------
    state : MotionHeartState
        Of B patients.
    hr_bpm : (B,) float64
        Of a window that ends at `end_us`, about a minute long; NaN where missing.
    movement_mg : (B,) float64
        ENMO or MAD of the same window, always the same one of the two; NaN where missing.
    end_us : (B,) int64
        Ascending per patient.
    learn : (B,) bool
        The values passed the gate and no alert is open.

    Returns
    -------
    MotionHeartState
    (B,) float64
        `hr_unexplained_bpm`: heart rate less the rate expected; NaN without heart rate or
        movement.
    (B,) float64
        The rate expected, 1/min; NaN likewise.

    Notes
    -----
    Recursive least squares of heart rate on 1, the movement (logarithm of 1 + mg / 20, smoothed
    over one minute) and that of the last ten, with a prior and a memory of about five hours, so
    that a lasting tachycardia stays visible; single values move it by 2.5 SD at most.
    Checked against: ``tests/features/test_derived.py``.
    """
    new, gap_s = _moved(state, movement_mg, end_us)
    basis = np.column_stack([np.ones(len(hr_bpm)), new.quick, new.slow])
    covariance = _drifted(state.covariance, gap_s)
    gain_to = _times(covariance, basis)
    doubt = np.maximum((gain_to * basis).sum(axis=1), 0.0)
    expected = (state.coefficients * basis).sum(axis=1)
    expected = np.clip(expected, *_POSSIBLE_BPM)
    known = ~np.isnan(movement_mg) & (hr_bpm >= _POSSIBLE_BPM[0]) & (hr_bpm <= _POSSIBLE_BPM[1])
    rest = np.where(known, hr_bpm - expected, np.nan)
    step = np.clip(number_or(gap_s, _CORRELATED_S) / _CORRELATED_S, 0.0, 1.0)
    use = known & learn & (step > 0)
    noise = _SCATTER_BPM**2 / np.where(use, step, 1.0)
    gain = gain_to / (doubt + noise)[:, None]
    limit = _MOST_SURPRISE * np.sqrt(_SCATTER_BPM**2 + doubt)
    surprise = np.clip(number_or(rest), -limit, limit)
    sharper = covariance - gain[:, _UPPER[0]] * gain_to[:, _UPPER[1]]
    better = state.coefficients + gain * surprise[:, None]
    new = new._replace(
        coefficients=np.where(use[:, None], better, state.coefficients),
        covariance=np.where(use[:, None], sharper, state.covariance),
    )
    return new, rest, np.where(known, expected, np.nan)


def _moved(
    state: MotionHeartState, movement_mg: Floats, end_us: NDArray[np.int64]
) -> tuple[MotionHeartState, Floats]:
    """State with the movement taken in, and the seconds since the last; NaN for the first."""
    gap_s = np.where(state.last_us < 0, np.nan, (end_us - state.last_us) / 1e6)
    now = np.log1p(np.clip(movement_mg, 0.0, None) / _SOFT_MG)
    known = ~np.isnan(now)
    anew = np.isnan(gap_s) | (gap_s > _LONGEST_BREAK_S)
    smoothed = []
    for old, tau_s in ((state.quick, _QUICK_S), (state.slow, _SLOW_S)):
        share = 1.0 - np.exp(-np.clip(number_or(gap_s), 0.0, None) / tau_s)
        moved = old + share * (number_or(now) - old)
        smoothed.append(np.where(known, np.where(anew, number_or(now), moved), old))
    new = state._replace(
        quick=smoothed[0],
        slow=smoothed[1],
        last_us=np.where(known, end_us, state.last_us),
    )
    return new, gap_s


def _drifted(covariance: Floats, gap_s: Floats) -> Floats:
    """Less certain, by how long ago the last value was."""
    hours = np.clip(number_or(gap_s), 0.0, 86_400.0) / 3600.0
    out = covariance.copy()
    out[:, _DIAGONAL] += (_DRIFT_PER_H * _SCATTER_BPM**2 * hours)[:, None]
    return out


def _times(packed: Floats, vector: Floats) -> Floats:
    """`(B, 3)` product of symmetric 3 x 3 matrices, upper halves, with vectors."""
    a, b, c, d, e, f = packed.T
    x, y, z = vector.T
    return np.column_stack([a * x + b * y + c * z, b * x + d * y + e * z, c * x + e * y + f * z])
