"""One patient inside the engine: devices, clocks, memory, facts, alerts — and what is to do next.

Pure. Records turn into `Op`s in log order; `service.engine` carries them out in batches over all
patients. Not here: what a segment means or when to alert.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from operator import itemgetter

from alerts.machine import AlertMachine
from features.asof import AsOf
from features.facts import Fact
from features.memory import Memory
from features.signals import USUAL_US
from service.ops import (
    Cause,
    ClockOp,
    CommandOp,
    EventOp,
    FaultOp,
    Op,
    SegmentOp,
    SignalOp,
    StatusOp,
    TickOp,
    Took,
    WindowOp,
)
from service.recent import Recent
from service.signal_life import NOBODY, SignalLife
from streams.allowance import Allowance
from streams.clock import TimingSpec
from streams.device import Arrival, Device
from streams.device_clock import JUMP_US
from streams.records import AlertCommand, Chunk, DeviceStatus, Reason
from streams.segments import Segment
from streams.shedding import drops_backfill, left_out, shed_after
from streams.windows import (
    HOP_US,
    LONGEST_US,
    decision_us,
    first_end,
    windows_ending,
)

MAX_DEVICES = 16
MOST_PASSED_ON = 512  # far more than are said between two snapshots
OFF_STATUSES = frozenset({"off", "not_worn", "unlinked"})
WORN = "worn"
# A wristband finds intervals only in quiet minutes: missing ones are no fault while the device
# sends anything else.
SPORADIC = frozenset({"rr_interval"})


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
        self.covered_us = 0  # end of the newest segment queued: far beyond it windows are empty
        self.devices, self.life = dict[str, Device](), dict[str, SignalLife]()
        self.memory, self.asof = Memory(), AsOf()
        self.recent = Recent(timing.waits.revise_us)
        self.machine = machine
        self.models: dict[str, str] = {}  # model -> version that the log says speaks for them
        self.dirty = False
        self.since = 0  # when dirty: offset below which nothing changed it since its last snapshot
        self.ops: deque[Op] = deque()
        self.out = False  # quarantined: records are refused, nothing is computed
        self.released = 0  # offset of the last release: faults before it are forgiven
        self.shed = 0  # what is left out under load: bits of `streams.shedding`
        self.allowance = Allowance()
        self.passed_on: list[int] = []  # of who stands for all: offsets of what everybody heard
        self._timing = timing
        self._waits = timing.waits
        self._context_us = context_us
        self._slack_us = max(context_us.values(), default=0)
        # Strictly later than planned: what is appended at the decision time is still heard.
        self._delay_us = self._slack_us + self._waits.slab_us + 1

    def on_chunks(self, index: int, chunks: Sequence[tuple[int, Chunk]], arrival: Arrival) -> Took:
        """Store chunks; returns what became of them."""
        self._see(arrival.append_us)
        self.dirty = True
        by_device, faults = self._allowed(chunks)
        segments: list[Segment] = []
        duplicates = gap_us = 0
        for device_id, own in by_device.items():
            device = self._device(device_id)
            if device is None:
                faults += [(position, Reason.TOO_MANY) for position, _ in own]
                continue
            done = device.ingest(own, arrival, self.clock_us)
            faults += done.faults
            duplicates += done.duplicates
            gap_us += done.gap_us
            segments += done.segments
            if done.moved_us:
                ahead_us = -device.time.clock.jump_us
                wrong_us = ahead_us if abs(ahead_us) >= JUMP_US else 0
                self.ops.append(ClockOp(Cause(index, self.clock_us), device_id, wrong_us))
            if done.heard:
                self._hear(index, device, done.heard)
        self._emit(index, segments)
        return Took(faults, duplicates, gap_us)

    def _allowed(
        self, chunks: Sequence[tuple[int, Chunk]]
    ) -> tuple[dict[str, Sequence[tuple[int, Chunk]]], list[tuple[int, Reason]]]:
        """Chunks by their device, as far as the patient may send them, and refusals."""
        samples = sum([len(chunk.data) for _, chunk in chunks]) // 2
        first = chunks[0][1].device_id
        by_device: dict[str, list[tuple[int, Chunk]]] = {}
        if self.allowance.take(samples, self.clock_us):
            if len({chunk.device_id for _, chunk in chunks}) == 1:  # the usual case
                return {first: chunks}, []
            for item in chunks:
                by_device.setdefault(item[1].device_id, []).append(item)
            return dict(by_device), []
        faults: list[tuple[int, Reason]] = []
        for item in chunks:
            if self.allowance.take(len(item[1].data) // 2, self.clock_us):
                by_device.setdefault(item[1].device_id, []).append(item)
            else:
                faults.append((item[0], Reason.TOO_MUCH))
        return dict(by_device), faults

    def replay_offset(self) -> int:
        """Lowest offset from which a restored patient must be given its chunks again."""
        own = [device.first_offset() for device in self.devices.values()]
        return min((offset for offset in own if offset is not None), default=self.frontier)

    def refill(self, offset: int, chunks: Mapping[int, Chunk]) -> None:
        """Take back samples that a record brought before the snapshot, by place in its bundle."""
        by_device: dict[str, dict[int, Chunk]] = {}
        for place, chunk in chunks.items():
            by_device.setdefault(chunk.device_id, {})[place] = chunk
        for device_id, own in by_device.items():
            if device_id in self.devices:
                self.devices[device_id].refill(offset, own)

    def complete(self) -> None:
        """All is there again; `SnapshotMismatch` if it is not."""
        for device in self.devices.values():
            device.complete()

    def on_event(self, index: int, fact: Fact, append_us: int) -> None:
        """Queue a clinical event that the engine has checked."""
        self._see(append_us)
        self.dirty = True
        self.ops.append(EventOp(Cause(index, self.clock_us), fact))

    def on_command(self, index: int, command: AlertCommand, append_us: int) -> None:
        """Queue a person's command."""
        self._see(append_us)
        self.dirty = True
        self.ops.append(CommandOp(Cause(index, self.clock_us), command))

    def on_broadcast(self, index: int, command: AlertCommand, append_us: int) -> None:
        """Queue a command to everybody that who stands for all has accepted."""
        self.shed = shed_after(self.shed, command.action, command.occurrence_id)
        self.on_command(index, command, append_us)

    def take_out(self, index: int, reason: str, append_us: int) -> None:
        """From this record on nothing of the patient is computed, and an alert says so."""
        self._see(append_us)
        self.out = self.dirty = True
        self.ops.append(FaultOp(Cause(index, self.clock_us), reason or "fault"))

    def take_back(self, index: int, arrival: Arrival) -> None:
        """Watch again, with what is remembered but for the samples that were being collected."""
        self._see(arrival.append_us)
        if self.out:
            self.ops.append(FaultOp(Cause(index, self.clock_us), ""))
            self.devices, self.life = {}, {}
        self.out, self.dirty, self.released = False, True, arrival.offset

    def begin_like(self, everyone: Patient) -> None:
        """Begin with what is in force for everybody."""
        self.models, self.shed = dict(everyone.models), everyone.shed

    def pass_on(self, offset: int, command: AlertCommand) -> None:
        """Note that everybody hears the command at this offset."""
        self.shed = shed_after(self.shed, command.action, command.occurrence_id)
        self.passed_on = [*self.passed_on, offset][-MOST_PASSED_ON:]

    def on_status(self, index: int, status: DeviceStatus, append_us: int) -> Reason | None:
        """Take a device's status: its clock offset, and whether data is to be expected."""
        self._see(append_us)
        device = self._device(status.device_id)
        if device is None:
            return Reason.TOO_MANY
        self.dirty = True
        if device.time.set_offset(status.clock_offset_us, device.max_event_us):
            self.ops.append(ClockOp(Cause(index, self.clock_us), status.device_id, 0))
        if status.status in OFF_STATUSES and not status.signal:
            device.off = True
            for signal in device.signals:
                life = self.life.get(signal, NOBODY)
                if life.device_id == status.device_id and not life.silent:
                    del self.life[signal]  # switched off, not lost
        elif status.status == WORN:
            self._expect(device)
        self.ops.append(StatusOp(Cause(index, self.clock_us), status))
        self._emit(index, [])
        return None

    def on_tick(self, index: int, now_us: int) -> None:
        """Let time pass: give up waiting, notice silence, run timers."""
        self._see(now_us)
        self._emit(index, [])
        cause = Cause(index, self.clock_us)
        self._notice_silence(cause)
        if self.ops or self.machine.records():  # what is queued may yet raise something
            self.ops.append(TickOp(cause, now_us))

    def _notice_silence(self, cause: Cause) -> None:
        """Tell of signals that stopped; a device that stopped altogether is told once."""
        heard_us = self.clock_us - self._waits.silence_us + self._waits.slab_us
        for life in self.life.values():
            if life.append_us < heard_us:
                break
        else:
            return  # every signal came lately
        for device in self.devices.values():
            own = [item for item in self.life.items() if item[1].device_id == device.device_id]
            if device.silent or device.off or not own:
                continue
            if all(self._overdue(*item) for item in own):
                device.silent = self.dirty = True
                self.ops.append(SignalOp(cause, "", device.device_id, device.max_event_us))
        for signal, life in sorted(self.life.items()):
            device = self.devices[life.device_id]
            if life.silent or device.silent or signal in SPORADIC:
                continue
            if not self._overdue(signal, life):
                continue
            if device.last_append_us - life.append_us <= self._waits.hold_us:
                continue  # it stopped with the others: the device is about to be told
            life.silent = self.dirty = True
            self.ops.append(SignalOp(cause, signal, life.device_id, life.event_us))

    def _overdue(self, signal: str, life: SignalLife) -> bool:
        """Its last sample is too old, and nothing came lately either.

        Judged by event time, so that a chunk that arrived late within the lateness does not move
        the alert; arrival counts too, so that a device with a slow clock is not called silent.
        """
        # A signal that comes every five minutes is not silent after one.
        interval_us = max(life.interval_us, USUAL_US.get(signal, 0))
        patience_us = max(self._waits.silence_us, 3 * interval_us)
        return (
            self.clock_us - life.event_us > patience_us
            and self.clock_us - life.append_us > patience_us - self._waits.slab_us
        )

    def _return(self, device: Device, index: int) -> None:
        """A silent device speaks again; each of its signals gets time to follow."""
        device.silent = False
        for life in self.life.values():
            if life.device_id == device.device_id:
                life.append_us = self.clock_us
        self.ops.append(SignalOp(Cause(index, self.clock_us), "", device.device_id, 0))

    def _see(self, append_us: int) -> None:
        if append_us > self.clock_us:
            self.clock_us = append_us

    def _device(self, device_id: str) -> Device | None:
        device = self.devices.get(device_id)
        if device is None and (len(self.devices) < MAX_DEVICES or self._forget_device()):
            device = Device(self.patient_id, device_id, self._timing, self._context_us)
            self.devices[device_id] = device
        return device

    def _forget_device(self) -> bool:
        """Make room: the device idle longest goes, one that is missed last; none that is in use."""
        idle = [
            (device.silent, device.last_append_us, device_id)
            for device_id, device in self.devices.items()
            if device.idle(self.clock_us)
        ]
        if not idle:
            return False
        gone = self.devices.pop(min(idle)[2])
        self.life = {s: kept for s, kept in self.life.items() if kept.device_id != gone.device_id}
        return True

    def _expect(self, device: Device) -> None:
        """Silence counts from now for every signal the device had before it was taken off."""
        for signal, buffer in device.signals.items():
            if signal not in self.life:
                seen = self.clock_us, device.max_event_us, buffer.interval_us
                self.life[signal] = SignalLife(device.device_id, *seen, False)

    def _hear(self, index: int, device: Device, heard: dict[str, int]) -> None:
        """Note which signals of a device are alive, and up to what event time."""
        if device.silent:
            self._return(device, index)
        for signal, end_us in sorted(heard.items()):
            interval_us = device.signals[signal].interval_us
            life = self.life.get(signal)
            if life is None:
                life = SignalLife(device.device_id, self.clock_us, end_us, interval_us, False)
                self.life[signal] = life
                continue
            if life.silent:
                life.silent = False
                cause = Cause(index, self.clock_us)
                self.ops.append(SignalOp(cause, signal, life.device_id, 0))
            life.device_id, life.append_us = device.device_id, self.clock_us
            life.interval_us = interval_us
            life.event_us = max(life.event_us, end_us)

    def _emit(self, index: int, segments: list[Segment]) -> None:
        """Queue segments, those that nobody waits for any more, and the windows they complete."""
        for device in self.devices.values():
            given_up = device.advance(self.clock_us)
            if given_up is not None:
                segments += given_up
                self.dirty = True
        until_us = self._due_until_us()
        if not segments and self.cursor_us > until_us:
            return
        cause = Cause(index, self.clock_us)
        if segments:
            self.dirty = True
            segments.sort(key=_by_end)
        for segment in segments:
            end_us = segment.end_us
            if 0 < self.cursor_us <= segment.start_us:
                self._windows(cause, min(until_us, segment.start_us))
            if not self.started:
                self.cursor_us = min(self.cursor_us or end_us, end_us)
            if end_us > self.covered_us:
                self.covered_us = end_us
            if not (self.shed and self._spared(segment)):
                self.ops.append(SegmentOp(cause, segment))
        self._windows(cause, until_us)

    def _spared(self, segment: Segment) -> bool:
        """Whether no window that is computed under this load reaches back to a segment."""
        late_us = self.clock_us - segment.end_us
        return drops_backfill(self.shed) and late_us > self._waits.backfill_us + 2 * LONGEST_US

    def _windows(self, cause: Cause, until_us: int) -> None:
        """Queue the windows that end by `until_us`; those without any data are passed over."""
        if self.cursor_us == 0 or self.cursor_us > until_us:
            return
        self.started = self.dirty = True
        last_us = min(until_us, self.covered_us + LONGEST_US - HOP_US)
        for end_us in range(self.cursor_us, last_us + 1, HOP_US):
            known_us = decision_us(end_us, self._slack_us, self.clock_us, self._timing)
            windows = windows_ending(self.patient_id, end_us, known_us)
            pages = known_us - end_us <= self._waits.backfill_us
            if not (self.shed and left_out(self.shed, end_us, pages=pages)):
                self.ops.append(WindowOp(cause, windows, pages))
        self.cursor_us = first_end(until_us)

    def _due_until_us(self) -> int:
        """Windows that end by this time wait for nobody any more."""
        clock_us = self.clock_us
        if len(self.devices) == 1:  # the same, as for most patients every few seconds
            (only,) = self.devices.values()
            if only.max_event_us and only.active(clock_us):
                until_us = only.watermark_us() - self._slack_us
                return min(until_us, clock_us - self._delay_us)
            return min(only.max_event_us, clock_us)
        heard = [d for d in self.devices.values() if d.max_event_us]
        active = [d for d in heard if d.active(clock_us)]
        if active:
            waiting = [d for d in active if not d.lags(clock_us)] or active
            watermark_us = min(d.watermark_us() for d in waiting)
            return min(watermark_us - self._slack_us, clock_us - self._delay_us)
        return min(max((d.max_event_us for d in heard), default=0), clock_us)


# By end, signal and device.
_by_end = itemgetter(*map(Segment._fields.index, ("end_us", "signal", "device_id")))
