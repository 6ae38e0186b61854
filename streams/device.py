"""One device of one patient: its clock, its signals, and how far its data is complete.

Invariant: segments leave in event-time order per signal and never twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from streams.buffer_state import BufferState
from streams.buffers import NEVER_US, SignalBuffer
from streams.clock import TimingSpec
from streams.codec import MIN_TIME_US
from streams.device_clock import DeviceClock
from streams.records import Chunk, Reason
from streams.segments import SEGMENT_US, Segment
from streams.timekeeper import Timekeeper

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
    clock: DeviceClock = msgspec.field(default_factory=DeviceClock)


class Arrival(NamedTuple):
    """The record that brings chunks: where it is on the log, and when it was appended."""

    offset: int
    append_us: int


class Ingested(NamedTuple):
    """What came of one record's chunks of one device."""

    segments: list[Segment]
    faults: list[tuple[int, Reason]]  # index of the chunk in its bundle, why (part of) it failed
    heard: dict[str, int]  # signals that brought something new, and the event time they reach
    duplicates: int  # samples that were there already
    gap_us: int  # that signals went on later than where they had ended
    moved_us: int  # by so much event time was led away from what the device says, now


class _Piece(NamedTuple):
    slab: int
    start_us: int
    position: int  # of the chunk in its bundle
    chunk: Chunk
    first: int
    size: int  # 0: the whole chunk


class _News:
    """What a record's chunks have come to so far; see `Ingested`."""

    __slots__ = ("duplicates", "faults", "gap_us", "heard")

    def __init__(self) -> None:
        self.faults: list[tuple[int, Reason]] = []
        self.heard: dict[str, int] = {}
        self.duplicates = self.gap_us = 0


