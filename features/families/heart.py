"""Rate, variability and rhythm of the heart, from the ECG and from intervals a device sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from features.beat_intervals import Intervals, inside
from features.beat_windows import (
    device_intervals,
    found_beats,
    intervals_of,
    quantum_of,
    standing_of,
)
from features.beats import ECG_REFRACTORY_S
from features.ecg.windows import SegmentRows
from features.ecg.windows import quality_columns as ecg_quality
from features.families.table import Columns, Row, all_explained, look_up, once
from features.hrv_windows import Standing, hrv_window
from features.intervals import Floats, Ints
from features.layout import ECG_INDICES, EVENT_NUMBERS, lead_of
from features.long_windows import history_rows
from features.signals import SignalKind
from features.tables.hrv_device import device_name

_ECTOPIC: Final = EVENT_NUMBERS[SignalKind.ECG].index("ectopic")
_LIKELY: Final = 0.5
_REFRACTORY_US: Final = round(ECG_REFRACTORY_S * 1e6)


class _Rhythm(NamedTuple):
    """Intervals of windows and of the context before them."""

    standing: Standing
    intervals: Intervals
    start_us: Ints


def ecg_columns(rows: Sequence[Row]) -> Columns:
    """Every feature of NN intervals found in the ECG; windows of one length."""
    rhythm = once(rows, "ecg rhythm", _ecg)
    return hrv_window(rhythm.standing, inside(rhythm.intervals))


def quality_columns(rows: Sequence[Row]) -> Columns:
    """Quality of the ECG in 60-s windows, of segments that passed the gate or not."""
    found = look_up(rows, ["ecg"])
    table, segments = found.rows, found.segments
    begin_us = np.maximum(segments.start_us, table.start_us[segments.row])
    seconds = np.maximum(segments.end_us - begin_us, 0) / 1e6
    indices = {name: segments.stats[:, k].astype(np.float64) for k, name in enumerate(ECG_INDICES)}
    indices["quality"] = segments.quality
    asked = SegmentRows(segments.row, seconds, segments.quality, indices)
    made = ecg_quality(asked, (table.end_us - table.start_us) / 1e6)
    return all_explained(found, made)


def device_columns(rows: Sequence[Row]) -> Columns:
    """The same of intervals that a device sent."""
    rhythm = once(rows, "device rhythm", _device)
    made = hrv_window(rhythm.standing, inside(rhythm.intervals))
    return {device_name(name): column for name, column in made.items()}


def ecg_history(rows: Sequence[Row]) -> Floats:
    """What hours and days need of each 300-s window of ECG."""
    return history_rows(*once(rows, "ecg rhythm", _ecg))


def device_history(rows: Sequence[Row]) -> Floats:
    """The same of intervals that a device sent."""
    return history_rows(*once(rows, "device rhythm", _device))


def _ecg(rows: Sequence[Row]) -> _Rhythm:
    found = look_up(rows, ["ecg"], lead_of("ecg"))
    beats = found_beats(found.rows, found.segments, np.full(len(rows), _REFRACTORY_US))
    ectopic = beats.events.extra[:, _ECTOPIC] > _LIKELY
    intervals = intervals_of(found.rows, beats, ectopic)
    standing = standing_of(found.rows, found.support)
    return _Rhythm(standing, intervals, found.rows.start_us)


def _device(rows: Sequence[Row]) -> _Rhythm:
    found = look_up(rows, ["rr_interval"], lead_of("rr_interval"))
    intervals = device_intervals(found.rows, found.segments)
    quantum_ms = quantum_of(intervals, len(rows))
    standing = standing_of(found.rows, found.support, quantum_ms)
    return _Rhythm(standing, intervals, found.rows.start_us)
