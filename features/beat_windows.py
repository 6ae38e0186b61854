"""Beats of a window become intervals, a rate and variability, for many rows at once.

Not here: the formulas (`features.hrv`, `features.spectra`) and the rules for what is normal
(`features.intervals`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason
from features.column import Column
from features.gather import Events, Rows, Segments, Support, events_of, select
from features.hrv import rates_bpm, ratio, time_domain
from features.intervals import LONGEST_NN_MS, Bools, Floats, Ints, Kind, classify, row_sums
from features.spectra import band_powers

# Five intervals in half a minute: a heart at 15/min is still reported, which 20 would hide.
FEWEST_RATE_NN: Final = 5
FEWEST_HRV_NN: Final = 100
LEAST_COVERAGE: Final = 0.5
LEAST_SPECTRAL_COVERAGE: Final = 0.9
MOST_ARTEFACTS: Final = 0.2  # of intervals; more leave nothing to be trusted
_ROW_US: Final = 1 << 44  # more than any window: keeps rows apart on one time axis


class Intervals(NamedTuple):
    """Intervals whose end beat lies in the row's window; one value per interval."""

    row: Ints
    end_us: Ints  # from the window's start
    nn_ms: Floats
    joined: Bools
    kind: NDArray[np.uint8]


def intervals_in(rows: Rows, segments: Segments, refractory_us: Ints) -> Intervals:
    """Intervals between adjacent beats of each row.

    Parameters
    ----------
    rows : Rows
        B windows.
    segments : Segments
        Their segments, from at least 10 s before the window, so that the beat that begins the
        first interval is there.
    refractory_us : (B,) int64
        Two beats closer than this across a border of segments are one: the larger is kept, of
        equals the earlier.

    Returns
    -------
    Intervals
        An interval exists only between beats of one gap-free run; runs go on over borders that
        are open on both sides. Segments that failed the gate are gaps.
    """
    events = events_of(segments)
    # What is not ascending cannot be from one clock: later claims on a past time are dropped.
    since_us = np.clip(events.times_us - rows.start_us[events.row], -_ROW_US // 4, _ROW_US // 4)
    along = since_us + events.row * _ROW_US
    rising = np.ones(along.size, np.bool_)
    rising[1:] = along[1:] > np.maximum.accumulate(along)[:-1]
    events = events if rising.all() else select(events, rising)
    run, kept = _runs_and_merged(events, segments, refractory_us)
    time_us, row, run = events.times_us[kept], events.row[kept], run[kept]
    exists = run[1:] == run[:-1]
    end_us = time_us - rows.start_us[row]
    exists &= (end_us[1:] >= 0) & (time_us < rows.end_us[row])[1:]
    joined = exists.copy()
    joined[1:] &= exists[:-1]
    joined[:1] = False
    at = np.flatnonzero(exists)
    nn_ms = np.diff(time_us)[at] / 1000.0
    row, joined = row[at + 1], joined[at]
    kind = classify(nn_ms, row, joined, rows.start_us.size)
    return Intervals(row, end_us[at + 1], nn_ms, joined, kind)


def _runs_and_merged(events: Events, segments: Segments, refractory_us: Ints) -> tuple[Ints, Bools]:
    """Gap-free run of each beat, numbered through, and the beats to keep at borders."""
    border = np.flatnonzero(events.place[1:] != events.place[:-1])
    left, right = events.place[border], events.place[border + 1]
    same_row = events.row[border] == events.row[border + 1]
    linked = same_row & segments.open_right[left] & segments.open_left[right]
    linked &= segments.end_us[left] == segments.start_us[right]
    broken = events.run[1:] != events.run[:-1]
    broken[border] = ~linked
    run = np.zeros(events.row.size, np.int64)
    np.cumsum(broken, out=run[1:])
    apart_us = events.times_us[border + 1] - events.times_us[border]
    doubled = border[same_row & (apart_us < refractory_us[events.row[border]])]
    kept = np.ones(events.row.size, np.bool_)
    later_wins = events.values[doubled + 1] > events.values[doubled]
    kept[np.where(later_wins, doubled, doubled + 1)] = False
    return run, kept


def rate_column(rows: Rows, support: Support, intervals: Intervals) -> Column:
    """Rate in 1/min over normal and ectopic beats; at least 5 intervals, coverage 0.5."""
    n_rows = rows.start_us.size
    counted = intervals.kind <= Kind.ECTOPIC
    n, covered = _counted(rows, intervals, counted)
    enough = (n >= FEWEST_RATE_NN) & (covered >= LEAST_COVERAGE)
    all_covered = _counted(rows, intervals, _possible(intervals))[1]
    reason = _reasons(rows, support, enough, all_covered, LEAST_COVERAGE)
    value = rates_bpm(intervals.nn_ms, intervals.row, counted, n_rows)
    return Column(value, support.quality, covered, n, reason)


def hrv_columns(rows: Rows, support: Support, intervals: Intervals) -> dict[str, Column]:
    """HRV by catalogue name: at least 100 NN, coverage 0.5 (spectra 0.9), 20 % artefacts."""
    n_rows = rows.start_us.size
    valid = intervals.kind == Kind.NORMAL
    n, covered = _counted(rows, intervals, valid)
    n_all, all_covered = _counted(rows, intervals, _possible(intervals))
    artefacts = 1.0 - n / np.maximum(n_all, 1)
    quality = support.quality * (1.0 - artefacts)
    sound = (n >= FEWEST_HRV_NN) & (covered >= LEAST_COVERAGE)
    reason = _reasons(rows, support, sound, all_covered, LEAST_COVERAGE)
    reason[sound & (artefacts > MOST_ARTEFACTS)] = FeatureReason.ARTEFACT_PCT
    whole = covered >= LEAST_SPECTRAL_COVERAGE
    spectral = _reasons(rows, support, whole, all_covered, LEAST_SPECTRAL_COVERAGE)
    spectral = np.where(reason == FeatureReason.OK, spectral, reason)
    measures = time_domain(intervals.nn_ms, intervals.row, valid, intervals.joined, n_rows)
    chosen = valid & (spectral == FeatureReason.OK)[intervals.row]
    power = band_powers(
        intervals.end_us[chosen], intervals.nn_ms[chosen], intervals.row[chosen], n_rows
    )
    values = {
        "ecg_sdnn_ms": (measures.sdnn_ms, reason),
        "ecg_rmssd_ms": (measures.rmssd_ms, reason),
        "ecg_pnn50_pct": (measures.pnn50_pct, reason),
        "ecg_lf_ms2": (power.lf, spectral),
        "ecg_hf_ms2": (power.hf, spectral),
        "ecg_lf_hf": (ratio(power.lf, power.hf), spectral),
    }
    return {name: Column(value, quality, covered, n, why) for name, (value, why) in values.items()}


def _possible(intervals: Intervals) -> Bools:
    """Intervals that are no pause: whatever else is wrong, beats are there."""
    return intervals.nn_ms <= LONGEST_NN_MS


def _counted(rows: Rows, intervals: Intervals, chosen: Bools) -> tuple[Ints, Floats]:
    """Number of the chosen intervals per row, and the share of the window they cover."""
    n_rows, row = rows.start_us.size, intervals.row[chosen]
    total_ms = row_sums(intervals.nn_ms[chosen], row, n_rows)
    length_ms = np.maximum(rows.end_us - rows.start_us, 1) / 1000.0
    return np.bincount(row, minlength=n_rows), np.clip(total_ms / length_ms, 0.0, 1.0)


def _reasons(
    rows: Rows, support: Support, enough: Bools, all_covered: Floats, least: float
) -> NDArray[np.uint8]:
    """OK, or what kept the row from having enough intervals."""
    reason = np.full(enough.size, FeatureReason.TOO_FEW_BEATS, np.uint8)
    reason[all_covered >= least] = FeatureReason.ARTEFACT_PCT  # beats are there, out of rhythm
    missing = support.usable < least
    reason[missing] = support.reason[missing]
    reason[~rows.known] = FeatureReason.NO_SIGNAL
    reason[enough] = FeatureReason.OK
    return reason
