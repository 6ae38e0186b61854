"""What one patient's analysed segments left behind, for as long as a window may need it.

Not here: analysing segments (`features.analyse`), what windows make of them
(`features.extract`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from features.catalog import FeatureReason
from features.primitives import Primitives
from streams.errors import SnapshotMismatch

MOST_SEGMENTS: Final = 96  # per device and signal: 16 min of 10-s segments, three long windows
_STATE_VERSION: Final = 1
_TIME, _VALUE, _RUN = np.dtype("<i8"), np.dtype("<f8"), np.dtype("<i2")


class _Ring:
    """Segments of one signal of one device, ascending by start; `starts_us` mirrors them."""

    __slots__ = ("segments", "starts_us")

    def __init__(self) -> None:
        self.starts_us: list[int] = []
        self.segments: list[Primitives] = []

    def insert(self, p: Primitives) -> None:
        i = bisect_left(self.starts_us, p.start_us)
        if i < len(self.starts_us) and self.starts_us[i] == p.start_us:
            self.segments[i] = p
            return
        self.starts_us.insert(i, p.start_us)
        self.segments.insert(i, p)
        if len(self.segments) > MOST_SEGMENTS:
            del self.starts_us[0], self.segments[0]

    def ended(self, start_us: int, end_us: int) -> list[Primitives]:
        """Segments that reach beyond `start_us` and end by `end_us`."""
        last = bisect_right(self.starts_us, end_us)
        while last and self.segments[last - 1].end_us > end_us:
            last -= 1
        first = bisect_left(self.starts_us, start_us, 0, last)
        while first and self.segments[first - 1].end_us > start_us:
            first -= 1
        return self.segments[first:last]

    def prune(self, before_us: int) -> None:
        kept = [p for p in self.segments if p.end_us > before_us]
        if len(kept) != len(self.segments):
            self.segments, self.starts_us = kept, [p.start_us for p in kept]


class Rings:
    """Primitives of one patient by signal and device.

    Invariant: the content depends on what was inserted, not on the order, and holds at most
    `MOST_SEGMENTS` newest segments of each signal of each device.

    Examples
    --------
    >>> Rings().signals()
    ()
    """

    __slots__ = ("_first_us", "_rings")

    def __init__(self) -> None:
        self._rings: dict[str, dict[str, _Ring]] = {}
        self._first_us: dict[str, int] = {}

    def insert(self, p: Primitives) -> None:
        """Keep the primitives of a segment; those of the same device, signal and start go."""
        self._rings.setdefault(p.signal, {}).setdefault(p.device_id, _Ring()).insert(p)
        first_us = self._first_us.get(p.signal)
        if first_us is None or p.start_us < first_us:
            self._first_us[p.signal] = p.start_us

    def prune(self, before_us: int) -> None:
        """Forget segments that end at or before `before_us`."""
        for signal, devices in list(self._rings.items()):
            for device_id, ring in list(devices.items()):
                if ring.segments and ring.segments[0].end_us <= before_us:
                    ring.prune(before_us)
                if not ring.segments:
                    del devices[device_id]
            if not devices:
                del self._rings[signal]

    def signals(self) -> tuple[str, ...]:
        """Names of all signals the patient ever had, sorted."""
        return tuple(sorted(self._first_us))

    def first_us(self, signal: str) -> int | None:
        """Start of the signal's first segment ever, also when forgotten; None without any."""
        return self._first_us.get(signal)

    def view(
        self, signal: str, start_us: int, end_us: int, context_us: int = 0
    ) -> list[Primitives]:
        """Segments of a signal for one window, from its best device, ascending.

        Parameters
        ----------
        signal : str
        start_us, end_us : int
            The window. Segments that end after it are left out: they know what came later.
        context_us : int
            How far before the window the result begins.

        Returns
        -------
        list of Primitives
            Of the device with the largest usable coverage inside the window; of equals, the one
            whose name sorts first. With nothing usable at all, the one with most recorded.
        """
        devices = self._rings.get(signal)
        if not devices:
            return []
        if len(devices) == 1:
            (ring,) = devices.values()
            return ring.ended(start_us - context_us, end_us)
        views = [
            (device_id, ring.ended(start_us - context_us, end_us))
            for device_id, ring in sorted(devices.items())
        ]
        return max(views, key=lambda view: _worth(view[1], start_us))[1]

    def axes(
        self, signals: Sequence[str], start_us: int, end_us: int
    ) -> list[tuple[Primitives, ...]]:
        """Segments that one device has of all these signals at the same start, as `view`."""
        first, *others = (self._rings.get(signal, {}) for signal in signals)
        best: list[tuple[Primitives, ...]] = []
        worth = (-1.0, -1.0)
        for device_id in sorted(first):
            rest = [rings[device_id] for rings in others if device_id in rings]
            if len(rest) < len(others):
                continue
            lookups = [{p.start_us: p for p in r.ended(start_us, end_us)} for r in rest]
            whole = [
                (p, *(lookup[p.start_us] for lookup in lookups))
                for p in first[device_id].ended(start_us, end_us)
                if all(p.start_us in lookup for lookup in lookups)
            ]
            own = min(_worth([group[i] for group in whole], start_us) for i in range(len(signals)))
            if own > worth:
                best, worth = whole, own
        return best

    def to_state(self) -> object:
        """Everything, as values MessagePack can hold; the same content gives the same value."""
        return [
            _STATE_VERSION,
            sorted(self._first_us.items()),
            [
                _pack(p)
                for _, devices in sorted(self._rings.items())
                for _, ring in sorted(devices.items())
                for p in ring.segments
            ],
        ]

    @classmethod
    def from_state(cls, state: Any) -> Rings:
        """The rings `to_state` described, exactly.

        Raises
        ------
        SnapshotMismatch
            If the state is not of this version or not whole.
        """
        rings = cls()
        try:
            version, first_us, packed = state
            if version != _STATE_VERSION:
                raise SnapshotMismatch(f"rings of version {version}, not {_STATE_VERSION}")
            for item in packed:
                rings.insert(_unpack(item))
            rings._first_us = {str(signal): int(us) for signal, us in first_us}
        except (TypeError, ValueError, KeyError) as error:
            raise SnapshotMismatch(f"rings cannot be read: {error}") from error
        return rings


