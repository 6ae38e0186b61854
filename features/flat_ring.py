"""Analysed segments of one signal of one device, all with the same numbers, as flat arrays.

A few arrays per signal instead of a few per segment: a window is one slice of each, and a patient
costs kilobytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import FeatureReason
from features.primitives import Primitives

_FIRST_ROOM: Final = 8
_SPARE: Final = 4  # a quarter more room than is needed, so that making room is rare

SEGMENT: Final = np.dtype(
    [
        ("start_us", "<i8"),
        ("end_us", "<i8"),
        ("coverage", "<f4"),
        ("quality", "<f4"),
        ("n_events", "<i4"),
        ("reason", "u1"),
        ("open_left", "?"),
        ("open_right", "?"),
    ]
)


class Shape(NamedTuple):
    """How many numbers a signal's events and segments carry; the same for all its segments."""

    n_extra: int
    n_stats: int


class Arrays(NamedTuple):
    """Segments and their events, in order."""

    segments: NDArray[np.void]  # (s,) of `SEGMENT`
    stats: NDArray[np.float32]  # (s, m)
    times_us: NDArray[np.int64]  # (n,)
    values: NDArray[np.float32]  # (n,)
    run: NDArray[np.int16]  # (n,)
    extra: NDArray[np.float32]  # (n, k)


