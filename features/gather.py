"""Segments of many patients' windows as flat tables, and how much of each window they support.

Not here: which segments a patient has (`features.rings`), what is computed from them
(`features.extract`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason
from features.intervals import Bools, Floats, Ints, row_sums
from features.primitives import Primitives
from features.rings import Rings
from streams.windows import Window

_N_REASONS = len(FeatureReason)
_N_FIELDS = len(Primitives._fields)
_Number = TypeVar("_Number", np.float64, np.int64)


class Request(NamedTuple):
    """One signal of one patient in one window: a row of what follows."""

    rings: Rings
    window: Window
    signal: str


class Rows(NamedTuple):
    """What is asked, one value per row."""

    start_us: Ints
    end_us: Ints
    first_us: Ints  # of the signal's first data ever; `end_us` or later: none yet
    known: Bools  # the patient had this signal before the window's end


class Segments(NamedTuple):
    """Segments of all rows, row after row, in time order; one value per segment."""

    row: Ints
    start_us: Ints
    end_us: Ints
    coverage: Floats
    quality: Floats
    reason: NDArray[np.uint8]
    ok: Bools  # passed the gate
    open_left: Bools
    open_right: Bools
    times_us: Sequence[NDArray[np.int64]]  # of each segment's events
    values: Sequence[Floats]
    run: Sequence[NDArray[np.int16]]


class Support(NamedTuple):
    """How far each row's window can be judged at all; one value per row."""

    usable: Floats  # 0-1, share of the window recorded in segments that passed the gate
    quality: Floats  # 0-1, mean over the usable time; 0 without any
    reason: NDArray[np.uint8]  # what most of the rest was lost to; never OK


class Events(NamedTuple):
    """Events of the segments that passed; one value per event."""

    row: Ints
    place: Ints  # of its segment in `Segments`
    times_us: Ints
    values: Floats
    run: Ints


def rows_of(requests: Sequence[Request]) -> Rows:
    """The windows asked for, as arrays."""
    start_us = np.array([request.window.start_us for request in requests], np.int64)
    end_us = np.array([request.window.end_us for request in requests], np.int64)
    first = [request.rings.first_us(request.signal) for request in requests]
    first_us = np.array(
        [end if us is None else us for us, end in zip(first, end_us, strict=True)], np.int64
    )
    return Rows(start_us, end_us, first_us, first_us < end_us)


def segments_of(found: Sequence[Sequence[Primitives]]) -> Segments:
    """Flat table of the segments found for each row."""
    items = list(chain.from_iterable(found))
    columns: list[Sequence[Any]] = list(zip(*items, strict=True)) if items else [()] * _N_FIELDS
    _, _, start_us, end_us, coverage, quality, why, times_us, values, run, left, right = columns
    count = np.array([len(own) for own in found], np.int64)
    reason = np.array(why, np.uint8)
    return Segments(
        np.repeat(np.arange(count.size), count),
        np.array(start_us, np.int64),
        np.array(end_us, np.int64),
        _shares(coverage),
        _shares(quality),
        reason,
        reason == FeatureReason.OK,
        np.array(left, np.bool_),
        np.array(right, np.bool_),
        times_us,
        values,
        run,
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


def events_of(segments: Segments) -> Events:
    """Finite events of the segments that passed the gate, in order."""
    chosen = np.flatnonzero(segments.ok).tolist()
    times_us = [segments.times_us[i] for i in chosen]
    place = np.repeat(chosen, [times.size for times in times_us]).astype(np.int64)
    values = _joined([segments.values[i] for i in chosen], np.float64)
    events = Events(
        segments.row[place],
        place,
        _joined(times_us, np.int64),
        values,
        _joined([segments.run[i] for i in chosen], np.int64),
    )
    finite = np.isfinite(values)
    return events if finite.all() else select(events, finite)


def select(events: Events, chosen: Bools) -> Events:
    """Only these events."""
    return Events(
        events.row[chosen],
        events.place[chosen],
        events.times_us[chosen],
        events.values[chosen],
        events.run[chosen],
    )


def lost_to(rows: Rows, support: Support, enough: Bools) -> NDArray[np.uint8]:
    """OK where there is enough; else what most of the window's time was lost to."""
    reason = np.where(rows.known, support.reason, FeatureReason.NO_SIGNAL).astype(np.uint8)
    reason[enough & rows.known] = FeatureReason.OK
    return reason


def _shares(values: Sequence[float]) -> Floats:
    """Values as 0-1; what is no number is 0."""
    shares: Floats = np.clip(np.nan_to_num(np.array(values, np.float64)), 0.0, 1.0)
    return shares


def _joined(parts: Sequence[NDArray[Any]], kind: type[_Number]) -> NDArray[_Number]:
    """Arrays end to end; empty for none."""
    return np.concatenate(parts).astype(kind, copy=False) if parts else np.empty(0, kind)
