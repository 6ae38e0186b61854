"""One patient inside the engine: devices, clocks, rings, facts, alerts — and what is to do next.

Pure. Records turn into `Op`s in log order; `service.engine` carries them out in batches over all
patients. Not here: what a segment means or when to alert.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from alerts.machine import AlertMachine
from features.asof import AsOf
from features.rings import Rings
from streams.clock import TimingSpec
from streams.device import Device
from streams.records import AlertCommand, Chunk, ClinicalEvent, DeviceStatus, Reason
from streams.segments import Segment
from streams.windows import (
    HOP_US,
    LONGEST_US,
    Window,
    decision_us,
    first_end,
    windows_ending,
)

MAX_DEVICES = 16
OFF_STATUSES = frozenset({"off", "not_worn", "unlinked"})


class Cause(NamedTuple):
    """The record behind an operation: its place in this `feed`, and the patient's clock then."""

    at: int  # index of the record
    clock_us: int


class SegmentOp(NamedTuple):
    """Analyse a segment and keep its primitives."""

    cause: Cause
    segment: Segment


class WindowOp(NamedTuple):
    """Compute, score and judge the windows that end here."""

    cause: Cause
    windows: tuple[Window, ...]
    pages: bool  # False for backfill: it is computed, and wakes nobody


class EventOp(NamedTuple):
    """Take in a clinical event."""

    cause: Cause
    event: ClinicalEvent
    append_us: int


class TickOp(NamedTuple):
    """Let timers run."""

    cause: Cause
    now_us: int


class SignalOp(NamedTuple):
    """A signal went silent, or came back (`since_us` 0)."""

    cause: Cause
    signal: str
    device_id: str
    since_us: int


class StatusOp(NamedTuple):
    """What a device says of itself."""

    cause: Cause
    status: DeviceStatus


class CommandOp(NamedTuple):
    """What a person asks."""

    cause: Cause
    command: AlertCommand


Op = SegmentOp | WindowOp | EventOp | TickOp | SignalOp | StatusOp | CommandOp


class SignalLife(msgspec.Struct, array_like=True):
    """When a signal was last heard, over all devices; for silence."""

    device_id: str
    append_us: int
    event_us: int
    interval_us: int  # between its last two arrivals
    silent: bool


