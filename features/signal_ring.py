"""Analysed segments of one signal of one device, in time order; the older ones with fewer numbers.

Spectra, quality indices and the shape of beats are read by windows of a minute only. Older segments
keep what windows of five minutes read: that is most of what a patient costs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.flat_ring import Arrays, FlatRing, Shape
from features.primitives import Primitives

MOST_SEGMENTS: Final = 96  # 16 min of 10-s segments: three times the longest window over them


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


class View(NamedTuple):
    """A stretch of a ring, and whose it is; the arrays are to be read only."""

    device_id: str
    signal: str
    kept: Arrays


class SignalRing:
    """Segments ascending by start: first those that have faded, then the fresh ones.

    Numbers that have faded read NaN. At most `MOST_SEGMENTS` segments in all.
    """

    __slots__ = ("_faded", "_fresh", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        extra, stats = kind.lasting_extra, kind.lasting_stats
        n_extra = kind.n_extra if extra is None else len(extra)
        n_stats = kind.n_stats if stats is None else len(stats)
        self._faded = FlatRing(Shape(n_extra, n_stats))
        self._fresh = FlatRing(Shape(kind.n_extra, kind.n_stats))

    def __len__(self) -> int:
        return len(self._faded) + len(self._fresh)

    def insert(self, p: Primitives) -> None:
        """Keep a segment; one of the same start goes, beyond `MOST_SEGMENTS` the oldest."""
        if len(self._faded) and p.start_us <= self._faded.starts_us[-1]:
            self._faded.insert(self._less(p))
        else:
            self._fresh.insert(p)
        if len(self) > MOST_SEGMENTS:
            self._forget(1)

    def fade(self, before_us: int) -> None:
        """Let segments that end at or before `before_us` keep only what lasts."""
        faded, fresh = self._faded, self._fresh
        n = fresh.ended_by(before_us) if self.kind.fades else 0
        if not n:
            return
        if len(faded) and fresh.starts_us[0] <= faded.starts_us[-1]:
            for i in range(n):
                faded.insert(self._less(fresh.primitives(i, "", "")))
        else:
            extra, stats = _lasting(self.kind)
            for i in range(n):
                faded.take(fresh, i, extra, stats)
        fresh.forget(n)

    def prune(self, before_us: int) -> None:
        """Forget segments that end at or before `before_us`."""
        n = self._faded.ended_by(before_us)
        if n == len(self._faded.starts_us):
            n += self._fresh.ended_by(before_us)
        if n:
            self._forget(n)

    def _forget(self, n: int) -> None:
        old = min(n, len(self._faded))
        if old:
            self._faded.forget(old)
        if n > old:
            self._fresh.forget(n - old)

    def ended(self, start_us: int, end_us: int) -> tuple[int, int]:
        """Places of the segments that reach beyond `start_us` and end by `end_us`."""
        n = len(self._faded)
        first, last = self._fresh.ended(start_us, end_us)
        if n and (first == 0 or first == last):
            old_first, old_last = self._faded.ended(start_us, end_us)
            if old_first < old_last:
                return old_first, old_last if first == last else n + last
        return n + first, n + last

    def view(self, first: int, last: int) -> Arrays:
        """Segments `[first, last)`; the arrays are to be read only."""
        n = len(self._faded)
        if first >= n:
            return self._fresh.view(first - n, last - n)
        old = self._widened(self._faded.view(first, min(last, n)))
        if last <= n:
            return old
        fresh = self._fresh.view(0, last - n)
        return Arrays(
            np.concatenate([old.segments, fresh.segments]),
            np.concatenate([old.stats, fresh.stats]),
            np.concatenate([old.times_us, fresh.times_us]),
            np.concatenate([old.values, fresh.values]),
            np.concatenate([old.run, fresh.run]),
            np.concatenate([old.extra, fresh.extra]),
        )

    def primitives(self, i: int, device_id: str, signal: str) -> Primitives:
        """Segment i, with copies of its arrays."""
        n = len(self._faded)
        if i >= n:
            return self._fresh.primitives(i - n, device_id, signal)
        p = self._faded.primitives(i, device_id, signal)
        extra, stats = _lasting(self.kind)
        wide = _wide(p.stats[None, :], stats, self.kind.n_stats)[0]
        return p._replace(extra=_wide(p.extra, extra, self.kind.n_extra), stats=wide)

    def _less(self, p: Primitives) -> Primitives:
        extra, stats = _lasting(self.kind)
        known = p.stats.size == self.kind.n_stats
        return p._replace(
            extra=p.extra[:, extra] if p.extra.shape[1] == self.kind.n_extra else p.extra,
            stats=p.stats[stats] if known else p.stats,
        )

    def _widened(self, kept: Arrays) -> Arrays:
        extra, stats = _lasting(self.kind)
        return kept._replace(
            stats=_wide(kept.stats, stats, self.kind.n_stats),
            extra=_wide(kept.extra, extra, self.kind.n_extra),
        )

    def parts(self) -> tuple[Arrays, Arrays]:
        """What has faded, and what is fresh; to be read only."""
        return self._faded.view(0, len(self._faded)), self._fresh.view(0, len(self._fresh))

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


Columns = slice | list[int]


@lru_cache(maxsize=64)
def _lasting(kind: Kind) -> tuple[Columns, Columns]:
    """Columns of events and of segments that last."""
    extra, stats = kind.lasting_extra, kind.lasting_stats
    return (
        _columns(tuple(range(kind.n_extra)) if extra is None else extra),
        _columns(tuple(range(kind.n_stats)) if stats is None else stats),
    )


def _columns(places: tuple[int, ...]) -> Columns:
    """As a slice where they are neighbours: that is no copy."""
    first = places[0] if places else 0
    together = places == tuple(range(first, first + len(places)))
    return slice(first, first + len(places)) if together else list(places)


def _wide(part: NDArray[np.float32], columns: Columns, width: int) -> NDArray[np.float32]:
    """A table with its columns in their places among `width`, NaN elsewhere."""
    if part.shape[1] == width:
        return part
    out = np.full((len(part), width), np.nan, np.float32)
    out[:, columns] = part
    return out
