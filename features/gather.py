"""Segments of many patients' windows as flat tables, and how much of each window they support.

Not here: which segments a patient has (`features.rings`), what is computed from them
(`features.extract`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason
from features.ecg import kernels
from features.intervals import Bools, Floats, Ints, row_sums
from features.lean import unknown
from features.signal_ring import Kind, View, joined
from streams.segments import SEGMENT_US

_N_REASONS = len(FeatureReason)
_PLAIN = Kind(0, 0)
_OK, _NO_SIGNAL = np.uint8(FeatureReason.OK), np.uint8(FeatureReason.NO_SIGNAL)
# As the loop takes them.
_NAMED = (
    _N_REASONS,
    int(FeatureReason.TOO_SHORT),
    int(FeatureReason.GAP),
    int(FeatureReason.OK),
)


class Rows(NamedTuple):
    """What is asked, one value per row."""

    start_us: Ints
    end_us: Ints
    first_us: Ints  # of the signal's first data ever; `end_us` or later: none yet
    known: Bools  # the patient had this signal before the window's end


class Events(NamedTuple):
    """Events of segments; one value per event."""

    row: Ints
    place: Ints  # of its segment in `Segments`
    times_us: Ints
    values: Floats
    run: Ints
    extra: NDArray[np.float32]  # (n, k), as `features.layout.EVENT_NUMBERS`


class Segments(NamedTuple):
    """Segments of all rows, row after row, in time order, and their events in that order."""

    row: Ints  # (s,)
    start_us: Ints
    end_us: Ints
    coverage: Floats
    quality: Floats
    reason: NDArray[np.uint8]
    ok: Bools  # passed the gate
    open_left: Bools
    open_right: Bools
    n_events: Ints
    stats: NDArray[np.float32]  # (s, m)
    events: Events  # of all segments, (n,)


class Support(NamedTuple):
    """How far each row's window can be judged at all; one value per row."""

    usable: Floats  # 0-1, share of the window recorded in segments that passed the gate
    quality: Floats  # 0-1, mean over the usable time; 0 without any
    reason: NDArray[np.uint8]  # what most of the rest was lost to; never OK


def rows_of(start_us: Sequence[int], end_us: Sequence[int], first_us: Sequence[int | None]) -> Rows:
    """Windows, and when their signals were first heard, as arrays."""
    first = [end if us is None else us for us, end in zip(first_us, end_us, strict=True)]
    arrays = (np.array(us, np.int64) for us in (start_us, end_us, first))
    start, end, heard = arrays
    return Rows(start, end, heard, heard < end)


def segments_of(found: Sequence[View | None], shape: Kind = _PLAIN) -> Segments:
    """Flat table of the segments found for each row; `shape` is that of their signal."""
    # Copies: what is only a view of bytes cannot be written to, which loops take for another type.
    kept, counts = joined(shape, found)
    segments = kept.segments
    row = np.repeat(np.arange(len(found)), counts)
    reason = segments["reason"].copy()
    n_events = segments["n_events"].astype(np.int64)
    place = np.repeat(np.arange(row.size), n_events)
    events = Events(
        row[place],
        place,
        kept.times_us.copy(),
        kept.values.astype(np.float64),
        kept.run.astype(np.int64),
        kept.extra.copy(),
    )
    return Segments(
        row,
        segments["start_us"].astype(np.int64),
        segments["end_us"].astype(np.int64),
        _shares(segments["coverage"]),
        _shares(segments["quality"]),
        reason,
        reason == _OK,
        segments["open_left"].copy(),
        segments["open_right"].copy(),
        n_events,
        kept.stats.copy(),
        events,
    )


def chosen_of(segments: Segments, chosen: Bools) -> Segments:
    """Only these segments, and their events."""
    own = chosen[segments.events.place]
    place = (np.cumsum(chosen) - 1)[segments.events.place[own]]
    return Segments(
        segments.row[chosen],
        segments.start_us[chosen],
        segments.end_us[chosen],
        segments.coverage[chosen],
        segments.quality[chosen],
        segments.reason[chosen],
        segments.ok[chosen],
        segments.open_left[chosen],
        segments.open_right[chosen],
        segments.n_events[chosen],
        segments.stats[chosen],
        select(segments.events, own)._replace(place=place),
    )


