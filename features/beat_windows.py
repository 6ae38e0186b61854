"""Beats found in a patient's segments become intervals, a rate and variability.

Not here: what is done with intervals (`features.beat_intervals`, `features.hrv_windows`). This is
where segments, their borders and their gate end.
"""

from __future__ import annotations

import numpy as np

from features.beat_intervals import Beats, Intervals, inside, intervals_with_context, rising
from features.catalog import INDEX
from features.feature import FeatureReason
from features.gather import Events, Rows, Segments, Support, events_of, select
from features.hrv_windows import LEAST_COVERAGE as LEAST_COVERAGE
from features.hrv_windows import Column as Column
from features.hrv_windows import Standing, hrv_window, rate
from features.variability.rows import Bools, Ints


def intervals_in(rows: Rows, segments: Segments, refractory_us: Ints) -> Intervals:
    """Intervals between adjacent beats of each row.

    Parameters
    ----------
    rows : Rows
        B windows.
    segments : Segments
        Their segments, from at least 10 s before the window, so that the beat that begins the
        first interval is there; from 45 beats before it, and the first intervals are judged as
        surely as the others.
    refractory_us : (B,) int64
        Two beats closer than this across a border of segments are one: the larger is kept, of
        equals the earlier.

    Returns
    -------
    Intervals
        With those of the context. An interval exists only between beats of one gap-free run;
        runs go on over borders that are open on both sides. Segments that failed the gate are gaps.
    """
    events = events_of(segments)
    later = rising(events.times_us - rows.start_us[events.row], events.row)
    events = events if later.all() else select(events, later)
    run, kept = _runs_and_merged(events, segments, refractory_us)
    row = events.row[kept]
    times_us = events.times_us[kept] - rows.start_us[row]
    beats = Beats(row, times_us, run[kept], np.zeros(row.size, np.bool_))
    return intervals_with_context(beats, rows.end_us - rows.start_us)


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


def standing_of(rows: Rows, support: Support) -> Standing:
    """What `hrv_window` needs to know of rows whose beats were found in a waveform."""
    lost_to = np.where(rows.known, support.reason, FeatureReason.NO_SIGNAL).astype(np.uint8)
    fine = np.zeros(rows.start_us.size)
    usable = np.where(rows.known, support.usable, 0.0)
    return Standing(rows.end_us - rows.start_us, usable, support.quality, lost_to, fine)


def rate_column(rows: Rows, support: Support, intervals: Intervals) -> Column:
    """Rate in 1/min over normal and ectopic beats; at least 5 intervals, coverage 0.5."""
    return rate(standing_of(rows, support), inside(intervals))


def hrv_columns(rows: Rows, support: Support, intervals: Intervals) -> dict[str, Column]:
    """`hrv_window` of beats found in a waveform: what of it the catalogue knows."""
    columns = hrv_window(standing_of(rows, support), inside(intervals))
    return {name: column for name, column in columns.items() if name in INDEX}
