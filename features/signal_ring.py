"""Analysed segments of one signal of one device, in time order; the older ones with fewer numbers.

Spectra, quality indices and the shape of beats are read by windows of a minute only. Older segments
keep what windows of five minutes read: that is most of what a patient costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.flat_ring import FlatRing
from features.intervals import Bools, Ints
from features.kept import EVENT_BYTES, NUMBER_BYTES, SEGMENT, Arrays, Shape, arrays_of

MOST_SEGMENTS: Final = 96  # 16 min of 10-s segments: three times the longest window over them
_NONE: Final = bytearray()
_RECORD: Final = np.dtype((np.void, SEGMENT.itemsize))


class Kind(NamedTuple):
    """Numbers of a signal's events and segments, and which of them last beyond a minute."""

    n_extra: int
    n_stats: int
    lasting_extra: tuple[int, ...] | None = None  # None: all
    lasting_stats: tuple[int, ...] | None = None

    @property
    def fades(self) -> bool:
        """Whether anything does not last."""
        return self.lasting_extra is not None or self.lasting_stats is not None

    @property
    def shape(self) -> Shape:
        """Of what is fresh."""
        return Shape(self.n_extra, self.n_stats)


class View(NamedTuple):
    """A stretch of a ring, and whose it is: copies of what has faded, then of what is fresh."""

    device_id: str
    signal: str
    kind: Kind
    old_rows: bytearray
    old_events: bytearray
    rows: bytearray
    events: bytearray

    @property
    def kept(self) -> Arrays:
        """As arrays; numbers that have faded read NaN."""
        return joined(self.kind, [self])[0]


