"""Analysed segments of one signal of one device, all with the same numbers, as two byte strings.

A few objects per signal instead of a few per segment: a window is one slice of each, and a patient
costs kilobytes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

import numpy as np

from features.kept import Arrays, Shape, arrays_of, bytes_of

Bytes = bytes | bytearray


class FlatRing:
    """Segments ascending by start; their borders are mirrored where bisecting is fast."""

    __slots__ = (
        "_base",
        "_events",
        "_row_bytes",
        "_rows",
        "ends_us",
        "shape",
        "starts_us",
        "stops",
    )

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.starts_us = array("q")
        self.ends_us = array("q")
        self.stops = array("q")  # bytes of events ever kept, up to the end of each segment
        self._base = 0  # of these, bytes that are gone
        self._rows = bytearray()
        self._events = bytearray()
        self._row_bytes = shape.row_bytes

    def __len__(self) -> int:
        return len(self.starts_us)

    def insert(self, start_us: int, end_us: int, row: Bytes, events: Bytes) -> None:
        """Keep a segment; one of the same start goes."""
        starts_us, stops = self.starts_us, self.stops
        if starts_us:
            if start_us <= starts_us[-1]:
                self._insert_before(start_us, end_us, row, events)
                return
            stops.append(stops[-1] + len(events))
        else:
            stops.append(self._base + len(events))
        self._rows += row
        self._events += events
        starts_us.append(start_us)
        self.ends_us.append(end_us)

    def ended_by(self, before_us: int) -> int:
        """How many segments, from the first on, end at or before `before_us`."""
        n, ends_us = 0, self.ends_us
        while n < len(ends_us) and ends_us[n] <= before_us:
            n += 1
        return n

    def ended(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Places of the segments that reach beyond `start_us` and end by `end_us`."""
        starts_us, ends_us = self.starts_us, self.ends_us
        last = len(ends_us)
        if last and ends_us[-1] > end_us:
            last = bisect_right(starts_us, end_us)
            while last and ends_us[last - 1] > end_us:
                last -= 1
        if last and starts_us[0] >= start_us:
            return 0, last
        first = bisect_left(starts_us, start_us, 0, last)
        while first and ends_us[first - 1] > start_us:
            first -= 1
        return first, last

    def view(self, first: int, last: int) -> tuple[bytearray, bytearray]:
        """Copies of segments `[first, last)` and of their events."""
        if first == 0 and last == len(self.stops):
            return self._rows[:], self._events[:]
        width, base = self._row_bytes, self._base
        begin = self.stops[first - 1] - base if first else 0
        stop = self.stops[last - 1] - base if last > first else begin
        return self._rows[first * width : last * width], self._events[begin:stop]

    def append(self, start_us: int, end_us: int, row: Bytes, events: Bytes) -> None:
        """Keep a segment later than all others."""
        stop = (self.stops[-1] if self.stops else self._base) + len(events)
        self._rows += row
        self._events += events
        self.starts_us.append(start_us)
        self.ends_us.append(end_us)
        self.stops.append(stop)

    def _insert_before(self, start_us: int, end_us: int, row: Bytes, events: Bytes) -> None:
        """A segment out of order: those after it are put back one by one."""
        at = bisect_left(self.starts_us, start_us)
        same = self.starts_us[at] == start_us
        later = [
            (self.starts_us[i], self.ends_us[i], *self.view(i, i + 1))
            for i in range(at + same, len(self))
        ]
        begin = self.stops[at - 1] - self._base if at else 0
        del self._rows[at * self._row_bytes :], self._events[begin:]
        del self.starts_us[at:], self.ends_us[at:], self.stops[at:]
        self.append(start_us, end_us, row, events)
        for one in later:
            self.append(*one)

    def forget(self, n: int) -> None:
        """Drop the first n segments; their room is taken back when more is needed."""
        stop = self.stops[n - 1]
        del self._rows[: n * self._row_bytes], self._events[: stop - self._base]
        del self.starts_us[:n], self.ends_us[:n], self.stops[:n]
        self._base = stop

    def arrays(self) -> Arrays:
        """All of it, as arrays of their own."""
        return arrays_of(self.shape, *self.view(0, len(self)))

    @classmethod
    def of(cls, shape: Shape, kept: Arrays) -> FlatRing:
        """A ring with a copy of these arrays; ValueError if they do not fit each other."""
        segments, counts = kept.segments, kept.segments["n_events"]
        if (counts < 0).any() or int(counts.sum()) != len(kept.times_us):
            raise ValueError("segments and events of a ring do not fit")
        ring = cls(shape)
        rows, events = bytes_of(shape, kept)
        ring._rows, ring._events = bytearray(rows), bytearray(events)
        ring.starts_us = array("q", segments["start_us"].tolist())
        ring.ends_us = array("q", segments["end_us"].tolist())
        ring.stops = array("q", (np.cumsum(counts) * shape.event_bytes).tolist())
        return ring
