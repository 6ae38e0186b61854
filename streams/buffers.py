"""Raw samples of one signal, indexed by the device's sample counter, until they are cut.

Invariant: what a segment contains depends only on which samples arrived before it was cut,
never on chunk sizes, order or repetition. The first copy of a sample wins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.ranges import Ranges, add, overlap
from streams.records import MISSING_SAMPLE, Chunk, Reason
from streams.segments import SEGMENT_US

EPOCH_TOLERANCE_US = 100_000  # phone time stamps jitter by tens of ms; a restart is seconds
MAX_EPOCHS = 4
NEVER_US = 2**62
_GRID_EPS = 1e-6  # samples; absorbs float noise when a sample lies exactly on a border
_MOST_REACH_US = 1e6  # a sample of a slow signal says nothing of the minutes until the next


class Epoch(msgspec.Struct, array_like=True):
    """From internal index `index` on, sample n was taken at `start_us + (n - index) / fs`."""

    index: int
    start_us: int
    shift: int  # internal index = the device's counter + shift


class BufferState(msgspec.Struct, array_like=True):
    """A buffer for the snapshot: only the filled span travels."""

    fs_hz: float
    unit: str
    epochs: list[Epoch]
    cut_us: int | None
    base: int
    data: bytes
    have: bytes
    ranges: Ranges


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
        "_capacity",
        "_data",
        "_have",
        "_reach_us",
        "base",
        "context_us",
        "cut_us",
        "epochs",
        "fs_hz",
        "ranges",
        "top",
        "unit",
    )

    def __init__(self, fs_hz: float, unit: str, context_us: int, capacity_us: int) -> None:
        self.fs_hz = fs_hz
        self.unit = unit
        self.epochs: list[Epoch] = []
        self.cut_us: int | None = None  # start of the next segment; None before the first cut
        self.base = 0  # internal index of _data[0]
        self.top = 0  # one past the highest filled index
        self.ranges: Ranges = []  # indexes received: tells a repetition from late data
        self.context_us = context_us
        self._reach_us = min(1e6 / fs_hz, _MOST_REACH_US)
        self._capacity = max(64, math.ceil(capacity_us * fs_hz / 1e6))
        self._data: NDArray[np.float32] = np.full(0, np.nan, np.float32)
        self._have: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def sample_us(self, index: int) -> float:
        """Event time of internal index `index`, µs (fractions kept)."""
        epoch = self._epoch_at(index)
        return epoch.start_us + (index - epoch.index) * 1e6 / self.fs_hz

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

    def insert(self, chunk: Chunk, first: int, count: int, offset_us: int) -> Inserted:
        """Store samples `[first, first + count)` of `chunk`; what was there before stays.

        `offset_us` maps the device's clock to event time.
        """
        start_us = chunk.start_us + offset_us + round(first * 1e6 / self.fs_hz)
        start = self._locate(chunk.first_sample + first, start_us)
        stop = start + count
        end_us = round(self.sample_us(stop - 1) + self._reach_us)
        past = self._past_samples(start, count)
        repeated = overlap(self.ranges, start, start + past) if past else 0
        late = past - repeated
        if past == count:
            fault = Reason.TOO_LATE if late else None
            return Inserted(0, repeated, late, fault, end_us)
        if not self._make_room(start + past, stop):
            return Inserted(0, repeated, count - repeated, Reason.TOO_LATE, end_us)
        raw = np.frombuffer(chunk.data, "<i2", count - past, 2 * (first + past))
        old, clash = self._write(start + past, _values(raw, chunk.scale, chunk.offset))
        self.ranges = add(self.ranges, start + past, stop)
        fault = Reason.CONFLICT if clash else Reason.TOO_LATE if late else None
        return Inserted(count - past - old, old + repeated, late, fault, end_us)

    def _write(self, start: int, values: NDArray[np.float32]) -> tuple[int, bool]:
        """Fill in what is not there yet; returns how much was, and whether it differed."""
        span = slice(start - self.base, start - self.base + len(values))
        have = self._have[span]
        old = int(np.count_nonzero(have)) if start < self.top else 0
        clash = False
        if old:
            kept = self._data[span]
            same = (kept == values) | (np.isnan(kept) & np.isnan(values))
            clash = not np.all(same[have])
            kept[~have] = values[~have]
        else:
            self._data[span] = values
        have[:] = True
        self.top = max(self.top, start + len(values))
        return old, clash

    def cut(self, until_us: int) -> list[tuple[int, float, NDArray[np.float32]]]:
        """Segments whose core and right context end by `until_us` (event time), in order.

        Returns (core start, offset of the first sample from it, samples with context); segments
        without a single sample in the core are passed over.
        """
        if not self.epochs:
            return []
        due: list[tuple[int, float, NDArray[np.float32]]] = []
        if self.cut_us is None:
            first_us = self.sample_us(self.epochs[0].index)
            if until_us < first_us + self.context_us:
                return []
            self.cut_us = math.floor(first_us / SEGMENT_US) * SEGMENT_US
        while self.cut_us + SEGMENT_US + self.context_us <= until_us:
            segment = self._window(self.cut_us)
            if segment is not None:
                due.append((self.cut_us, *segment))
            self.cut_us = self._next_cut(until_us)
        return due

    def _next_cut(self, until_us: int) -> int:
        """The next grid border with data at or after it, or the last one that is due."""
        assert self.cut_us is not None
        following = self.cut_us + SEGMENT_US
        rest = self._have[max(0, self._index_at(following) - self.base) : self.top - self.base]
        hit = int(np.argmax(rest)) if rest.any() else -1
        if hit >= 0:
            first = max(self._index_at(following), self.base) + hit
            target = math.floor(self.sample_us(first) / SEGMENT_US) * SEGMENT_US
        else:
            target = (until_us - self.context_us) // SEGMENT_US * SEGMENT_US
        return max(following, target)

    def _window(self, core_us: int) -> tuple[float, NDArray[np.float32]] | None:
        first = self._index_at(core_us - self.context_us)
        count = round((SEGMENT_US + 2 * self.context_us) * self.fs_hz / 1e6)
        samples = np.full(max(count, 1), np.nan, np.float32)
        lo, hi = max(first, self.base), min(first + len(samples), self.top)
        if lo >= hi:
            return None
        samples[lo - first : hi - first] = self._data[lo - self.base : hi - self.base]
        core = slice(self._index_at(core_us), self._index_at(core_us + SEGMENT_US))
        have = self._have[max(0, core.start - self.base) : max(0, core.stop - self.base)]
        if not have.any():
            return None
        epoch = self._epoch_at(max(core.start, self.base))
        first_us = (epoch.start_us - core_us) + (first - epoch.index) * 1e6 / self.fs_hz
        return first_us, samples

    def _index_at(self, time_us: int) -> int:
        """Internal index of the first sample at or after `time_us`."""
        index = following = self.top
        for epoch in reversed(self.epochs):
            steps = (time_us - epoch.start_us) * self.fs_hz / 1e6
            index = epoch.index + math.ceil(steps - _GRID_EPS)
            if index >= epoch.index:
                return index if epoch is self.epochs[-1] else min(index, following)
            following = epoch.index
        return index

    def _epoch_at(self, index: int) -> Epoch:
        for epoch in reversed(self.epochs):
            if index >= epoch.index:
                return epoch
        return self.epochs[0]

    def _locate(self, counter: int, start_us: int) -> int:
        """Internal index of the device's sample `counter`; a clock jump opens a new epoch."""
        for epoch in reversed(self.epochs):
            index = counter + epoch.shift
            expected_us = epoch.start_us + (index - epoch.index) * 1e6 / self.fs_hz
            if abs(start_us - expected_us) <= EPOCH_TOLERANCE_US:
                if index < epoch.index:
                    self._anchor(epoch, index, start_us)
                return index
        return self._open_epoch(counter, start_us)

    def _anchor(self, epoch: Epoch, index: int, start_us: int) -> None:
        """Let an epoch begin at its earliest chunk, while no segment has used it yet.

        Otherwise the first chunk to arrive, not the first in time, would set its sample times.
        """
        unused = self.cut_us is None or start_us >= self.cut_us
        before = [other.index for other in self.epochs if other.index < epoch.index]
        if unused and index > max(before, default=index - 1):
            epoch.index, epoch.start_us = index, start_us

    def _open_epoch(self, counter: int, start_us: int) -> int:
        if not self.epochs:
            self.epochs.append(Epoch(0, start_us, -counter))
            return 0
        last = self.epochs[-1]
        index = last.index + round((start_us - last.start_us) * self.fs_hz / 1e6)
        self.epochs.append(Epoch(index, start_us, index - counter))
        self.epochs.sort(key=lambda epoch: epoch.index)
        del self.epochs[:-MAX_EPOCHS]
        return index

    def _past_samples(self, start: int, count: int) -> int:
        """How many of `count` samples from `start` on lie before the next segment."""
        if self.cut_us is None or self.sample_us(start) >= self.cut_us:
            return 0
        return min(count, max(0, self._index_at(self.cut_us) - start))

    def _make_room(self, start: int, stop: int) -> bool:
        """Let the array cover `[start, stop)`, forgetting what no open segment needs."""
        if not len(self._data):
            self.base = self.top = start
            self._data = np.full(self._capacity, np.nan, np.float32)
            self._have = np.zeros(self._capacity, np.bool_)
        if self.base <= start and stop <= self.base + self._capacity:
            return True
        if self.cut_us is None:
            low = min(start, self.base)
        else:
            low = self._index_at(self.cut_us - self.context_us)
        if max(stop, self.top) - low > self._capacity or start < low:
            return False
        self._move(low)
        return True

    def _move(self, base: int) -> None:
        data = np.full(self._capacity, np.nan, np.float32)
        have = np.zeros(self._capacity, np.bool_)
        lo, hi = max(base, self.base), self.top
        if lo < hi:
            data[lo - base : hi - base] = self._data[lo - self.base : hi - self.base]
            have[lo - base : hi - base] = self._have[lo - self.base : hi - self.base]
        self._data, self._have, self.base = data, have, base
        self.top = max(self.top, base)

    def state(self) -> BufferState:
        """What the snapshot keeps."""
        filled = slice(0, self.top - self.base)
        return BufferState(
            self.fs_hz,
            self.unit,
            list(self.epochs),
            self.cut_us,
            self.base,
            self._data[filled].tobytes(),
            np.packbits(self._have[filled]).tobytes(),
            self.ranges,
        )

    @classmethod
    def from_state(cls, state: BufferState, context_us: int, capacity_us: int) -> SignalBuffer:
        """The buffer that gave `state`."""
        buffer = cls(state.fs_hz, state.unit, context_us, capacity_us)
        buffer.epochs, buffer.cut_us, buffer.base = list(state.epochs), state.cut_us, state.base
        buffer.ranges = state.ranges
        data = np.frombuffer(state.data, np.float32)
        buffer.top = state.base + len(data)
        if len(data):
            buffer._data = np.full(buffer._capacity, np.nan, np.float32)
            buffer._have = np.zeros(buffer._capacity, np.bool_)
            buffer._data[: len(data)] = data
            have = np.unpackbits(np.frombuffer(state.have, np.uint8), count=len(data))
            buffer._have[: len(data)] = have.astype(np.bool_)
        return buffer


def _values(raw: NDArray[np.int16], scale: float, offset: float) -> NDArray[np.float32]:
    values = raw * np.float32(scale)
    values += np.float32(offset)
    missing = raw == MISSING_SAMPLE
    if missing.any():
        values[missing] = np.nan
    return values
