"""An analysed segment as the bytes that a ring keeps: made for a whole block, kept one by one.

A patient's ring is a few byte strings; putting a segment into one and cutting a window out of one
are copies of bytes, whatever numbers the signal has.
Not here: which bytes a ring keeps how long (`features.signal_ring`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.feature import FeatureReason
from features.intervals import Bools, Floats, Ints
from features.primitives import Primitives

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
_EVENT: Final = [("times_us", "<i8"), ("values", "<f4"), ("run", "<i2")]
EVENT_BYTES: Final = np.dtype(_EVENT).itemsize
NUMBER_BYTES: Final = 4  # of float32
_HIGH_SHARE: Final = 0.9  # of a segment's beats: which counts as its highest


class Shape(NamedTuple):
    """How many numbers a signal's events and segments carry; the same for all its segments."""

    n_extra: int
    n_stats: int

    @property
    def row_bytes(self) -> int:
        """Of a segment."""
        return SEGMENT.itemsize + NUMBER_BYTES * self.n_stats

    @property
    def event_bytes(self) -> int:
        """Of an event."""
        return EVENT_BYTES + NUMBER_BYTES * self.n_extra


class Arrays(NamedTuple):
    """Segments and their events, in order."""

    segments: NDArray[np.void]  # (s,) of `SEGMENT`
    stats: NDArray[np.float32]  # (s, m)
    times_us: NDArray[np.int64]  # (n,)
    values: NDArray[np.float32]  # (n,)
    run: NDArray[np.int16]  # (n,)
    extra: NDArray[np.float32]  # (n, k)


class Heights(NamedTuple):
    """How high the beats of a segment are; of those whose height is a positive number."""

    n: int
    high: float  # the height that a tenth of them pass; NaN without any
    n_sinus: int  # that began above the ventricles
    middle: float  # the median of those, the upper one; NaN without any


class Kept(NamedTuple):
    """One segment on its way into a ring."""

    device_id: str
    signal: str
    start_us: int
    end_us: int
    coverage: float
    reason: int  # FeatureReason
    row: bytes  # as `row_type`
    events: bytes  # as `event_type`
    heights: Heights | None = None  # of an ECG's beats

    @property
    def stats(self) -> NDArray[np.float32]:
        """Numbers of the segment as a whole, (m,)."""
        return np.frombuffer(self.row, "<f4", offset=SEGMENT.itemsize)

    def refused(self, reason: FeatureReason) -> Kept:
        """The same without quality, for this reason."""
        rows = np.frombuffer(self.row[: SEGMENT.itemsize], SEGMENT).copy()
        rows["quality"], rows["reason"] = 0.0, reason
        row = rows.tobytes() + self.row[SEGMENT.itemsize :]
        return self._replace(reason=int(reason), row=row)


@lru_cache(maxsize=64)
def row_type(n_stats: int) -> np.dtype[np.void]:
    """A segment with so many numbers."""
    return np.dtype([("segment", SEGMENT), ("stats", "<f4", (n_stats,))])


@lru_cache(maxsize=64)
def event_type(n_extra: int) -> np.dtype[np.void]:
    """An event with so many further numbers."""
    return np.dtype([*_EVENT, ("extra", "<f4", (n_extra,))])


def arrays_of(shape: Shape, rows: bytes | bytearray, events: bytes | bytearray) -> Arrays:
    """Bytes as arrays; to be read only."""
    table = np.frombuffer(rows, row_type(shape.n_stats))
    flat = np.frombuffer(events, event_type(shape.n_extra))
    return Arrays(
        table["segment"],
        table["stats"],
        flat["times_us"],
        flat["values"],
        flat["run"],
        flat["extra"],
    )


def bytes_of(shape: Shape, kept: Arrays) -> tuple[bytes, bytes]:
    """Arrays as bytes, rows and events; numbers of another shape are NaN."""
    rows = np.empty(len(kept.segments), row_type(shape.n_stats))
    rows["segment"], rows["stats"] = kept.segments, _fitting(kept.stats, shape.n_stats)
    events = np.empty(len(kept.times_us), event_type(shape.n_extra))
    events["times_us"], events["values"], events["run"] = kept.times_us, kept.values, kept.run
    events["extra"] = _fitting(kept.extra, shape.n_extra)
    return rows.tobytes(), events.tobytes()


def _fitting(part: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """A table, or one of NaN where it has another width."""
    return part if part.shape[1] == width else np.full((len(part), width), np.nan, np.float32)


def kept_of(p: Primitives, shape: Shape, ectopic: int | None = None) -> Kept:
    """One segment as bytes; `ectopic` is that number's place among those of an ECG's events."""
    n = p.times_us.size
    segments = np.empty(1, SEGMENT)
    segments["start_us"], segments["end_us"], segments["n_events"] = p.start_us, p.end_us, n
    segments["coverage"], segments["quality"], segments["reason"] = p.coverage, p.quality, p.reason
    segments["open_left"], segments["open_right"] = p.open_left, p.open_right
    extra = p.extra if len(p.extra) == n else np.empty((n, 0), np.float32)
    values = p.values.astype(np.float32)
    parts = Arrays(segments, p.stats[None, :], p.times_us, values, p.run, extra)
    heights = None
    if ectopic is not None:
        known = p.extra.shape[1] > ectopic
        likely = p.extra[:, ectopic] if known else np.zeros(n, np.float32)
        heights = heights_of(np.zeros(n, np.intp), p.values, likely, 1)[0]
    start, end = p.start_us, p.end_us
    found = bytes_of(shape, parts)
    return Kept(p.device_id, p.signal, start, end, p.coverage, int(p.reason), *found, heights)


def heights_of(row: Ints, heights: Floats, ectopic: NDArray[Any], n_rows: int) -> list[Heights]:
    """How high the beats of each of `n_rows` segments are.

    Parameters
    ----------
    row : (n,) int, ascending
    heights : (n,) float64
    ectopic : (n,) float
        Chance that the beat is ventricular; above a half it is.
    """
    order = np.lexsort((heights, row))
    row, heights = row[order], heights[order]
    known = np.isfinite(heights) & (heights > 0)
    sinus = known & ~(ectopic[order] > _LIKELY)
    n, high = _picked(row, heights, known, n_rows, _high)
    n_sinus, middle = _picked(row, heights, sinus, n_rows, _middle)
    return [Heights(*both) for both in zip(n, high, n_sinus, middle, strict=True)]


_LIKELY: Final = 0.5


def _high(n: Ints) -> Ints:
    return (_HIGH_SHARE * (n - 1)).astype(np.intp)


def _middle(n: Ints) -> Ints:
    return n // 2


def _picked(
    row: Ints, heights: Floats, chosen: Bools, n_rows: int, place_of: Any
) -> tuple[list[int], list[float]]:
    """How many are chosen of each row, and the one at a place of their number; sorted within."""
    own = heights[chosen]
    n = np.bincount(row[chosen], minlength=n_rows)
    first = np.cumsum(n) - n
    at = np.where(n > 0, first + place_of(n), 0)
    found = own[np.minimum(at, max(own.size - 1, 0))] if own.size else np.full(n_rows, np.nan)
    return n.tolist(), np.where(n > 0, found, np.nan).tolist()