def _worth(segments: Sequence[Primitives], start_us: int) -> tuple[float, float]:
    """Usable time of segments inside the window; without any, what was recorded instead."""
    usable_us = recorded_us = 0.0
    for p in segments:
        inside_us = (p.end_us - max(p.start_us, start_us)) * p.coverage
        if inside_us > 0:
            recorded_us += inside_us
            usable_us += inside_us if p.reason == FeatureReason.OK else 0.0
    return usable_us, 0.0 if usable_us else recorded_us


def _pack(p: Primitives) -> list[object]:
    """A segment with its arrays as little-endian bytes."""
    return [
        p.device_id,
        p.signal,
        int(p.start_us),
        int(p.end_us),
        float(p.coverage),
        float(p.quality),
        int(p.reason),
        np.asarray(p.times_us, _TIME).tobytes(),
        np.asarray(p.values, _VALUE).tobytes(),
        np.asarray(p.run, _RUN).tobytes(),
        bool(p.open_left),
        bool(p.open_right),
    ]


def _unpack(item: Sequence[Any]) -> Primitives:
    """The inverse of `_pack`."""
    device_id, signal, start_us, end_us, coverage, quality, reason = item[:7]
    times, values, run, open_left, open_right = item[7:]
    return Primitives(
        device_id,
        signal,
        start_us,
        end_us,
        coverage,
        quality,
        FeatureReason(reason),
        np.frombuffer(times, _TIME),
        np.frombuffer(values, _VALUE),
        np.frombuffer(run, _RUN),
        open_left,
        open_right,
    )