def support_of(rows: Rows, segments: Segments) -> Support:
    """How much of each window passed the gate, how good it was, and why not all of it.

    Parameters
    ----------
    rows : Rows
        B windows.
    segments : Segments
        Their segments, context before the window allowed.

    Returns
    -------
    Support
        (B,) each. Of several reasons that with the largest share of the window's time counts:
        what failing segments say of themselves; `TOO_SHORT` for the time before the signal's
        first data ever; `GAP` for all other time that was not recorded.
    """
    row, n_rows = segments.row, rows.start_us.size
    if kernels.worth_it(n_rows):
        out = np.zeros(n_rows), np.empty(n_rows), np.empty(n_rows, np.uint8)
        shares = (share.astype(np.float64) for share in (segments.coverage, segments.quality))
        of_segments = row, segments.start_us, segments.end_us, *shares, segments.reason, segments.ok
        _loops().support(rows[:3], of_segments, _NAMED, out)
        return Support(*out)
    begin_us = np.maximum(segments.start_us, rows.start_us[row])
    inside_us = np.maximum(np.minimum(segments.end_us, rows.end_us[row]) - begin_us, 0) * 1.0
    usable_us = np.where(segments.ok, inside_us * segments.coverage, 0.0)
    usable = row_sums(usable_us, row, n_rows)
    quality = np.zeros(n_rows)
    weighted = row_sums(usable_us * segments.quality, row, n_rows)
    np.divide(weighted, usable, out=quality, where=usable > 0)
    lost_us = row_sums(
        np.where(segments.ok, 0.0, inside_us),
        row * _N_REASONS + segments.reason,
        n_rows * _N_REASONS,
    ).reshape(n_rows, _N_REASONS)
    length_us = rows.end_us - rows.start_us
    unborn_us = np.clip(rows.first_us - rows.start_us, 0, length_us)
    lost_us[:, FeatureReason.TOO_SHORT] += unborn_us
    named_us = lost_us.cumsum(axis=1)[:, -1]
    lost_us[:, FeatureReason.GAP] += np.maximum(length_us - usable - named_us, 0.0)
    lost_us[:, FeatureReason.OK] = -1.0
    return Support(
        np.minimum(usable / np.maximum(length_us, 1), 1.0),
        np.minimum(quality, 1.0),
        lost_us.argmax(axis=1).astype(np.uint8),
    )


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.window_loops")


def events_of(segments: Segments) -> Events:
    """Finite events of the segments that passed the gate, in order."""
    events = segments.events
    chosen = segments.ok[events.place] & np.isfinite(events.values)
    return events if chosen.all() else select(events, chosen)


def select(events: Events, chosen: Bools) -> Events:
    """Only these events."""
    return Events(
        events.row[chosen],
        events.place[chosen],
        events.times_us[chosen],
        events.values[chosen],
        events.run[chosen],
        events.extra[chosen],
    )


class Slotted(NamedTuple):
    """Segments by their place in their window; one value per segment."""

    row: Ints
    slot: Ints
    kept: Bools  # passed, and begins on the grid of whole segments in the window
    numbers: NDArray[np.float32]  # (s, m)
    n_slots: int


def slotted(rows: Rows, segments: Segments, lead_us: int = 0) -> Slotted:
    """Which slot of 10 s of its window, from `lead_us` before it on, each segment fills."""
    length_us = int((rows.end_us - rows.start_us).max(initial=0)) + lead_us
    n_slots = length_us // SEGMENT_US
    since_us = segments.start_us - (rows.start_us - lead_us)[segments.row]
    slot = since_us // SEGMENT_US
    kept = segments.ok & (slot >= 0) & (slot < n_slots) & (since_us == slot * SEGMENT_US)
    return Slotted(segments.row, slot, kept, segments.stats, n_slots)


def dense(
    rows: Rows, segments: Segments, lead_us: int = 0, numbers: slice | None = None
) -> NDArray[np.float64]:
    """Numbers of the segments that passed, by their place in the window.

    Parameters
    ----------
    rows : Rows
        B windows of one length.
    segments : Segments
        Theirs; what begins off the grid of whole segments is left out.
    lead_us : int
        How far before the window the result begins, a multiple of 10 s.
    numbers : slice, optional
        Only these.

    Returns
    -------
    (B, S, m) float64
        NaN where there is no segment or it failed.
    """
    row, slot, kept, every, n_slots = slotted(rows, segments, lead_us)
    told = every if numbers is None else every[:, numbers]
    out = unknown((rows.start_us.size, n_slots, told.shape[1]))
    if kept.all():
        out[row, slot] = told
    else:
        out[row[kept], slot[kept]] = told[kept]
    return out


def lost_to(rows: Rows, support: Support, enough: Bools) -> NDArray[np.uint8]:
    """OK where there is enough; else what most of the window's time was lost to."""
    reason = np.where(rows.known, support.reason, _NO_SIGNAL)
    reason[enough & rows.known] = _OK
    return reason


def _shares(values: Floats) -> Floats:
    """Values as 0-1; what is no number is 0."""
    shares: Floats = np.fmin(np.fmax(values, 0.0), 1.0)
    return shares
