"""Rate, shape, arrival and variability of the pulse, movement taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from features.beat_intervals import Intervals, inside
from features.beat_windows import FoundBeats, intervals_of, standing_of
from features.column import Column
from features.families.beats import beats_in, pulses, r_peaks
from features.families.motion import N_NUMBERS
from features.families.table import Columns, Found, Row, look_up
from features.feature import FeatureReason
from features.gather import dense, lost_to, slotted, support_of
from features.hrv_windows import rate
from features.intervals import Bools
from features.layout import EVENT_NUMBERS, SEGMENT_NUMBERS
from features.lean import number_or
from features.motion.windows import Number
from features.ppg.motion import N_RATES
from features.ppg.moved import Where, moved
from features.ppg.movement import Movement, without_cadence
from features.ppg.quality import GATE
from features.ppg.windows import (
    Window,
    WindowIntervals,
    WindowPulses,
    arrival_columns,
    shape_columns,
    tracked_rate_column,
    variability_columns,
)
from features.segment_rows import row_median
from features.signals import MOTION, SignalKind
from features.variability.correction import Kind
from streams.segments import SEGMENT_US

_NUMBERS: Final = SEGMENT_NUMBERS[SignalKind.PPG]
_RAW_MEDIAN: Final = _NUMBERS.index("raw_median")
_BPM: Final = slice(_NUMBERS.index("rate_0_bpm"), _NUMBERS.index("rate_0_bpm") + N_RATES)
_WEIGHT: Final = slice(_NUMBERS.index("rate_0_weight"), _NUMBERS.index("rate_0_weight") + N_RATES)
_RATES: Final = slice(0, _WEIGHT.stop)
_WHERE: Final = Where(int(Number.MAD_MG), N_NUMBERS, _NUMBERS.index("bin_0"))
_RISE_S: Final = EVENT_NUMBERS[SignalKind.PPG].index("rise_s")
_AMPLITUDE: Final = EVENT_NUMBERS[SignalKind.PPG].index("amplitude")
_NOISE: Final = np.uint8(FeatureReason.NOISE)
_BEFORE_US: Final = 800_000  # an R peak this long before the window may belong to its first pulse


class _Pulse(NamedTuple):
    """The pulse wave of windows."""

    found: Found
    movement: Movement  # (B, S) and (B, S, bins), S segments with the one before the window


def columns(rows: Sequence[Row]) -> Columns:
    """Windows of 60 s."""
    pulse = _moved(rows)
    beats, intervals = _beats(rows, pulse.found)
    made = {
        "ppg_pulse_rate_bpm": rate(
            standing_of(pulse.found.rows, pulse.found.support), inside(intervals)
        )
    }
    window = _window(pulse.found)
    own = _pulses(pulse.found, beats)
    level = slice(_RAW_MEDIAN, _RAW_MEDIAN + 1)
    table = dense(pulse.found.rows, pulse.found.segments, numbers=level)
    made |= shape_columns(window, own, row_median(table[:, :, 0]))
    made |= _arrival(rows, pulse.found, own)
    made["ppg_track_rate_bpm"] = _tracked(pulse)
    return made


def long_columns(rows: Sequence[Row]) -> Columns:
    """Windows of 300 s."""
    pulse = _moved(rows)
    intervals = inside(_beats(rows, pulse.found)[1])
    normal = intervals.kind == Kind.NORMAL
    asked = WindowIntervals(intervals.row, intervals.nn_ms, normal, intervals.joined)
    return variability_columns(_window(pulse.found), asked)


def _moved(rows: Sequence[Row]) -> _Pulse:
    """The pulse wave, its segments judged again where the same device says that it moved."""
    found = look_up(rows, ["ppg"], SEGMENT_US)
    acc = look_up(rows, [MOTION], SEGMENT_US)
    wave = slotted(found.rows, found.segments, SEGMENT_US)
    movement, share = moved(
        slotted(acc.rows, acc.segments, SEGMENT_US), wave, _same_device(found, acc), _WHERE
    )
    if not share.any():
        return _Pulse(found, movement)
    segments, slot = found.segments, wave.slot
    known = (slot >= 0) & (slot < share.shape[1])
    lost = np.where(known, share[segments.row, np.clip(slot, 0, share.shape[1] - 1)], 0.0)
    quality = segments.quality * (1.0 - lost)
    failed = segments.ok & (lost > 0) & (quality < GATE)
    reason = np.where(failed, _NOISE, segments.reason)
    segments = segments._replace(quality=quality, ok=segments.ok & ~failed, reason=reason)
    support = support_of(found.rows, segments)
    return _Pulse(Found(found.rows, segments, support, found.devices), movement)


def _same_device(one: Found, other: Found) -> Bools:
    """Rows in which both signals come from one device, and so from one clock and one limb."""
    return np.array([a == b for a, b in zip(one.devices, other.devices, strict=True)], np.bool_)


def _beats(rows: Sequence[Row], found: Found) -> tuple[FoundBeats, Intervals]:
    """Pulses and their intervals; where nothing moved the pulses are anybody's."""
    heard = pulses(rows)
    beats = heard.beats if heard.found is found else beats_in(found, "ppg")
    sinus = np.zeros(beats.run.size, np.bool_)
    return beats, intervals_of(found.rows, beats, sinus)


def _window(found: Found) -> Window:
    rows, support = found.rows, found.support
    lost = lost_to(rows, support, np.zeros(rows.start_us.size, np.bool_))
    usable = np.where(rows.known, support.usable, 0.0)
    return Window(rows.end_us - rows.start_us, usable, support.quality, lost)


def _pulses(found: Found, beats: FoundBeats) -> WindowPulses:
    """Pulses that lie in the window itself."""
    events = beats.events
    at = events.times_us - found.rows.start_us[events.row]
    own = (at >= 0) & (events.times_us < found.rows.end_us[events.row])
    numbers = events.extra[own].astype(np.float64)
    return WindowPulses(events.row[own], at[own], numbers[:, _AMPLITUDE], numbers[:, _RISE_S])


def _arrival(rows: Sequence[Row], found: Found, own: WindowPulses) -> Columns:
    """From R peaks on the same device's clock."""
    ecg, beats = r_peaks(rows)
    one_clock = _same_device(found, ecg)
    row = beats.events.row
    at = beats.events.times_us - ecg.rows.start_us[row]
    kept = one_clock[row] & (at >= -_BEFORE_US)
    window, heart = _window(found), _window(ecg)
    both = Window(
        window.length_us,
        np.minimum(window.usable, heart.usable),
        np.minimum(window.quality, heart.quality),
        np.where(heart.usable < window.usable, heart.lost_to, window.lost_to).astype(np.uint8),
    )
    return arrival_columns(both, row[kept], at[kept], own)


def _tracked(pulse: _Pulse) -> Column:
    """Rate by the spectrum: also where single pulses cannot be believed."""
    found = pulse.found
    every = found.segments._replace(ok=found.segments.coverage > 0)
    table = dense(found.rows, every, numbers=_RATES)
    bpm, weight = table[:, :, _BPM], number_or(table[:, :, _WEIGHT])
    own = Movement(pulse.movement.line[:, 1:], pulse.movement.strength[:, 1:])
    recorded = support_of(found.rows, every)
    window = _window(found._replace(segments=every, support=recorded))
    return tracked_rate_column(window, bpm, without_cadence(bpm, weight, own))