class FlatRing:
    """Segments ascending by start; their borders are mirrored where bisecting is fast."""

    __slots__ = ("_head", "_kept", "ends_us", "shape", "starts_us", "stops")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.starts_us = array("q")
        self.ends_us = array("q")
        self.stops = array("q")  # one past the last event of each segment
        self._head = 0  # first event still wanted
        self._kept = _room(shape, 0, 0)

    def __len__(self) -> int:
        return len(self.starts_us)

    def insert(self, p: Primitives) -> None:
        """Keep a segment; one of the same start goes."""
        if self.starts_us and p.start_us <= self.starts_us[-1]:
            self._insert_before(p)
        else:
            self._append(p)

    def ended_by(self, before_us: int) -> int:
        """How many segments, from the first on, end at or before `before_us`."""
        n, ends_us = 0, self.ends_us
        while n < len(ends_us) and ends_us[n] <= before_us:
            n += 1
        return n

    def ended(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Places of the segments that reach beyond `start_us` and end by `end_us`."""
        ends_us = self.ends_us
        last = bisect_right(self.starts_us, end_us)
        while last and ends_us[last - 1] > end_us:
            last -= 1
        first = bisect_left(self.starts_us, start_us, 0, last)
        while first and ends_us[first - 1] > start_us:
            first -= 1
        return first, last

    def view(self, first: int, last: int) -> Arrays:
        """Segments `[first, last)`; the arrays are the ring's own, to be read only."""
        begin = self._head if first == 0 else self.stops[first - 1]
        stop = begin if last <= first else self.stops[last - 1]
        kept, events = self._kept, slice(begin, stop)
        return Arrays(
            kept.segments[first:last],
            kept.stats[first:last],
            kept.times_us[events],
            kept.values[events],
            kept.run[events],
            kept.extra[events],
        )

    def _append(self, p: Primitives) -> None:
        n, n_events = len(self.starts_us), p.times_us.size
        begin = self.stops[-1] if self.stops else self._head
        stop = begin + n_events
        if n == len(self._kept.segments) or stop > self._kept.times_us.size:
            begin, stop = self._make_room(n_events)
        kept = self._kept
        kept.segments[n] = (
            p.start_us,
            p.end_us,
            p.coverage,
            p.quality,
            n_events,
            p.reason,
            p.open_left,
            p.open_right,
        )
        if self.shape.n_stats:
            kept.stats[n] = p.stats if p.stats.size == self.shape.n_stats else np.nan
        if n_events:
            kept.times_us[begin:stop] = p.times_us
            kept.values[begin:stop] = p.values
            kept.run[begin:stop] = p.run
        if n_events and self.shape.n_extra:
            fits = p.extra.shape == (n_events, self.shape.n_extra)
            kept.extra[begin:stop] = p.extra if fits else np.nan
        self.starts_us.append(p.start_us)
        self.ends_us.append(p.end_us)
        self.stops.append(stop)

    def take(
        self, other: FlatRing, i: int, extra: slice | list[int], stats: slice | list[int]
    ) -> None:
        """Append segment i of another ring, later than all of this one, with these numbers only."""
        n, view = len(self.starts_us), other.view(i, i + 1)
        n_events = view.times_us.size
        begin = self.stops[-1] if self.stops else self._head
        stop = begin + n_events
        if n == len(self._kept.segments) or stop > self._kept.times_us.size:
            begin, stop = self._make_room(n_events)
        kept = self._kept
        kept.segments[n] = view.segments[0]
        if self.shape.n_stats:
            kept.stats[n] = view.stats[0, stats]
        if n_events:
            kept.times_us[begin:stop] = view.times_us
            kept.values[begin:stop] = view.values
            kept.run[begin:stop] = view.run
            if self.shape.n_extra:
                kept.extra[begin:stop] = view.extra[:, extra]
        self.starts_us.append(other.starts_us[i])
        self.ends_us.append(other.ends_us[i])
        self.stops.append(stop)

    def _insert_before(self, p: Primitives) -> None:
        """A segment out of order: those after it are put back one by one."""
        at = bisect_left(self.starts_us, p.start_us)
        same = self.starts_us[at] == p.start_us
        later = [self.primitives(i, p.device_id, p.signal) for i in range(at + same, len(self))]
        del self.starts_us[at:], self.ends_us[at:], self.stops[at:]
        for one in (p, *later):
            self._append(one)

    def primitives(self, i: int, device_id: str, signal: str) -> Primitives:
        """Segment i as it was inserted, with copies of its arrays."""
        view = self.view(i, i + 1)
        segment = view.segments[0]
        return Primitives(
            device_id,
            signal,
            int(segment["start_us"]),
            int(segment["end_us"]),
            float(segment["coverage"]),
            float(segment["quality"]),
            FeatureReason(int(segment["reason"])),
            view.times_us.copy(),
            view.values.astype(np.float64),
            view.run.copy(),
            bool(segment["open_left"]),
            bool(segment["open_right"]),
            view.extra.copy(),
            view.stats[0].copy(),
        )

    def forget(self, n: int) -> None:
        """Drop the first n segments; their events' room is taken back when more is needed."""
        kept, last = self._kept, len(self)
        self._head = self.stops[n - 1]
        kept.segments[: last - n] = kept.segments[n:last]
        kept.stats[: last - n] = kept.stats[n:last]
        del self.starts_us[:n], self.ends_us[:n], self.stops[:n]

    def _make_room(self, n_events: int) -> tuple[int, int]:
        """Room for a segment of `n_events` more; returns where its events go."""
        old = self.view(0, len(self))
        n, used = len(self), old.times_us.size
        rows = len(self._kept.segments)
        if n == rows:
            rows = max(_FIRST_ROOM, rows + rows // _SPARE + 1)
        needed = used + n_events
        self._kept = _room(self.shape, rows, needed + needed // _SPARE + 1)
        kept = self._kept
        kept.segments[:n], kept.stats[:n] = old.segments, old.stats
        kept.times_us[:used], kept.values[:used] = old.times_us, old.values
        kept.run[:used], kept.extra[:used] = old.run, old.extra
        self.stops = array("q", [stop - self._head for stop in self.stops])
        self._head = 0
        return used, used + n_events

    @classmethod
    def of(cls, shape: Shape, kept: Arrays) -> FlatRing:
        """A ring with a copy of these arrays; ValueError if they do not fit each other."""
        segments, counts = kept.segments, kept.segments["n_events"]
        n, n_events = len(segments), len(kept.times_us)
        if (counts < 0).any() or int(counts.sum()) != n_events:
            raise ValueError("segments and events of a ring do not fit")
        ring = cls(shape)
        ring._kept = _room(shape, n, n_events)
        ring._kept.segments[:], ring._kept.stats[:] = segments, kept.stats
        ring._kept.times_us[:], ring._kept.values[:] = kept.times_us, kept.values
        ring._kept.run[:], ring._kept.extra[:] = kept.run, kept.extra
        ring.starts_us = array("q", segments["start_us"].tolist())
        ring.ends_us = array("q", segments["end_us"].tolist())
        ring.stops = array("q", np.cumsum(counts).tolist())
        return ring


def _room(shape: Shape, n_segments: int, n_events: int) -> Arrays:
    """Empty arrays for so many segments and events."""
    return Arrays(
        np.empty(n_segments, SEGMENT),
        np.empty((n_segments, shape.n_stats), np.float32),
        np.empty(n_events, np.int64),
        np.empty(n_events, np.float32),
        np.empty(n_events, np.int16),
        np.empty((n_events, shape.n_extra), np.float32),
    )