class SignalRing:
    """Segments ascending by start: first those that have faded, then the fresh ones.

    At most `MOST_SEGMENTS` segments in all.
    """

    __slots__ = ("_faded", "_fading", "_fresh", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._fading = _fading(kind)  # looking it up hashes all places of a kind
        self._faded = FlatRing(self._fading.shape)
        self._fresh = FlatRing(kind.shape)

    def __len__(self) -> int:
        return len(self._faded.starts_us) + len(self._fresh.starts_us)

    def insert(self, start_us: int, end_us: int, row: bytes, events: bytes) -> None:
        """Keep a segment; one of the same start goes, beyond `MOST_SEGMENTS` the oldest."""
        old_us = self._faded.starts_us
        if old_us and start_us <= old_us[-1]:
            self._faded.insert(start_us, end_us, *self._fading.less(row, events))
        else:
            self._fresh.insert(start_us, end_us, row, events)
        if len(old_us) + len(self._fresh.starts_us) > MOST_SEGMENTS:
            self._forget(1)

    def fade(self, before_us: int) -> None:
        """Let segments that end at or before `before_us` keep only what lasts."""
        faded, fresh, fading = self._faded, self._fresh, self._fading
        ends_us = fresh.ends_us
        if not fading.fades or not ends_us or ends_us[0] > before_us:
            return
        n = fresh.ended_by(before_us)
        for i in range(n):
            less = fading.less(*fresh.view(i, i + 1))
            faded.append(fresh.starts_us[i], fresh.ends_us[i], *less)
        fresh.forget(n)

    def prune(self, before_us: int) -> None:
        """Forget segments that end at or before `before_us`."""
        ends_us = self._faded.ends_us or self._fresh.ends_us
        if not ends_us or ends_us[0] > before_us:
            return
        n = self._faded.ended_by(before_us)
        if n == len(self._faded.starts_us):
            n += self._fresh.ended_by(before_us)
        self._forget(n)

    def _forget(self, n: int) -> None:
        old = min(n, len(self._faded))
        if old:
            self._faded.forget(old)
        if n > old:
            self._fresh.forget(n - old)

    def between(self, start_us: int, end_us: int, device_id: str, signal: str) -> View | None:
        """Segments that reach beyond `start_us` and end by `end_us`; None without any."""
        first, last = self._fresh.ended(start_us, end_us)
        some = first < last
        fresh = self._fresh.view(first, last) if some else (_NONE, _NONE)
        old = _NONE, _NONE
        if self._faded.starts_us and (first == 0 or not some):
            old_first, old_last = self._faded.ended(start_us, end_us)
            if old_first < old_last:
                old = self._faded.view(old_first, len(self._faded) if some else old_last)
            elif not some:
                return None
        elif not some:
            return None
        return View(device_id, signal, self.kind, *old, *fresh)

    def view(self, first: int, last: int, device_id: str = "", signal: str = "") -> View:
        """Segments `[first, last)`, said to be of this device and signal."""
        n = len(self._faded.starts_us)
        if first >= n:
            fresh = self._fresh.view(first - n, last - n)
            return View(device_id, signal, self.kind, _NONE, _NONE, *fresh)
        old = self._faded.view(first, min(last, n))
        fresh = self._fresh.view(0, last - n) if last > n else (_NONE, _NONE)
        return View(device_id, signal, self.kind, *old, *fresh)

    def parts(self) -> tuple[Arrays, Arrays]:
        """What has faded, and what is fresh."""
        return self._faded.arrays(), self._fresh.arrays()

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """Shapes of `parts`."""
        return self._faded.shape, self._fresh.shape

    @classmethod
    def of(cls, kind: Kind, faded: Arrays, fresh: Arrays) -> SignalRing:
        """The ring with these parts; ValueError if they do not fit each other."""
        ring = cls(kind)
        ring._faded = FlatRing.of(ring._faded.shape, faded)
        ring._fresh = FlatRing.of(ring._fresh.shape, fresh)
        if len(ring) > MOST_SEGMENTS:
            raise ValueError("a ring holds too many segments")
        return ring


class _Fading:
    """What lasts of a kind's segments and events, as places of bytes."""

    def __init__(self, kind: Kind) -> None:
        self.extra = _places(kind.lasting_extra, kind.n_extra)
        self.stats = _places(kind.lasting_stats, kind.n_stats)
        self.shape = Shape(self.extra.size, self.stats.size)
        self.fades = kind.fades
        self._row = _slices(SEGMENT.itemsize, self.stats)
        self._event = _bytes(EVENT_BYTES, self.extra)
        self._event_bytes = kind.shape.event_bytes

    def less(self, row: bytes | bytearray, events: bytes | bytearray) -> tuple[bytes, bytes]:
        """A segment and its events without what does not last."""
        less = b"".join([row[part] for part in self._row])
        if not events or self._event.size == self._event_bytes:
            return less, bytes(events)
        table = np.frombuffer(events, np.uint8).reshape(-1, self._event_bytes)
        return less, table.take(self._event, axis=1).tobytes()


@lru_cache(maxsize=64)
def _fading(kind: Kind) -> _Fading:
    return _Fading(kind)


def _places(lasting: tuple[int, ...] | None, n: int) -> Ints:
    return np.arange(n) if lasting is None else np.array(lasting, np.intp)


def _bytes(head: int, numbers: Ints) -> Ints:
    """Places of the first `head` bytes, and of these numbers after them."""
    own = head + NUMBER_BYTES * numbers[:, None] + np.arange(NUMBER_BYTES)
    return np.concatenate([np.arange(head), own.reshape(-1)])


def _slices(head: int, numbers: Ints) -> list[slice]:
    """The same as stretches."""
    places = _bytes(head, numbers)
    parts = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def joined(kind: Kind, views: Sequence[View | None]) -> tuple[Arrays, Ints]:
    """Segments of many stretches end to end, and how many each has.

    Parameters
    ----------
    kind : Kind
        Of all of them.
    views : sequence of View
        None: nothing.

    Returns
    -------
    Arrays, (len(views),) int
        Numbers that have faded read NaN. To be read only.
    """
    shape, fading = kind.shape, _fading(kind)
    some = [view for view in views if view is not None]
    fresh = arrays_of(shape, *_end_to_end([(view.rows, view.events) for view in some]))
    counts = np.array([0 if view is None else len(view.rows) for view in views], np.intp) // (
        shape.row_bytes
    )
    if not any(view.old_rows for view in some):
        return fresh, counts
    old = arrays_of(fading.shape, *_end_to_end([(v.old_rows, v.old_events) for v in some]))
    n_old = np.array([0 if view is None else len(view.old_rows) for view in views], np.intp)
    n_old //= fading.shape.row_bytes
    is_old = np.repeat(np.tile([True, False], len(views)), np.stack([n_old, counts], 1).ravel())
    both = _merged_segments(is_old, old, fresh)
    is_old_event = np.repeat(is_old, both["n_events"])
    stats = _wide(is_old, (old.stats, fresh.stats), fading.stats)
    extra = _wide(is_old_event, (old.extra, fresh.extra), fading.extra)
    flat = [
        _merged(is_old_event, getattr(old, name), getattr(fresh, name))
        for name in ("times_us", "values", "run")
    ]
    return Arrays(both, stats, flat[0], flat[1], flat[2], extra), counts + n_old


def _end_to_end(parts: Sequence[tuple[bytearray, bytearray]]) -> tuple[bytes, bytes]:
    return b"".join([part[0] for part in parts]), b"".join([part[1] for part in parts])


def _merged(is_old: Bools, old: NDArray[Any], fresh: NDArray[Any]) -> NDArray[Any]:
    """Old and fresh ones in their places."""
    out = np.empty(is_old.size, fresh.dtype)
    out[is_old], out[~is_old] = old, fresh
    return out


def _merged_segments(is_old: Bools, old: Arrays, fresh: Arrays) -> NDArray[np.void]:
    """Segments in their places, as plain bytes: fields would be copied one by one."""
    parts = [np.ascontiguousarray(part.segments).view(_RECORD) for part in (old, fresh)]
    return _merged(is_old, *parts).view(SEGMENT)


def _wide(
    is_old: Bools, parts: tuple[NDArray[np.float32], NDArray[np.float32]], columns: Ints
) -> NDArray[np.float32]:
    """Tables in their places, the columns of the old one in theirs, NaN elsewhere."""
    old, fresh = parts
    out = np.full((is_old.size, fresh.shape[1]), np.nan, np.float32)
    out[~is_old] = fresh
    if columns.size:
        out[np.ix_(np.flatnonzero(is_old), columns)] = old
    return out