class Device:
    """Buffers, clock offset and watermark of one device."""

    def __init__(
        self, patient_id: str, device_id: str, timing: TimingSpec, context_us: dict[str, int]
    ) -> None:
        self.patient_id = patient_id
        self.device_id = device_id
        self.max_event_us = 0
        self.last_append_us = 0
        self.off = False
        self.silent = False  # its silence has been told
        self.signals: dict[str, SignalBuffer] = {}
        self._waits = timing.waits
        self.time = Timekeeper(timing.waits, self.signals)
        self._context_us = context_us
        self._due_us = 0  # watermark below which `_cut` has nothing to do
        self._given_up_us = 0  # core end up to which `advance` already gave up since the last data

    def ingest(
        self, chunks: Sequence[tuple[int, Chunk]], arrival: Arrival, clock_us: int
    ) -> Ingested:
        """Store the chunks of one record; returns the segments now complete.

        Long stretches are stored in slabs of at most the lateness, cutting in between, so that
        a chunk of any length gives what its parts would have given.
        """
        segments: list[Segment] = []
        news = _News()
        slab_us = self._waits.slab_us
        jump_us = self.time.clock.jump_us
        starts = self.time.times(chunks, arrival.append_us)
        for slab in self._slabs(chunks, starts, arrival.append_us, news.faults):
            # What is due without this slab must leave before a jump forward needs its room.
            segments += self._cut(min([piece.start_us for piece in slab]) - slab_us)
            for piece in slab:
                self._take(piece, arrival.offset, news)
            segments += self._cut(self.max_event_us - slab_us)
        if news.heard:
            self.off = False
            self.last_append_us = max(self.last_append_us, clock_us)
            self._given_up_us = 0
        moved_us = self.time.clock.jump_us - jump_us
        repeated, gap_us = news.duplicates, news.gap_us
        return Ingested(segments, news.faults, news.heard, repeated, gap_us, moved_us)

    def advance(self, clock_us: int) -> list[Segment] | None:
        """Segments that a quiet or switched-off device gives up waiting for; None: nothing new."""
        if self.active(clock_us):
            return None
        idle = self.idle(clock_us)
        until_us = self.max_event_us + (SEGMENT_US if idle else 0)
        return None if until_us <= self._given_up_us else self._give_up(until_us)

    def active(self, clock_us: int) -> bool:
        """Whether more data is to be expected right now."""
        return not self.off and clock_us - self.last_append_us <= self._waits.hold_us

    def idle(self, clock_us: int) -> bool:
        """Whether nothing is expected of it any more."""
        return self.off or clock_us - self.last_append_us > self._waits.idle_us

    def lags(self, clock_us: int) -> bool:
        """Whether its event time is too far behind to hold the patient's windows back."""
        return clock_us - self.max_event_us > self._waits.lag_us

    def watermark_us(self) -> int:
        """Event time before which nothing more is awaited."""
        return self.max_event_us - self._waits.slab_us

    def _slabs(
        self,
        chunks: Sequence[tuple[int, Chunk]],
        starts: Sequence[int],
        append_us: int,
        faults: list[tuple[int, Reason]],
    ) -> list[list[_Piece]]:
        pieces: list[_Piece] = []
        taken: set[str] = set()  # signals of this record: what is not stored yet has a rate too
        slab_us, latest_us = self._waits.slab_us, append_us + self._waits.future_us
        for (index, chunk), start_us in zip(chunks, starts, strict=True):
            buffer, count = self.signals.get(chunk.signal), len(chunk.data) // 2
            if (
                buffer is None
                or buffer.fs_hz != chunk.fs_hz
                or buffer.unit != chunk.unit
                or start_us < MIN_TIME_US
                or start_us + (count - 1) * 1e6 / chunk.fs_hz > latest_us
            ):
                fault = self._unfit(chunk, start_us, append_us, taken)
                if fault is not None:
                    faults.append((index, fault))
                    continue
            taken.add(chunk.signal)
            if count <= slab_us * chunk.fs_hz / 1e6:
                pieces.append(_Piece(start_us // slab_us, start_us, index, chunk, 0, 0))
            else:
                self._add_pieces(index, chunk, start_us, pieces)
        if len({piece.slab for piece in pieces}) < 2:
            return [pieces] if pieces else []
        slabs: dict[int, list[_Piece]] = {}
        for piece in pieces:
            slabs.setdefault(piece.slab, []).append(piece)
        return [slabs[slab] for slab in sorted(slabs)]

    def _unfit(self, chunk: Chunk, start_us: int, append_us: int, taken: set[str]) -> Reason | None:
        if start_us < MIN_TIME_US:
            return Reason.BAD_TIME
        last_us = start_us + (len(chunk.data) // 2 - 1) * 1e6 / chunk.fs_hz
        if last_us > append_us + self._waits.future_us:
            return Reason.FUTURE
        buffer = self.signals.get(chunk.signal)
        if buffer is None:
            if len(self.signals) >= MAX_SIGNALS:
                return Reason.TOO_MANY
            self._begin(chunk, None)
        elif buffer.fs_hz != chunk.fs_hz or buffer.unit != chunk.unit:
            if chunk.signal in taken or not buffer.settled():
                return Reason.RATE_CHANGED
            self._begin(chunk, buffer.cut_us)
        return None

    def _begin(self, chunk: Chunk, cut_us: int | None) -> None:
        """A buffer for a new signal, or for one that comes back at another rate or in a new unit.

        That is possible once everything of the old one is cut: segments have one rate.
        """
        buffer = SignalBuffer(
            chunk.fs_hz, chunk.unit, self._context_us[chunk.signal], self._waits.capacity_us
        )
        buffer.cut_us, buffer.ppm = cut_us, self.time.clock.ppm
        self.signals[chunk.signal] = buffer

    def _add_pieces(self, index: int, chunk: Chunk, base_us: int, pieces: list[_Piece]) -> None:
        count = len(chunk.data) // 2
        slab_us = self._waits.slab_us
        step = max(1, math.floor(slab_us * chunk.fs_hz / 1e6))
        for first in range(0, count, step):
            start_us = base_us + round(first * 1e6 / chunk.fs_hz)
            size = min(step, count - first)
            pieces.append(_Piece(start_us // slab_us, start_us, index, chunk, first, size))

    def _take(self, piece: _Piece, offset: int, news: _News) -> None:
        """Store a piece, the usual way where that will do."""
        chunk, place = piece.chunk, (offset, piece.position)
        buffer = self.signals[chunk.signal]
        end_us = 0 if piece.size else buffer.append(chunk, place, piece.start_us)
        if not end_us:
            if buffer.cut_us is None:
                self._due_us = 0  # its first samples may move back
            span, ended = (piece.first, piece.size or len(chunk.data) // 2), buffer.top
            done = buffer.insert(chunk, place, span, piece.start_us)
            news.duplicates += done.duplicate
            if done.fault is not None and (piece.position, done.fault) not in news.faults:
                news.faults.append((piece.position, done.fault))
            if not done.used:
                return
            news.gap_us += buffer.gap_us(ended)
            end_us = done.end_us
        if end_us > news.heard.get(chunk.signal, 0):
            news.heard[chunk.signal] = end_us
        if end_us > self.max_event_us:
            self.max_event_us = end_us

    def _cut(self, until_us: int) -> list[Segment]:
        """Segments complete at a watermark of `until_us`."""
        if until_us < self._due_us:
            return []
        segments: list[Segment] = []
        next_us = NEVER_US
        for signal, buffer in self.signals.items():
            due_us = buffer.due_us()
            if until_us >= due_us:
                segments += self._segments(signal, buffer, until_us)
                due_us = buffer.due_us()
            if due_us < next_us:
                next_us = due_us
        self._due_us = next_us
        return segments

    def _give_up(self, until_us: int) -> list[Segment]:
        """Segments whose core ends by `until_us`, whatever their context lacks."""
        segments: list[Segment] = []
        for signal, buffer in self.signals.items():
            segments += self._segments(signal, buffer, until_us + buffer.context_us)
        self._due_us = 0
        self._given_up_us = until_us
        return segments

    def _segments(self, signal: str, buffer: SignalBuffer, until_us: int) -> list[Segment]:
        return buffer.cut(until_us, (self.patient_id, self.device_id, signal))

    def first_offset(self) -> int | None:
        """Lowest offset of the log at which samples still needed can be read; None: none are."""
        own = [buffer.first_offset() for buffer in self.signals.values()]
        return min((offset for offset in own if offset is not None), default=None)

    def state(self, clock_us: int) -> DeviceState:
        """What the snapshot keeps.

        Samples of a device that is idle by `clock_us` are kept by value, and they are few: the
        log will have forgotten its chunks before it sends others.
        """
        idle = self.idle(clock_us)
        signals = {name: buffer.state(keep=idle) for name, buffer in self.signals.items()}
        return DeviceState(
            self.device_id,
            self.time.offset_us,
            self.max_event_us,
            self.last_append_us,
            self.off,
            self.silent,
            signals,
            self.time.clock,
        )

    @classmethod
    def from_state(
        cls, patient_id: str, state: DeviceState, timing: TimingSpec, context_us: dict[str, int]
    ) -> Device:
        """The device that gave `state`, once `refill` has brought what its buffers miss."""
        device = cls(patient_id, state.device_id, timing, context_us)
        device.max_event_us = state.max_event_us
        device.last_append_us = state.last_append_us
        device.off, device.silent = state.off, state.silent
        device.signals |= {
            name: SignalBuffer.from_state(kept, context_us[name], timing.waits.capacity_us)
            for name, kept in state.signals.items()
        }
        device.time.offset_us, device.time.clock = state.offset_us, state.clock
        for buffer in device.signals.values():
            buffer.ppm = state.clock.ppm
        return device

    def refill(self, offset: int, chunks: Mapping[int, Chunk]) -> None:
        """Take samples that a record brought before the snapshot; see `SignalBuffer.refill`."""
        for name, buffer in self.signals.items():
            buffer.refill(offset, name, chunks)

    def complete(self) -> None:
        """Go on from the restored state; see `SignalBuffer.complete`."""
        for buffer in self.signals.values():
            buffer.complete()
