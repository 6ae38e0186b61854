"""Utility of hourly sepsis alarms as the PhysioNet/CinC Challenge 2019 defines it, vectorised.

Reyna et al. 2020, Crit Care Med 48:210, figure 2. The label of a septic stay begins six hours
before onset, so onset is the first label plus `-dt_optimal`. Not here: choosing a model.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class UtilitySpec(NamedTuple):
    """Corners of the utility, in rows (hours) relative to onset."""

    early: int = -12  # earlier alarms are false ones
    optimal: int = -6
    late: int = 3  # nothing counts afterwards
    true: float = 1.0  # alarm at `optimal`
    missed: float = -2.0  # no alarm at `late`
    false: float = -0.05  # alarm of a stay without sepsis


CINC2019: Final = UtilitySpec()


class RowUtility(NamedTuple):
    """What an alarm and silence are worth in every row."""

    alarm: Floats  # [N]
    quiet: Floats  # [N]
    wanted: Bools  # [N] rows in which the official best predictor alarms


class PatientUtility(NamedTuple):
    """Sums over a patient's rows; the normalised utility is a ratio of sums of these."""

    observed: Floats  # [P]
    inaction: Floats  # [P] never alarming
    best: Floats  # [P]


def row_utility(label: Bools, lengths: Ints, spec: UtilitySpec = CINC2019) -> RowUtility:
    """Worth of alarm and silence in every hour.

    Parameters
    ----------
    label : (N,) bool
        Rows of all patients, one after the other, in time order.
    lengths : (P,) int64
        How many rows every patient has; they sum to N.
    spec : UtilitySpec
        Corners of the utility.

    Returns
    -------
    RowUtility
        Arrays of N rows; 0 after `late`.

    Raises
    ------
    ValueError
        If the lengths do not sum to the rows.

    Notes
    -----
    Checked against the official script: ``tests/models/evaluation/test_utility.py``.
    """
    onset, septic, hour = _onsets(label, lengths, spec)
    since = hour - onset
    rise = spec.true / (spec.optimal - spec.early)
    fall = -spec.true / (spec.late - spec.optimal)
    loss = spec.missed / (spec.late - spec.optimal)
    before = np.maximum(rise * since - rise * spec.early, spec.false)
    alarm = np.where(since <= spec.optimal, before, fall * since - fall * spec.late)
    quiet = np.where(since <= spec.optimal, 0.0, loss * since - loss * spec.optimal)
    over = since > spec.late
    alarm[over], quiet[over] = 0.0, 0.0
    alarm[~septic], quiet[~septic] = spec.false, 0.0
    wanted = septic & (since >= spec.early) & ~over
    return RowUtility(alarm, quiet, wanted)


def patient_utility(alarm: Bools, worth: RowUtility, lengths: Ints) -> PatientUtility:
    """Sums over patients' rows for one series of alarms.

    Parameters
    ----------
    alarm : (N,) bool
        What was predicted.
    worth : RowUtility
        From `row_utility`.
    lengths : (P,) int64
        Rows of every patient.
    """
    return PatientUtility(
        _sums(np.where(alarm, worth.alarm, worth.quiet), lengths),
        _sums(worth.quiet, lengths),
        _sums(np.where(worth.wanted, worth.alarm, worth.quiet), lengths),
    )


def normalised(sums: PatientUtility, weight: Floats | None = None) -> float:
    """Normalised utility: 0 is never alarming, 1 the best; NaN where these are the same.

    Parameters
    ----------
    sums : PatientUtility
        From `patient_utility`.
    weight : (P,) float64, optional
        How often every patient counts.
    """
    ones = np.ones(len(sums.observed)) if weight is None else weight
    inaction = float((sums.inaction * ones).sum())
    span = float((sums.best * ones).sum()) - inaction
    return (float((sums.observed * ones).sum()) - inaction) / span if span > 0 else np.nan


def utility(label: Bools, alarm: Bools, lengths: Ints, spec: UtilitySpec = CINC2019) -> float:
    """Normalised utility of alarms, all patients together.

    Examples
    --------
    >>> label = np.array([False, False, True, True])
    >>> round(utility(label, label, np.array([4])), 3)  # the best one alarms from the first hour
    0.585
    """
    return normalised(patient_utility(alarm, row_utility(label, lengths, spec), lengths))


def best_threshold(score: Floats, worth: RowUtility) -> float:
    """Threshold whose alarms (score at or above it) are worth most on these rows.

    Parameters
    ----------
    score : (N,) float64
        NaN never alarms.
    worth : RowUtility
        From `row_utility`.

    Returns
    -------
    float
        Halfway between two scores; +inf if no alarms are worth any. Of equal thresholds the
        highest: the one with fewest alarms.
    """
    order = np.argsort(-score, kind="stable")  # NaN last
    ranked = score[order]
    known = int((~np.isnan(ranked)).sum())
    ranked = ranked[:known]
    gain = np.cumsum((worth.alarm - worth.quiet)[order[:known]])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if known else np.zeros(0, int)
    if not len(last) or gain[last].max() <= 0:
        return np.inf
    at = int(last[np.argmax(gain[last])])
    if at + 1 == known:
        return float(ranked[at])
    middle = float(ranked[at] + ranked[at + 1]) / 2
    return middle if ranked[at + 1] < middle <= ranked[at] else float(ranked[at])


def _onsets(label: Bools, lengths: Ints, spec: UtilitySpec) -> tuple[Ints, Bools, Ints]:
    """Per row: hour of onset, whether the stay is septic, hour of the row."""
    if int(lengths.sum()) != len(label):
        raise ValueError(f"lengths sum to {int(lengths.sum())}, but there are {len(label)} rows")
    first = np.cumsum(lengths) - lengths
    hour = np.arange(len(label)) - np.repeat(first, lengths)
    far = len(label) + 1
    found = np.full(len(lengths), far, np.int64)
    stay = np.repeat(np.arange(len(lengths)), lengths)
    np.minimum.at(found, stay[label], hour[label])
    septic = found < far
    onset = np.where(septic, found - spec.optimal, 0)
    return np.repeat(onset, lengths), np.repeat(septic, lengths), hour


def _sums(rows: Floats, lengths: Ints) -> Floats:
    """Sum of every patient's rows; 0 for one without rows."""
    patient = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(patient, weights=rows, minlength=len(lengths)).astype(np.float64)
