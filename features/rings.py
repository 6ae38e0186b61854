"""What one patient's analysed segments left behind, for as long as a window may need it.

Not here: analysing segments (`features.analyse`), what windows make of them
(`features.extract`).
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features import ring_state
from features.catalog import FeatureReason
from features.kept import Kept, kept_of
from features.layout import FRESH_US, lead_of, shape_of
from features.primitives import Primitives
from features.signal_ring import SignalRing, View
from features.signals import ECG, is_lead
from streams.errors import SnapshotMismatch
from streams.windows import LONGEST_US

_STATE_VERSION: Final = 3


_Source = tuple[str, str, SignalRing]  # signal, device


class Rings:
    """Primitives of one patient by signal and device.

    Invariant: the content depends on what was inserted, not on the order, and holds at most
    `MOST_SEGMENTS` newest segments of each signal of each device.

    Examples
    --------
    >>> Rings().signals()
    ()
    """

    __slots__ = ("_first_us", "_rings", "_sources_of")

    def __init__(self) -> None:
        self._rings: dict[str, dict[str, SignalRing]] = {}
        self._first_us: dict[str, int] = {}
        self._sources_of: dict[str, list[_Source]] = {}  # as `_sources` finds them

    def insert(self, p: Primitives) -> None:
        """Keep the primitives of a segment; those of the same device, signal and start go."""
        self.keep(kept_of(p, shape_of(p.signal).shape))

    def keep(self, p: Kept) -> None:
        """The same of a segment as bytes."""
        device_id, signal, start_us, end_us, _, _, row, events, _ = p
        devices = self._rings.get(signal)
        ring = None if devices is None else devices.get(device_id)
        if ring is None:
            ring = SignalRing(shape_of(signal))
            self._rings.setdefault(signal, {})[device_id] = ring
            self._sources_of.clear()
        ring.insert(start_us, end_us, row, events)
        root = ECG if is_lead(signal) else signal
        first_us = self._first_us.get(root)
        if first_us is None or start_us < first_us:
            self._first_us[root] = start_us

    def prune(self, before_us: int) -> None:
        """Forget segments that end at or before `before_us`, less what a signal must see more."""
        faded_us = before_us + LONGEST_US - FRESH_US
        emptied = False
        for signal, devices in self._rings.items():
            kept_us = before_us - lead_of(signal)
            for ring in devices.values():
                ring.prune(kept_us)
                ring.fade(faded_us)
                emptied = emptied or not len(ring)
        if emptied:
            self._drop_empty()

    def _drop_empty(self) -> None:
        """Forget rings without a segment."""
        self._sources_of.clear()
        left = {
            s: {d: ring for d, ring in own.items() if len(ring)} for s, own in self._rings.items()
        }
        self._rings = {signal: devices for signal, devices in left.items() if devices}

    def signals(self) -> tuple[str, ...]:
        """Names of all signals the patient ever had, leads as `ecg`, sorted."""
        return tuple(sorted(self._first_us))

    def fullest(self) -> int:
        """Segments of the signal and device that has most; of `MOST_SEGMENTS`."""
        each = (len(ring) for devices in self._rings.values() for ring in devices.values())
        return max(each, default=0)

    def ever(self) -> KeysView[str]:
        """The same names as a set."""
        return self._first_us.keys()

    def first_us(self, signal: str) -> int | None:
        """Start of the signal's first segment ever, also when forgotten; None without any."""
        return self._first_us.get(signal)

    def view(self, signal: str, start_us: int, end_us: int, context_us: int = 0) -> View | None:
        """Segments of a signal for one window, from its best source, ascending.

        Parameters
        ----------
        signal : str
            "ecg" means every lead: `ecg` itself and `ecg_...`.
        start_us, end_us : int
            The window. Segments that end after it are left out: they know what came later.
        context_us : int
            How far before the window the result begins.

        Returns
        -------
        View or None
            Of the lead and device with the most usable time inside the window, weighed by
            quality; of equals, the first by name. With nothing usable at all, the one with most
            recorded. None if there is no segment.
        """
        sources = self._sources_of.get(signal)
        if sources is None:
            sources = self._sources(signal)
        if len(sources) == 1:
            name, device_id, ring = sources[0]
            return ring.between(start_us - context_us, end_us, device_id, name)
        best: View | None = None
        most = (-1.0, -1.0)
        for name, device_id, ring in sources:
            view = ring.between(start_us - context_us, end_us, device_id, name)
            if view is None:
                continue
            worth = _worth(view.kept.segments, start_us)
            if worth > most:
                best, most = view, worth
        return best

    def is_alone(self, signal: str) -> bool:
        """Whether at most one lead of one device holds a signal."""
        return len(self._sources(signal)) <= 1

    def _sources(self, signal: str) -> list[_Source]:
        """Rings that hold a signal, by name and device."""
        known = self._sources_of.get(signal)
        if known is None:
            known = self._sources_of[signal] = self._found_sources(signal)
        return known

    def _found_sources(self, signal: str) -> list[_Source]:
        names = [signal]
        if signal == ECG:
            names += sorted(name for name in self._rings if is_lead(name))
        return [
            (name, device_id, ring)
            for name in names
            for device_id, ring in sorted(self._rings.get(name, {}).items())
        ]

    def primitives(self) -> Iterator[Primitives]:
        """Everything kept, segment by segment, signals and devices in the order of their names."""
        for signal, devices in sorted(self._rings.items()):
            for device_id, ring in sorted(devices.items()):
                for i in range(len(ring)):
                    yield _primitives(ring.view(i, i + 1, device_id, signal))

    def to_state(self) -> object:
        """Everything, as values MessagePack can hold; the same content gives the same value."""
        kept = [
            (signal, device_id, ring)
            for signal, devices in sorted(self._rings.items())
            for device_id, ring in sorted(devices.items())
        ]
        return [
            _STATE_VERSION,
            sorted(self._first_us.items()),
            [source[:2] for source in kept],
            ring_state.packed([part for *_, ring in kept for part in ring.parts()]),
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
            version, first_us, kept, packed = state
            if version != _STATE_VERSION:
                raise SnapshotMismatch(f"rings of version {version}, not {_STATE_VERSION}")
            kinds = [shape_of(signal) for signal, _ in kept]
            shapes = [shape for kind in kinds for shape in SignalRing(kind).shapes]
            parts = ring_state.unpacked(packed, shapes)
            for (signal, device_id), kind, k in zip(kept, kinds, count(0, 2)):
                ring = SignalRing.of(kind, parts[k], parts[k + 1])
                rings._rings.setdefault(signal, {})[device_id] = ring
            rings._first_us = {str(signal): int(us) for signal, us in first_us}
        except (TypeError, ValueError, KeyError) as error:
            raise SnapshotMismatch(f"rings cannot be read: {error}") from error
        return rings


def _primitives(view: View) -> Primitives:
    """A single segment, with arrays of its own."""
    kept = view.kept
    segment = kept.segments[0]
    return Primitives(
        view.device_id,
        view.signal,
        int(segment["start_us"]),
        int(segment["end_us"]),
        float(segment["coverage"]),
        float(segment["quality"]),
        FeatureReason(int(segment["reason"])),
        kept.times_us.copy(),
        kept.values.astype(np.float64),
        kept.run.copy(),
        bool(segment["open_left"]),
        bool(segment["open_right"]),
        kept.extra.copy(),
        kept.stats[0].copy(),
    )


def _worth(segments: NDArray[np.void], start_us: int) -> tuple[float, float]:
    """Usable time inside the window times quality; without any, what was recorded instead."""
    inside_us = segments["end_us"] - np.maximum(segments["start_us"], start_us)
    recorded_us = np.maximum(inside_us, 0) * segments["coverage"]
    usable_us = np.where(segments["reason"] == FeatureReason.OK, recorded_us, 0.0)
    worth = float((usable_us * segments["quality"]).sum())
    return worth, 0.0 if worth else float(recorded_us.sum())
