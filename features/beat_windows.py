"""Beats found in a patient's segments, and intervals a device sent, of many windows.

Not here: what is done with intervals (`features.beat_intervals`, `features.hrv_windows`). This is
where segments, their borders and their gate end.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.beat_intervals import (
    Beats,
    Intervals,
    intervals_with_context,
    judged,
    loops,
    rising,
)
from features.ecg import kernels
from features.feature import FeatureReason
from features.gather import Events, Rows, Segments, Support, events_of, select
from features.hrv_windows import Standing
from features.variability.rows import Bools, Floats, Ints

# Times of device intervals are slots of 125 ms: two that follow each other may disagree by it.
_LOOSE_CLOCK_US: Final = 180_000
# A device's clock shows in the smallest difference between two of its intervals. Finer ones than
# 3 ms hardly matter; the grid itself has steps of 0.25 ms.
_COARSE_MS: Final = 3.0
_SAME_MS: Final = 0.3
_FEWEST_FOR_QUANTUM: Final = 20


class FoundBeats(NamedTuple):
    """Beats of windows and their context, borders of segments gone; `run` numbers gap-free runs."""

    events: Events
    run: Ints


def found_beats(rows: Rows, segments: Segments, refractory_us: Ints) -> FoundBeats:
    """Beats of each row in time order, each once.

    Parameters
    ----------
    rows : Rows
        B windows.
    segments : Segments
        Theirs and those of the context before. Segments that failed the gate are gaps.
    refractory_us : (B,) int64
        Two beats closer than this across a border of segments are one: the larger is kept, of
        equals the earlier.

    Returns
    -------
    FoundBeats
        Runs go on over borders that are open on both sides.
    """
    events = events_of(segments)
    later = rising(events.times_us - rows.start_us[events.row], events.row)
    events = events if later.all() else select(events, later)
    run, kept = _runs_and_merged(events, segments, refractory_us)
    return FoundBeats(events if kept.all() else select(events, kept), run[kept])


def intervals_of(rows: Rows, beats: FoundBeats, ectopic: Bools) -> Intervals:
    """Intervals between adjacent beats of each row, those of the context included.

    Parameters
    ----------
    rows : Rows
        B windows.
    beats : FoundBeats
        From 45 beats before the window, and its first intervals are judged as surely as the
        others.
    ectopic : (n_beats,) bool
        Beats known by their shape to be no sinus beats.
    """
    row = beats.events.row
    times_us = beats.events.times_us - rows.start_us[row]
    return intervals_with_context(
        Beats(row, times_us, beats.run, ectopic), rows.end_us - rows.start_us
    )


def device_intervals(rows: Rows, segments: Segments) -> Intervals:
    """Intervals that a device sent, as `intervals_of`.

    Two are joined when the time between their beats is the second one's length, to 180 ms: a
    beat the device left out is a gap.
    """
    events = events_of(segments)
    end_us = events.times_us - rows.start_us[events.row]
    kept = rising(end_us, events.row) & (end_us < (rows.end_us - rows.start_us)[events.row])
    events, end_us = select(events, kept), end_us[kept]
    row, nn_ms = events.row, events.values
    joined = np.zeros(row.size, np.bool_)
    off_us = np.abs(np.diff(end_us) - 1000.0 * nn_ms[1:])
    joined[1:] = (row[1:] == row[:-1]) & (off_us <= _LOOSE_CLOCK_US)
    return judged(row, end_us, nn_ms, (joined, rows.start_us.size))


def quantum_of(intervals: Intervals, n_rows: int) -> Floats:
    """Step in ms of the clock that each row's intervals were measured with; 0 for a fine one."""
    order = np.lexsort((intervals.nn_ms, intervals.row))
    row, nn_ms = intervals.row[order], intervals.nn_ms[order]
    step = np.diff(nn_ms)
    within = (row[1:] == row[:-1]) & (step > _SAME_MS)
    smallest = np.full(n_rows, np.inf)
    np.minimum.at(smallest, row[1:][within], step[within])
    many = np.bincount(row, minlength=n_rows) >= _FEWEST_FOR_QUANTUM
    coarse = many & np.isfinite(smallest) & (smallest >= _COARSE_MS)
    return np.where(coarse, smallest, 0.0)


def standing_of(rows: Rows, support: Support, quantum_ms: Floats | None = None) -> Standing:
    """What `hrv_window` needs to know of rows apart from their intervals."""
    lost_to = np.where(rows.known, support.reason, FeatureReason.NO_SIGNAL).astype(np.uint8)
    quantum = np.zeros(rows.start_us.size) if quantum_ms is None else quantum_ms
    usable = np.where(rows.known, support.usable, 0.0)
    return Standing(rows.end_us - rows.start_us, usable, support.quality, lost_to, quantum)


def _runs_and_merged(events: Events, segments: Segments, refractory_us: Ints) -> tuple[Ints, Bools]:
    """Gap-free run of each beat, numbered through, and the beats to keep at borders."""
    if kernels.worth_it(refractory_us.size):
        run, kept = np.empty(events.row.size, np.int64), np.empty(events.row.size, np.bool_)
        of_beats = events.row, events.place, events.times_us, events.values, events.run
        borders = segments.start_us, segments.end_us, segments.open_left, segments.open_right
        loops().runs_and_merged(of_beats, borders, refractory_us, run, kept)
        return run, kept
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
