"""Raw samples of one signal, indexed by the device's sample counter, until they are cut.

Invariant: what a segment contains depends only on which samples arrived before it was cut,
never on chunk sizes, order or repetition. The first copy of a sample wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from streams.buffer_limits import limits_of
from streams.buffer_state import Awaited, BufferState, raw_of
from streams.epochs import (
    EPOCH_TOLERANCE_US,
    Epoch,
    begin,
    epoch_at,
    index_at,
    indexes_at,
    known_in,
    turn,
    turned,
)
from streams.ranges import Ranges, add, overlap
from streams.records import MISSING_SAMPLE, Chunk, Reason
from streams.samples import Samples
from streams.segments import SEGMENT_US, Segment
from streams.sources import Source, Sources, from_differences

NEVER_US = 2**62
Whose = tuple[str, str, str]  # patient, device, signal
Place = tuple[int, int]  # on the log: offset of a chunk's record, place in its bundle


class Inserted(NamedTuple):
    """What became of a chunk: samples used, already there, late; why any was refused."""

    used: int
    duplicate: int
    late: int
    fault: Reason | None
    end_us: int  # event time the chunk reaches: its last sample and that sample's own stretch


class SignalBuffer:
    """Samples of one signal of one device; see the module's invariant."""

    __slots__ = (
        "_awaited",
        "_limits",
        "_own",
        "_samples",
        "_sources",
        "context_us",
        "cut_us",
        "epochs",
        "fs_hz",
        "ppm",
        "ranges",
        "unit",
    )

    def __init__(self, fs_hz: float, unit: str, context_us: int, capacity_us: int) -> None:
        self.fs_hz = fs_hz
        self.unit = unit
        self.epochs: list[Epoch] = []
        self.cut_us: int | None = None  # start of the next segment; None before the first cut
        self.ranges: Ranges = []  # indexes received: tells a repetition from late data
        self.context_us = context_us
        self.ppm = 0  # of epochs to come
        self._limits = limits_of(fs_hz, context_us, capacity_us)
        self._samples = Samples()
        self._sources = Sources()
        self._own = 0  # index below which no source is known: those samples are kept by value
        self._awaited: Awaited | None = None  # restored, and its samples still to be read

    @property
    def interval_us(self) -> int:
        """Time between two samples."""
        return self._limits.interval_us

    @property
    def base(self) -> int:
        """Lowest index that may hold a sample."""
        return self._samples.base

    @property
    def top(self) -> int:
        """One past the highest filled index."""
        return self._samples.top

    def sample_us(self, index: int) -> float:
        """Event time of internal index `index`, µs (fractions kept)."""
        epoch = epoch_at(self.epochs, index)
        return epoch.start_us + epoch.since_us(index, self.fs_hz)

    def settled(self) -> bool:
        """Whether nothing stored is still waiting to be cut."""
        if not self.epochs or self.top <= self.base:
            return True
        return self.cut_us is not None and self.sample_us(self.top - 1) < self.cut_us

    def due_us(self) -> int:
        """Watermark from which `cut` has something to do; never later than it really has."""
        if not self.epochs:
            return NEVER_US
        if self.cut_us is None:
            return math.floor(self.sample_us(self.epochs[0].index)) + self.context_us
        return self.cut_us + SEGMENT_US + self.context_us

    def insert(self, chunk: Chunk, place: Place, span: tuple[int, int], start_us: int) -> Inserted:
        """Store samples of `chunk`; what was there before stays.

        Parameters
        ----------
        chunk : Chunk
        place : (int, int)
            Where it can be read again.
        span : (first, count)
            Which of its samples.
        start_us : int
            Event time of the first of them.
        """
        first, count = span
        start = self._locate(chunk.first_sample + first, start_us)
        stop = start + count
        end_us = round(self.sample_us(stop - 1) + self._limits.reach_us)
        past = self._past_samples(start, count)
        repeated = overlap(self.ranges, start, start + past) if past else 0
        late = past - repeated
        if past == count:
            fault = Reason.TOO_LATE if late else None
            return Inserted(0, repeated, late, fault, end_us)
        if not self._make_room(start + past, stop):
            return Inserted(0, repeated, count - repeated, Reason.TOO_LATE, end_us)
        source = Source(*place, first + past, start + past, count - past)
        old, clash = self._write(chunk, source)
        if old < source.size:
            self._sources.add(source)
        self.ranges = add(self.ranges, start + past, stop)
        fault = Reason.CONFLICT if clash else Reason.TOO_LATE if late else None
        return Inserted(count - past - old, old + repeated, late, fault, end_us)

    def gap_us(self, ended: int) -> int:
        """How much later than due the samples begin that came after index `ended`; 0: no later."""
        if not self.ranges or self.ranges[-1][0] <= ended or ended <= self.base:
            return 0
        due_us = self.sample_us(ended - 1) + self.interval_us
        return max(0, round(self.sample_us(self.ranges[-1][0]) - due_us))

    def append(self, chunk: Chunk, place: Place, start_us: int) -> int:
        """Store a chunk that simply goes on where all others ended, as nearly every one does.

        Returns
        -------
        int
            What `Inserted.end_us` would be; 0 when it is not that simple: `insert` it, nothing
            has changed.
        """
        samples, ranges, cut_us = self._samples, self.ranges, self.cut_us
        start, count = samples.top, len(chunk.data) // 2
        if cut_us is None or not ranges or ranges[-1][1] != start:
            return 0
        epoch = self.epochs[-1]
        expected_us = epoch.start_us + (start - epoch.index) * 1e6 / self.fs_hz
        if (
            epoch.ppm
            or chunk.first_sample + epoch.shift != start
            or abs(start_us - expected_us) > EPOCH_TOLERANCE_US
            or expected_us < cut_us
            or start < epoch.index
        ):
            return 0
        stop, limits = start + count, self._limits
        if stop - samples.base > limits.capacity:  # a little stricter than `_make_room`
            return 0
        if not samples.append(chunk.data, (chunk.scale, chunk.offset)):
            return 0
        self._sources.add((*place, 0, start, count))
        ranges[-1] = ranges[-1][0], stop
        last_us = epoch.start_us + (stop - 1 - epoch.index) * 1e6 / self.fs_hz
        return round(last_us + limits.reach_us)

    def _write(self, chunk: Chunk, source: Source) -> tuple[int, bool]:
        """Fill in what is not there yet; returns how much was, and whether it differed."""
        raw = raw_of(chunk, source.first, source.size)
        return self._samples.write(source.start, raw, (chunk.scale, chunk.offset))

    def cut(self, until_us: int, whose: Whose) -> list[Segment]:
        """Segments whose core and right context end by `until_us` (event time), in order.

        Segments without a single sample in the core are passed over.
        """
        if not self.epochs:
            return []
        due: list[Segment] = []
        context_us = self.context_us
        if self.cut_us is None:
            first_us = self.sample_us(self.epochs[0].index)
            if until_us < first_us + context_us:
                return []
            self.cut_us = math.floor(first_us / SEGMENT_US) * SEGMENT_US
        while self.cut_us + SEGMENT_US + context_us <= until_us:
            core_us, following = self.cut_us, self.cut_us + SEGMENT_US
            times_us = core_us - context_us, core_us, following, following - context_us
            first, core, stop, low = indexes_at(self.epochs, times_us, self.fs_hz, self.top)
            segment = self._segment((first, core, stop), core_us, whose)
            if segment is not None:
                due.append(segment)
            self.cut_us = self._next_cut(until_us, following, stop)
            if self.cut_us != following:
                low = self._index_at(self.cut_us - context_us)
            self._samples.forget(low - self._limits.margin)
            self._sources.forget(self._samples.base)
        return due

    def _next_cut(self, until_us: int, following: int, at: int) -> int:
        """The next grid border with data at or after it, or the last one that is due.

        `at` is the index of `following`, the border after the present one.
        """
        first = self._samples.next_from(at)
        if first == at and len(self.epochs) == 1 and self.fs_hz >= 1.0:
            return following  # the usual case: samples go on right there
        if first is not None:
            target = math.floor(self.sample_us(first) / SEGMENT_US) * SEGMENT_US
        else:
            target = (until_us - self.context_us) // SEGMENT_US * SEGMENT_US
        return max(following, target)

    def _segment(self, borders: tuple[int, int, int], core_us: int, whose: Whose) -> Segment | None:
        """The segment with these first indexes of context, core and what follows; None: no core."""
        samples, count = self._samples, self._limits.length
        first, core, stop = borders
        lo = first if first > samples.base else samples.base
        hi = first + count if first + count < samples.top else samples.top
        if lo >= hi:
            return None
        found = samples.next_from(core)
        if found is None or found >= stop:
            return None
        data, gain = samples.read(lo, hi)
        if hi - lo < count:
            part, data = data, np.full(count, MISSING_SAMPLE if gain[0] else np.nan, data.dtype)
            data[lo - first : hi - first] = part
        epoch = epoch_at(self.epochs, core if core > samples.base else samples.base)
        first_us = (epoch.start_us - core_us) + epoch.since_us(first, self.fs_hz)
        end_us = core_us + SEGMENT_US
        return Segment(*whose, core_us, end_us, self.fs_hz, self.unit, first_us, data, gain)

    def _index_at(self, time_us: int) -> int:
        """Internal index of the first sample at or after `time_us`."""
        return index_at(self.epochs, time_us, self.fs_hz, self._samples.top)

    def _locate(self, counter: int, start_us: int) -> int:
        """Internal index of the device's sample `counter`; a clock jump opens a new epoch."""
        epoch = known_in(self.epochs, counter, start_us, self.fs_hz)
        if epoch is None:
            return begin(self.epochs, counter, start_us, self.fs_hz, self.ppm)
        index = counter + epoch.shift
        if index < epoch.index and not turned(self.epochs, epoch):
            self._anchor(epoch, index, start_us)
        return index

    def strays_us(self, counter: int, start_us: int) -> int | None:
        """How far a time is from where the device's sample `counter` belongs; 0: near enough.

        None if there is nothing to go by.
        """
        if not self.epochs:
            return None
        if known_in(self.epochs, counter, start_us, self.fs_hz) is not None:
            return 0
        last = self.epochs[-1]
        expected_us = last.start_us + last.since_us(counter + last.shift, self.fs_hz)
        return round(start_us - expected_us)

    def continues(self, counter: int, count: int) -> bool:
        """Whether `count` samples from `counter` on reach beyond all others, by the counter."""
        return bool(self.epochs) and counter + count + self.epochs[-1].shift > self.top

    def set_rate(self, ppm: int, from_us: int) -> None:
        """From an event time on samples take longer by `ppm`; time goes on without a jump."""
        self.ppm = ppm
        turn(self.epochs, from_us, self.fs_hz, ppm)

    def _anchor(self, epoch: Epoch, index: int, start_us: int) -> None:
        """Let an epoch begin at its earliest chunk, while no segment has used it yet.

        Otherwise the first chunk to arrive, not the first in time, would set its sample times.
        """
        unused = self.cut_us is None or start_us >= self.cut_us
        before = [other.index for other in self.epochs if other.index < epoch.index]
        if unused and index > max(before, default=index - 1):
            epoch.index, epoch.start_us = index, start_us

    def _past_samples(self, start: int, count: int) -> int:
        """How many of `count` samples from `start` on lie before the next segment."""
        if self.cut_us is None or self.sample_us(start) >= self.cut_us:
            return 0
        return min(count, max(0, self._index_at(self.cut_us) - start))

    def _make_room(self, start: int, stop: int) -> bool:
        """Let `[start, stop)` be stored, forgetting what no open segment needs."""
        low = self._low(start)
        begun = self._begun()
        if (max(stop, self.top) if begun else stop) - low > self._limits.capacity or start < low:
            return False
        if not begun:
            kept = low - self._limits.margin if self.cut_us is not None else low
            self._samples.begin(kept)
            self._sources.forget(kept)
        return True

    def _begun(self) -> bool:
        return self.top > self.base

    def _low(self, start: int) -> int:
        """The lowest index that an open segment may need, when samples come from `start` on."""
        if self.cut_us is None:
            return min(start, self.base) if self._begun() else start
        return self._index_at(self.cut_us - self.context_us)

    def first_offset(self) -> int | None:
        """Lowest offset of the log at which samples still needed can be read; None: none are."""
        return self._sources.first_offset()

    def state(self, *, keep: bool) -> BufferState:
        """What the snapshot keeps; with `keep` the samples themselves, not where they are."""
        low = self._low(self.top) - (self._limits.margin if self.cut_us is not None else 0)
        base = max(low, self.base) if self._begun() else self.top
        base = min(base, self.top)
        own = self.top if keep else min(max(self._own, base), self.top)
        stretch = self._samples.stretch(base, own) if own > base else None
        whole = self._samples.whole and base < self.top
        return BufferState(
            self.fs_hz,
            self.unit,
            list(self.epochs),
            self.cut_us,
            base,
            self.top,
            stretch,
            [] if keep else self._sources.since(own),
            whole,
            self._samples.checksum(base, whole=whole),
            list(self.ranges),
        )

    @classmethod
    def from_state(cls, state: BufferState, context_us: int, capacity_us: int) -> SignalBuffer:
        """The buffer that gave `state`, once `refill` has brought what its sources name.

        ValueError if the state is not whole.
        """
        buffer = cls(state.fs_hz, state.unit, context_us, capacity_us)
        buffer.epochs, buffer.cut_us = list(state.epochs), state.cut_us
        buffer.ranges = state.ranges
        samples = buffer._samples
        if not 0 <= state.top - state.base <= buffer._limits.capacity + buffer._limits.margin:
            raise ValueError("more samples than a buffer holds")
        samples.begin(state.base)
        if state.own is not None:
            samples.put(state.base, state.own)
        buffer._own = samples.top
        buffer._sources = from_differences(state.sources)
        buffer._awaited = Awaited(state, buffer._sources)
        return buffer

    def refill(self, offset: int, signal: str, chunks: Mapping[int, Chunk]) -> None:
        """Take the samples that this record brought before; its chunks by their place in it.

        Raises
        ------
        SnapshotMismatch
            If the log holds something else there.
        """
        if self._awaited is not None:
            self._awaited.take(offset, signal, chunks, self._samples)

    def complete(self) -> None:
        """Go on from the restored state.

        Raises
        ------
        SnapshotMismatch
            If what was read again is not what was there.
        """
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.check(self._samples)