class Patient:
    """State of one patient; `ops` is what its records have made due and nobody has done yet."""

    def __init__(
        self,
        patient_id: str,
        timing: TimingSpec,
        context_us: dict[str, int],
        machine: AlertMachine,
    ) -> None:
        self.patient_id = patient_id
        self.frontier = 0  # offset below which records are already applied
        self.clock_us = 0  # running maximum of append time
        self.cursor_us = 0  # end of the next window; 0 before the first data
        self.started = False  # whether any window left: until then the cursor may move back
        self.devices: dict[str, Device] = {}
        self.life: dict[str, SignalLife] = {}
        self.rings = Rings()
        self.asof = AsOf()
        self.machine = machine
        self.dirty = False
        self.ops: deque[Op] = deque()
        self._timing = timing
        self._context_us = context_us
        self._slack_us = max(context_us.values(), default=0)

    def on_chunks(
        self, index: int, chunks: Sequence[tuple[int, Chunk]], append_us: int
    ) -> tuple[list[tuple[int, Reason]], int]:
        """Store chunks; returns refusals (position in the bundle, reason) and duplicates."""
        self._see(append_us)
        by_device: dict[str, list[tuple[int, Chunk]]] = {}
        for position, chunk in chunks:
            by_device.setdefault(chunk.device_id, []).append((position, chunk))
        faults: list[tuple[int, Reason]] = []
        segments: list[Segment] = []
        duplicates = 0
        for device_id, own in by_device.items():
            device = self._device(device_id)
            if device is None:
                faults.extend((position, Reason.TOO_MANY) for position, _ in own)
                continue
            before_us = self._newest_us()
            done = device.ingest(own, append_us, self.clock_us)
            faults.extend(done.faults)
            duplicates += done.duplicates
            segments.extend(self._place_cursor(index, before_us, device, done.segments))
            refused = {position for position, _ in done.faults}
            if device.silent and len(refused) < len(own):
                self._return(device, index)
            self._hear(index, own, refused)
        self._emit(index, segments)
        return faults, duplicates

    def on_event(self, index: int, event: ClinicalEvent, append_us: int) -> None:
        """Queue a clinical event; its values are checked by the engine."""
        self._see(append_us)
        self.dirty = True
        self.ops.append(EventOp(Cause(index, self.clock_us), event, append_us))

    def on_command(self, index: int, command: AlertCommand, append_us: int) -> None:
        """Queue a person's command."""
        self._see(append_us)
        self.dirty = True
        self.ops.append(CommandOp(Cause(index, self.clock_us), command))

    def on_status(self, index: int, status: DeviceStatus, append_us: int) -> Reason | None:
        """Take a device's status: its clock offset, and whether data is to be expected."""
        self._see(append_us)
        device = self._device(status.device_id)
        if device is None:
            return Reason.TOO_MANY
        self.dirty = True
        device.offset_us = status.clock_offset_us
        if status.status in OFF_STATUSES and not status.signal:
            device.off = True
            for signal in device.signals:
                if self.life.get(signal, _NOBODY).device_id == status.device_id:
                    del self.life[signal]
        self.ops.append(StatusOp(Cause(index, self.clock_us), status))
        self._emit(index, device.advance(self.clock_us))
        return None

    def on_tick(self, index: int, now_us: int) -> None:
        """Let time pass: give up waiting, notice silence, run timers."""
        self._see(now_us)
        segments: list[Segment] = []
        for device in self.devices.values():
            segments.extend(device.advance(self.clock_us))
        self._emit(index, segments)
        cause = Cause(index, self.clock_us)
        self._notice_silence(cause)
        if self.ops or self.machine.records():  # what is queued may yet raise something
            self.ops.append(TickOp(cause, now_us))

    def _notice_silence(self, cause: Cause) -> None:
        """Tell of signals that stopped; a device that stopped altogether is told once."""
        for device in self.devices.values():
            own = [life for life in self.life.values() if life.device_id == device.device_id]
            if device.silent or device.off or not own:
                continue
            if self._overdue(max(own, key=lambda life: life.append_us)):
                device.silent = self.dirty = True
                self.ops.append(SignalOp(cause, "", device.device_id, device.max_event_us))
        for signal, life in self.life.items():
            if life.silent or self.devices[life.device_id].silent or not self._overdue(life):
                continue
            life.silent = self.dirty = True
            self.ops.append(SignalOp(cause, signal, life.device_id, life.event_us))

    def _overdue(self, life: SignalLife) -> bool:
        return self.clock_us - life.append_us > self._patience_us(life)

    def _return(self, device: Device, index: int) -> None:
        """A silent device speaks again; each of its signals gets time to follow."""
        device.silent = False
        for life in self.life.values():
            if life.device_id == device.device_id:
                life.append_us = self.clock_us
        self.ops.append(SignalOp(Cause(index, self.clock_us), "", device.device_id, 0))

    def _see(self, append_us: int) -> None:
        self.clock_us = max(self.clock_us, append_us)

    def _device(self, device_id: str) -> Device | None:
        device = self.devices.get(device_id)
        if device is None and len(self.devices) < MAX_DEVICES:
            device = Device(self.patient_id, device_id, self._timing, self._context_us)
            self.devices[device_id] = device
        return device

    def _newest_us(self) -> int:
        return max((device.max_event_us for device in self.devices.values()), default=0)

    def _patience_us(self, life: SignalLife) -> int:
        """A signal that comes every five minutes is not silent after one."""
        return max(self._timing.us(self._timing.silence_s), 3 * life.interval_us)

    def _hear(self, index: int, chunks: Sequence[tuple[int, Chunk]], refused: set[int]) -> None:
        """Note which signals are alive."""
        for position, chunk in chunks:
            if position in refused:
                continue
            self.dirty = True
            end_us = chunk.start_us + round(len(chunk.data) // 2 * 1e6 / chunk.fs_hz)
            life = self.life.get(chunk.signal)
            if life is None:
                self.life[chunk.signal] = SignalLife(
                    chunk.device_id, self.clock_us, end_us, 0, False
                )
                continue
            if life.silent:
                life.silent = False
                cause = Cause(index, self.clock_us)
                self.ops.append(SignalOp(cause, chunk.signal, chunk.device_id, 0))
            elif self.clock_us > life.append_us:
                life.interval_us = self.clock_us - life.append_us
            life.device_id, life.append_us = chunk.device_id, self.clock_us
            life.event_us = max(life.event_us, end_us)

    def _place_cursor(
        self, index: int, before_us: int, device: Device, fresh: list[Segment]
    ) -> list[Segment]:
        """Start windows at the first data, and pass over stretches that hold none.

        Returns the segments that are still to be queued.
        """
        edge_us = max(before_us, self.cursor_us) + LONGEST_US
        if self.started and device.max_event_us <= edge_us:
            return fresh
        starts = [segment.start_us for segment in fresh if segment.start_us >= before_us]
        oldest_us = device.oldest_us()
        first_us = (
            min(starts, default=oldest_us) if oldest_us is None else min([*starts, oldest_us])
        )
        if first_us is None:
            return fresh
        if not self.started:
            end_us = first_end(first_us)
            self.cursor_us = min(self.cursor_us, end_us) if self.cursor_us else end_us
        elif first_us > edge_us:
            self._emit(index, [segment for segment in fresh if segment.start_us < before_us])
            self._windows(index, first_end(before_us) - HOP_US)
            self.cursor_us = first_end(first_us)
            return [segment for segment in fresh if segment.start_us >= before_us]
        return fresh

    def _emit(self, index: int, segments: list[Segment]) -> None:
        """Queue segments and the windows they complete, in event-time order."""
        until_us = self._due_until_us()
        cause = Cause(index, self.clock_us)
        for segment in sorted(segments, key=lambda s: (s.end_us, s.signal, s.device_id)):
            self._windows(index, min(until_us, segment.start_us))
            self.ops.append(SegmentOp(cause, segment))
        self._windows(index, until_us)

    def _windows(self, index: int, until_us: int) -> None:
        if self.cursor_us == 0:
            return
        while self.cursor_us <= until_us:
            end_us = self.cursor_us
            known_us = decision_us(end_us, self._slack_us, self.clock_us, self._timing)
            windows = windows_ending(self.patient_id, end_us, known_us)
            pages = known_us - end_us <= self._timing.us(self._timing.backfill_s)
            self.ops.append(WindowOp(Cause(index, self.clock_us), windows, pages))
            self.cursor_us += HOP_US
            self.started = self.dirty = True

    def _due_until_us(self) -> int:
        """Windows that end by this time wait for nobody any more."""
        heard = [d for d in self.devices.values() if d.max_event_us]
        active = [d for d in heard if d.active(self.clock_us)]
        waiting = [d for d in active if not d.lags(self.clock_us)] or active
        if waiting:
            planned_us = self.clock_us - self._slack_us - self._timing.slab_us
            return min(min(d.watermark_us() for d in waiting) - self._slack_us, planned_us)
        return max((d.max_event_us for d in heard), default=0)


_NOBODY = SignalLife("", 0, 0, 0, False)
