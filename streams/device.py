"""One device of one patient: its clock, its signals, and how far its data is complete.

Invariant: segments leave in event-time order per signal and never twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from streams.buffers import BufferState, SignalBuffer
from streams.clock import TimingSpec
from streams.records import Chunk, Reason
from streams.segments import SEGMENT_US, Segment

MAX_SIGNALS = 32


class DeviceState(msgspec.Struct, array_like=True):
    """A device for the snapshot."""

    device_id: str
    offset_us: int
    max_event_us: int
    last_append_us: int
    off: bool
    silent: bool
    signals: dict[str, BufferState]


class Ingested(NamedTuple):
    """What came of one record's chunks of one device."""

    segments: list[Segment]
    faults: list[tuple[int, Reason]]  # index of the chunk in its bundle, why (part of) it failed
    duplicates: int  # samples that were there already


class _Piece(NamedTuple):
    slab: int
    start_us: float
    end_us: float
    position: int  # of the chunk in its bundle
    chunk: Chunk
    first: int
    size: int


class Device:
    """Buffers, clock offset and watermark of one device."""

    def __init__(
        self, patient_id: str, device_id: str, timing: TimingSpec, context_us: dict[str, int]
    ) -> None:
        self.patient_id = patient_id
        self.device_id = device_id
        self.offset_us = 0  # event time = device time + offset; a drift model may replace it
        self.max_event_us = 0
        self.last_append_us = 0
        self.off = False
        self.silent = False  # its silence has been told
        self.signals: dict[str, SignalBuffer] = {}
        self._timing = timing
        self._context_us = context_us

    def ingest(
        self, chunks: Sequence[tuple[int, Chunk]], append_us: int, clock_us: int
    ) -> Ingested:
        """Store the chunks of one record; returns the segments now complete.

        Long stretches are stored in slabs of at most the lateness, cutting in between, so that
        a chunk of any length gives what its parts would have given.
        """
        out = Ingested([], [], 0)
        duplicates = 0
        for slab in self._slabs(chunks, append_us, out.faults):
            end_us = math.ceil(max(piece.end_us for piece in slab))
            start_us = math.floor(min(piece.start_us for piece in slab))
            out.segments.extend(self._cut(min(start_us, end_us - self._timing.slab_us)))
            for piece in slab:
                duplicates += self._store(piece, out.faults)
            self.max_event_us = max(self.max_event_us, end_us)
            self.off = False
            self.last_append_us = max(self.last_append_us, clock_us)
            out.segments.extend(self._cut(self.max_event_us - self._timing.slab_us))
        return out._replace(duplicates=duplicates)

    def advance(self, clock_us: int) -> list[Segment]:
        """Segments that a quiet or switched-off device gives up waiting for."""
        quiet_us = clock_us - self.last_append_us
        slack_us = max(self._context_us.values(), default=0)
        if self.off or quiet_us > self._timing.us(self._timing.idle_s):
            return self._cut(self.max_event_us + slack_us + SEGMENT_US)
        if quiet_us > self._timing.us(self._timing.hold_s):
            return self._cut(self.max_event_us + slack_us)
        return []

    def active(self, clock_us: int) -> bool:
        """Whether more data is to be expected right now."""
        quiet_us = clock_us - self.last_append_us
        return not self.off and quiet_us <= self._timing.us(self._timing.hold_s)

    def lags(self, clock_us: int) -> bool:
        """Whether its event time is too far behind to hold the patient's windows back."""
        return clock_us - self.max_event_us > self._timing.us(self._timing.lag_s)

    def watermark_us(self) -> int:
        """Event time before which nothing more is awaited."""
        return self.max_event_us - self._timing.slab_us

    def oldest_us(self) -> int | None:
        """Event time of the oldest sample still waiting to be cut; None if there is none."""
        starts = [at for at in (b.oldest_us() for b in self.signals.values()) if at is not None]
        return min(starts, default=None)

    def _slabs(
        self,
        chunks: Sequence[tuple[int, Chunk]],
        append_us: int,
        faults: list[tuple[int, Reason]],
    ) -> list[list[_Piece]]:
        pieces: list[_Piece] = []
        for index, chunk in chunks:
            fault = self._unfit(chunk, append_us)
            if fault is not None:
                faults.append((index, fault))
            else:
                pieces.extend(self._pieces(index, chunk))
        slabs: dict[int, list[_Piece]] = {}
        for piece in pieces:
            slabs.setdefault(piece.slab, []).append(piece)
        return [slabs[slab] for slab in sorted(slabs)]

    def _unfit(self, chunk: Chunk, append_us: int) -> Reason | None:
        end_us = chunk.start_us + self.offset_us + len(chunk.data) // 2 * 1e6 / chunk.fs_hz
        if end_us > append_us + self._timing.us(self._timing.future_s):
            return Reason.FUTURE
        buffer = self.signals.get(chunk.signal)
        if buffer is None:
            if len(self.signals) >= MAX_SIGNALS:
                return Reason.TOO_MANY
            self.signals[chunk.signal] = SignalBuffer(
                chunk.fs_hz,
                chunk.unit,
                self._context_us[chunk.signal],
                self._timing.capacity_us,
            )
        elif buffer.fs_hz != chunk.fs_hz or buffer.unit != chunk.unit:
            return Reason.RATE_CHANGED
        return None

    def _pieces(self, index: int, chunk: Chunk) -> list[_Piece]:
        count = len(chunk.data) // 2
        step = max(1, math.floor(self._timing.slab_us * chunk.fs_hz / 1e6))
        base_us = chunk.start_us + self.offset_us
        pieces = []
        for first in range(0, count, step):
            size = min(step, count - first)
            start_us = base_us + first * 1e6 / chunk.fs_hz
            end_us = base_us + (first + size) * 1e6 / chunk.fs_hz
            slab = math.floor(start_us / self._timing.slab_us)
            pieces.append(_Piece(slab, start_us, end_us, index, chunk, first, size))
        return pieces

    def _store(self, piece: _Piece, faults: list[tuple[int, Reason]]) -> int:
        buffer = self.signals[piece.chunk.signal]
        done = buffer.insert(piece.chunk, piece.first, piece.size, self.offset_us)
        if done.fault is not None and (piece.position, done.fault) not in faults:
            faults.append((piece.position, done.fault))
        return done.duplicate

    def _cut(self, until_us: int) -> list[Segment]:
        segments = []
        for signal, buffer in self.signals.items():
            for start_us, first_us, samples in buffer.cut(until_us):
                segments.append(
                    Segment(
                        self.patient_id,
                        self.device_id,
                        signal,
                        start_us,
                        start_us + SEGMENT_US,
                        buffer.fs_hz,
                        buffer.unit,
                        first_us,
                        samples,
                    )
                )
        return segments

    def state(self) -> DeviceState:
        """What the snapshot keeps."""
        signals = {name: buffer.state() for name, buffer in self.signals.items()}
        return DeviceState(
            self.device_id,
            self.offset_us,
            self.max_event_us,
            self.last_append_us,
            self.off,
            self.silent,
            signals,
        )

    @classmethod
    def from_state(
        cls, patient_id: str, state: DeviceState, timing: TimingSpec, context_us: dict[str, int]
    ) -> Device:
        """The device that gave `state`."""
        device = cls(patient_id, state.device_id, timing, context_us)
        device.offset_us, device.max_event_us = state.offset_us, state.max_event_us
        device.last_append_us = state.last_append_us
        device.off, device.silent = state.off, state.silent
        device.signals = {
            name: SignalBuffer.from_state(kept, context_us[name], timing.capacity_us)
            for name, kept in state.signals.items()
        }
        return device
