"""Hours and days: 300-s windows leave rows of history, those make hours, hours make days.

Not here: the sums themselves (`features.variability.long_term`). Nothing is kept per beat.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.beat_intervals import Intervals, inside
from features.column import Column
from features.feature import FeatureReason
from features.hrv_windows import FEWEST_NN, LEAST_COVERAGE, Judge, Standing, only
from features.variability.circadian import cosinor
from features.variability.correction import Kind, corrected_rows
from features.variability.fractal import LONG_BOXES, fluctuations
from features.variability.long_term import (
    HISTORY_COLUMNS,
    HOUR_COLUMNS,
    day_values,
    hour_values,
    hour_vectors,
)
from features.variability.rows import Bools, Floats, Ints, NnRows, row_means, runs_of, sums
from features.variability.time_domain import steps_of
from features.variability.turbulence import onset_and_slope, turbulence

_HOUR_MS: Final = 3_600_000.0
_DAY_H: Final = 24
# Task Force 1996: a day's analysis wants 18 h of analysable recording.
LEAST_DAY_COVERAGE: Final = 0.75
_US_PER_H: Final = 3.6e9
_REASON: Final = HISTORY_COLUMNS.index("reason")
_QUALITY: Final = HISTORY_COLUMNS.index("quality")
_COVERED: Final = HISTORY_COLUMNS.index("covered_ms")
_N: Final = HISTORY_COLUMNS.index("n")
_HOUR_REASON: Final = HOUR_COLUMNS.index("reason")
_HOUR_QUALITY: Final = HOUR_COLUMNS.index("quality")
_HOUR_COVERED: Final = HOUR_COLUMNS.index("covered_ms")
_HOUR_N: Final = HOUR_COLUMNS.index("n")
_HOUR_RATE: Final = HOUR_COLUMNS.index("hr_bpm")


def history_rows(standing: Standing, intervals: Intervals, start_us: Ints) -> Floats:
    """What each 300-s window leaves behind for its hour and its day.

    Parameters
    ----------
    standing : Standing
        B windows of 300 s.
    intervals : Intervals
        Their intervals with at least 22 of context, so that each premature beat counts once.
    start_us : (B,) int64
        Start of each window, µs UTC.

    Returns
    -------
    (B, K) float64
        As `HISTORY_COLUMNS`. A window that fails the rules of the time domain says why and
        contributes its counts only.
    """
    n_rows = standing.length_us.size
    judge, own = Judge(standing, inside(intervals), FEWEST_NN[300]), inside(intervals)
    reason = judge.reasons(judge.covered, LEAST_COVERAGE)
    nn = corrected_rows(own.end_us, own.row, own.joined, own.corrected, n_rows)
    nn = only(nn, reason == FeatureReason.OK)
    n, mean = row_means(nn.nn_ms, nn.row, n_rows)
    step, step_row = steps_of(nn)
    n_steps = np.bincount(step_row, minlength=n_rows)
    large = (np.abs(step) > 50.0).astype(np.float64)
    after = turbulence(
        intervals.nn_ms, intervals.row, intervals.joined, intervals.end_us >= 0, n_rows
    )
    run = longest_runs(nn)
    ectopic = np.bincount(own.row[own.kind == Kind.ECTOPIC], minlength=n_rows)
    artefact = np.bincount(own.row[own.kind != Kind.NORMAL], minlength=n_rows)
    middle_h = (start_us % round(_DAY_H * _US_PER_H) + standing.length_us / 2.0) / _US_PER_H
    columns = [
        middle_h % _DAY_H,
        reason,
        standing.quality * (1.0 - judge.artefacts),
        sums(nn.nn_ms, n),
        n,
        mean,
        sums((nn.nn_ms - mean[nn.row]) ** 2, n),
        n_steps,
        sums(step**2, n_steps),
        sums(large, n_steps),
        np.bincount(own.row, minlength=n_rows),
        ectopic,
        artefact,
        after.n_pvc,
        after.onset_pct,
        *after.tachogram_ms.T,
        np.bincount(run.row, minlength=n_rows),
        *fluctuations(run, LONG_BOXES).squares.T,
    ]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def longest_runs(nn: NnRows) -> NnRows:
    """Only the longest gap-free run of each row, of equals the first."""
    if nn.nn_ms.size == 0:
        return nn
    start, length = runs_of(nn.linked)
    row = nn.row[start]
    best = np.zeros(nn.n_rows, np.int64)
    np.maximum.at(best, row, length)
    longest = length == best[row]
    seen = np.cumsum(longest) - longest
    at_row = np.flatnonzero(np.diff(row, prepend=-1))
    first = seen == np.repeat(seen[at_row], np.diff(at_row, append=row.size))
    kept = np.repeat(longest & first, length)
    return NnRows(
        nn.nn_ms[kept],
        nn.row[kept],
        nn.linked[kept],
        nn.stepped[kept],
        nn.end_us[kept],
        nn.n_rows,
    )


def hour_columns(history: Floats) -> tuple[dict[str, Column], Floats]:
    """Features of hours, and what each hour leaves behind for its day.

    Parameters
    ----------
    history : (B, 12, K) float64
        Rows of consecutive 300-s windows that do not overlap; NaN: that window never was.

    Returns
    -------
    dict of str to Column
        By catalogue name: rate, mean, SDNN, RMSSD, pNN50, alpha 2 and shares of artefacts of
        the hour. At least half of it must be covered.
    (B, K2) float64
        As `HOUR_COLUMNS`.
    """
    known = np.nan_to_num(history)
    covered = known[:, :, _COVERED].sum(axis=1)
    quality = _weighted(known[:, :, _QUALITY], known[:, :, _COVERED])
    n = known[:, :, _N].sum(axis=1).astype(np.int64)
    share = np.clip(covered / _HOUR_MS, 0.0, 1.0)
    vectors = hour_vectors(history)
    reason = _reasons(share >= LEAST_COVERAGE, history[:, :, _REASON], vectors[:, _HOUR_REASON])
    columns = {
        name: _column(value, quality, share, n, reason)
        for name, value in hour_values(history).items()
    }
    return columns, vectors


def day_columns(hours: Floats) -> dict[str, Column]:
    """Features of days.

    Parameters
    ----------
    hours : (B, 24, K2) float64
        Consecutive hours, as `HOUR_COLUMNS`; NaN: that hour never was.

    Returns
    -------
    dict of str to Column
        SDNN, SDANN, SDNN index, turbulence and the daily course of the rate, by catalogue name.
        18 of the 24 h must be covered; turbulence needs 5 premature beats, the daily course a
        rate in 18 hours, which an hour of non-wear has not.
    """
    known = np.nan_to_num(hours)
    covered = known[:, :, _HOUR_COVERED].sum(axis=1)
    quality = _weighted(known[:, :, _HOUR_QUALITY], known[:, :, _HOUR_COVERED])
    n = known[:, :, _HOUR_N].sum(axis=1).astype(np.int64)
    share = np.clip(covered / (_HOUR_MS * _DAY_H), 0.0, 1.0)
    values, after_pvc, rate, clock_h = day_values(hours)
    said = hours[:, :, _HOUR_REASON]
    reason = _reasons(share >= LEAST_DAY_COVERAGE, said, np.zeros(len(hours)))
    values["ecg_hrt_to_pct"], values["ecg_hrt_ts_ms_per_beat"] = onset_and_slope(after_pvc)
    columns = {name: _column(value, quality, share, n, reason) for name, value in values.items()}
    for name in ("ecg_hrt_to_pct", "ecg_hrt_ts_ms_per_beat"):
        few = (reason == FeatureReason.OK) & np.isnan(values[name])
        columns[name].reason[few] = FeatureReason.TOO_FEW_BEATS
    course = cosinor(rate, clock_h)
    n_hours = np.count_nonzero(np.isfinite(rate), axis=1)
    enough = _reasons(n_hours >= LEAST_DAY_COVERAGE * _DAY_H, said, np.zeros(len(hours)))
    for name, value in zip(("mesor_bpm", "amp_bpm", "phase_h"), course, strict=True):
        columns[f"ecg_circ_{name}"] = _column(value, quality, n_hours / _DAY_H, n_hours, enough)
    return columns


def _column(
    value: Floats, quality: Floats, covered: Floats, n: Ints, reason: NDArray[np.uint8]
) -> Column:
    """A column; a value that is no number although it was due is UNDEFINED."""
    due = reason == FeatureReason.OK
    why = np.where(due & ~np.isfinite(value), FeatureReason.UNDEFINED, reason).astype(np.uint8)
    return Column(np.where(why == FeatureReason.OK, value, np.nan), quality, covered, n, why)


def _reasons(enough: Bools, said: Floats, commonest: Floats) -> NDArray[np.uint8]:
    """OK; what most parts were refused for; TOO_SHORT where most parts never were."""
    absent = np.isnan(said).mean(axis=1) > 0.25
    reason = np.where(np.nan_to_num(commonest) > 0, np.nan_to_num(commonest), FeatureReason.GAP)
    reason[absent] = FeatureReason.TOO_SHORT
    reason[enough] = FeatureReason.OK
    return reason.astype(np.uint8)


def _weighted(value: Floats, weight: Floats) -> Floats:
    """Mean of each row by weight; 0 without any."""
    total = weight.sum(axis=1)
    out = np.zeros(total.size)
    np.divide((value * weight).sum(axis=1), total, out=out, where=total > 0)
    return np.clip(out, 0.0, 1.0)
