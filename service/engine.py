"""The pure composition: decoded records in, messages out. The one `Processor` every host runs.

Records turn into per-patient operations in log order, one by one and cheaply; `service.settle`
then carries them out in batches over all patients. Batching changes cost, never results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from alerts.commands import for_everyone
from alerts.machine import AlertMachine
from alerts.policy import Policy
from features.facts import admit
from service.judging import Judges
from service.patient import Patient
from service.roster import CONTEXT_US, Roster
from service.settle import USE_MODEL, settle
from service.work import Work
from streams.clock import TimingSpec
from streams.codec import encode, kind_of
from streams.device import Arrival
from streams.partition import partition_of
from streams.processor import Fault, Loaded, Outputs
from streams.quarantine import QUARANTINE, RELEASE, SERVICE, named_in
from streams.records import (
    ANYONE,
    AlertCommand,
    Chunk,
    ClinicalEvent,
    DeviceStatus,
    LogRecord,
    Reason,
    Rejected,
    SignalBundle,
    Tick,
)
from streams.signing import Keyring, objection


class Engine:
    """Every patient of the partitions this process owns.

    Parameters
    ----------
    policy : Policy
        When to alert.
    judges : Judges
        Rules and models, asked in this order about every 60 s window. Results do not depend on
        what times them.
    timing : TimingSpec
        How long to wait for data.
    partitions : int
        Partition count of the input topic; a record on a wrong partition is refused.
    keyring : Keyring or None
        Whose signatures commands and ticks must bear; None or empty: none is asked for.
    """

    def __init__(
        self,
        policy: Policy,
        judges: Judges,
        timing: TimingSpec,
        partitions: int,
        keyring: Keyring | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()  # for metrics: records, rejects, duplicates
        self._policy = policy
        self._judges = judges
        self._timing = timing.checked()
        self._keyring = keyring or {}
        self._partitions = partitions
        self._roster = Roster(policy, judges.seats, self._timing)
        self._patients = self._roster.patients
        self.spreads = self._roster.spreads  # for metrics
        self._work = Work(judges, self.counters)
        self._faults: dict[str, Fault] = {}  # of patients whose records raise, from that offset on
        self._only: str | None = None  # while looking for them: nobody else is fed
        self._handlers: dict[type, Callable[[int, LogRecord], None]] = {
            SignalBundle: self._route_chunks,
            Tick: self._route_tick,
            ClinicalEvent: self._route_event,
            DeviceStatus: self._route_status,
            AlertCommand: self._route_command,
        }

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Apply records in order; see `streams.processor.Processor`."""
        self._take(records)
        return self._work.all()

    def feed_soon(self, records: Sequence[LogRecord]) -> Outputs:
        """The same, who has much to compute later; see `streams.processor.Processor`."""
        self._take(records)
        return self._work.soon()

    def catch_up(self) -> Outputs:
        """Some of what was put off; see `streams.processor.Processor`."""
        return self._work.some()

    def left(self) -> dict[int, int]:
        """Where something is put off; see `streams.processor.Processor`."""
        return self._work.left()

    def _take(self, records: Sequence[LogRecord]) -> None:
        assert not self._roster.incomplete, "restored patients must be complete first"
        for record in records:
            self._route(self._work.number(record), record)

    def snapshots(
        self, partition: int, share: float = 1.0, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        """Changed patients' states; see `streams.processor.Processor`."""
        return self._roster.snapshots(partition, share, also)

    def unstored(self, partition: int) -> int | None:
        """Lowest offset of a change not given yet; see `streams.processor.Processor`."""
        return self._roster.unstored(partition)

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        """Load one patient; see `streams.processor.Processor`."""
        return self._roster.restore(partition, patient_id, state)

    def refill(self, records: Sequence[LogRecord]) -> None:
        """Give samples back; see `streams.processor.Processor`."""
        self._roster.refill(records)

    def complete(self, partition: int) -> None:
        """Check what was refilled; see `streams.processor.Processor`."""
        self._roster.complete(partition)

    def drop(self, partition: int) -> None:
        """Forget a partition; see `streams.processor.Processor`."""
        self._work.forget(partition)
        self._roster.drop(partition)

    def patients(self) -> int:
        """How many patients are in memory."""
        return self._roster.count()

    def suspects(self, records: Sequence[LogRecord]) -> dict[tuple[int, str], Fault]:
        """Patients whose records raise; see `streams.processor.Processor`."""
        named = named_in(records) | {
            (number, name)
            for number in {record.partition for record in records}
            for name in self._patients.get(number, {})
        }
        found = {
            (number, name): self._fault_of(name, [r for r in records if r.partition == number])
            for number, name in sorted(named)
        }
        return {who: fault for who, fault in found.items() if fault is not None}

    def _fault_of(self, name: str, records: Sequence[LogRecord]) -> Fault | None:
        """The first record that raises when only this patient is fed, one record at a time."""
        self._only = name
        try:
            for record in records:
                try:
                    self.feed([record])
                except Exception as error:  # noqa: BLE001 - that is what is looked for
                    return Fault(record.offset, record.append_us, type(error).__name__)
        finally:
            self._only = None
            self._work.abandon()
        return None

    def quarantine(self, patient_id: str, fault: Fault) -> None:
        """Take a patient out; see `streams.processor.Processor`."""
        self._faults[patient_id] = fault

    def _route(self, index: int, record: LogRecord) -> None:
        for rejected in record.rejected:
            self._work.refuse(index, record, rejected)
        if record.record is None:
            return
        self.counters[f"records.{kind_of(record.record)}"] += 1
        self._handlers[type(record.record)](index, record)

    def _route_tick(self, index: int, record: LogRecord) -> None:
        assert isinstance(record.record, Tick)
        if not self._authorised(index, record, record.record, ""):
            return
        if record.record.now_us > record.append_us + self._timing.waits.future_us:
            # It would poison every clock.
            self._work.refuse_record(index, record, Reason.FUTURE, "")
            return
        for patient in self._patients.get(record.partition, {}).values():
            if self._hears(index, record, patient):
                self._work.touch(patient, record)
                patient.on_tick(index, record.record.now_us)
                if patient.patient_id == ANYONE:
                    self._settle_now(patient, record)

    def _route_status(self, index: int, record: LogRecord) -> None:
        assert isinstance(record.record, DeviceStatus)
        status = record.record
        known = not status.signal or status.signal in CONTEXT_US
        patient = self._admit(
            index, record, status.patient_id, None if known else Reason.UNKNOWN_SIGNAL
        )
        if patient is not None:
            reason = patient.on_status(index, status, record.append_us)
            if reason is not None:
                self._work.refuse_record(index, record, reason, status.patient_id)

    def _route_command(self, index: int, record: LogRecord) -> None:
        assert isinstance(record.record, AlertCommand)
        if not self._authorised(index, record, record.record, record.record.patient_id):
            return
        action, target = record.record.action, record.record.occurrence_id
        if action == USE_MODEL and target not in self._judges.offered():
            self._refuse_unknown_model(index, record, record.record)
            return
        if record.record.patient_id == ANYONE:
            self._broadcast(index, record, record.record)
            return
        if action in (QUARANTINE, RELEASE):
            self._route_watch(index, record, record.record)
            return
        patient = self._admit(index, record, record.record.patient_id)
        if patient is not None:
            patient.on_command(index, record.record, record.append_us)

    def _route_watch(self, index: int, record: LogRecord, command: AlertCommand) -> None:
        """Take a patient out, or back in, by a record: a replay does the same."""
        if command.role != SERVICE or not self._at_home(command.patient_id, record):
            self._work.refuse_record(index, record, Reason.BAD_COMMAND, command.patient_id)
            return
        patient = self._patient(record.partition, command.patient_id)
        if record.offset < patient.frontier or self._only not in (None, command.patient_id):
            return
        self._work.touch(patient, record)
        if command.action == RELEASE:
            patient.take_back(index, Arrival(record.offset, record.append_us))
        elif not patient.out and command.expected_seq >= patient.released:
            patient.take_out(index, command.reason, record.append_us)

    def _refuse_unknown_model(self, index: int, record: LogRecord, command: AlertCommand) -> None:
        detail = f"no such model here; loaded: {', '.join(self._judges.offered()) or 'none'}"
        original = record.value or encode(command)
        rejected = Rejected(Reason.BAD_COMMAND, detail, 0, original, command.patient_id)
        self._work.refuse(index, record, rejected)

    def _broadcast(self, index: int, record: LogRecord, command: AlertCommand) -> None:
        """Let every patient of the partition hear a command, and who stands for all before them.

        What they refuse, nobody hears. Who was restored from before a command that they had heard
        already (a worker that lost its partition may have stored them last) hears it now.
        """
        everyone = self._patient(record.partition, ANYONE)
        if record.offset >= everyone.frontier:
            news = not everyone.machine.knows(command.command_id)
            self._work.touch(everyone, record)
            everyone.on_command(index, command, record.append_us)
            accepted = self._settle_now(everyone, record)
            if news and accepted and for_everyone(command):
                everyone.pass_on(record.offset, command)
        if record.offset not in everyone.passed_on:
            return
        for patient in self._patients[record.partition].values():
            if patient is not everyone and self._hears(index, record, patient):
                self._work.touch(patient, record)
                patient.on_broadcast(index, command, record.append_us)

    def _settle_now(self, everyone: Patient, record: LogRecord) -> bool:
        """Carry out what who stands for all was told; whether nothing was refused.

        At once, because a patient who first appears later in the same feed begins with what is in
        force. Every partition has one; they say the same, so that of one partition speaks.
        """
        self._work.untouch(ANYONE)
        settled = settle([(everyone, record.partition)], Judges())
        for refused in settled.refused:
            self._work.refuse_command(record, refused)
        if record.partition == partition_of(ANYONE, self._partitions):
            self._work.say(settled.emitted)
        return not settled.refused

    def _route_chunks(self, index: int, record: LogRecord) -> None:
        assert isinstance(record.record, SignalBundle)
        chunks = record.record.chunks
        by_patient: dict[str, list[tuple[int, Chunk]]] = {}
        for position, chunk in enumerate(chunks):
            by_patient.setdefault(chunk.patient_id, []).append((position, chunk))
        self.counters["chunks"] += len(chunks)
        for patient_id, own in by_patient.items():
            known = [item for item in own if item[1].signal in CONTEXT_US]
            if not self._at_home(patient_id, record):
                faults = [(position, Reason.MISROUTED) for position, _ in own]
            else:
                faults = self._take_chunks(index, record, patient_id, known)
                if len(known) < len(own):
                    unknown = [item[0] for item in own if item[1].signal not in CONTEXT_US]
                    faults += [(position, Reason.UNKNOWN_SIGNAL) for position in unknown]
            for position, reason in faults:
                original = encode(SignalBundle((chunks[position],)))
                rejected = Rejected(reason, "", position, original, patient_id)
                self._work.refuse(index, record, rejected)

    def _take_chunks(
        self, index: int, record: LogRecord, patient_id: str, own: list[tuple[int, Chunk]]
    ) -> list[tuple[int, Reason]]:
        if not own:
            return []
        patient = self._patient(record.partition, patient_id)
        if record.offset < patient.frontier or self._only not in (None, patient_id):
            return []
        if not self._hears(index, record, patient):
            self._pass_over(patient, record)
            return [(position, Reason.ENGINE_FAULT) for position, _ in own]
        self._work.touch(patient, record)
        arrival = Arrival(record.offset, record.append_us)
        took = patient.on_chunks(index, own, arrival)
        self.counters["duplicate_samples"] += took.duplicates
        self.counters["gap_us"] += took.gap_us
        return took.faults

    def _route_event(self, index: int, record: LogRecord) -> None:
        assert isinstance(record.record, ClinicalEvent)
        event = record.record
        fact = admit(event, record.append_us)
        fault = fact if isinstance(fact, Reason) else None
        patient = self._admit(index, record, event.patient_id, fault)
        if patient is not None:
            assert not isinstance(fact, Reason)  # refused: no patient to tell
            patient.on_event(index, fact, record.append_us)

    def _admit(
        self, index: int, record: LogRecord, patient_id: str, fault: Reason | None = None
    ) -> Patient | None:
        """The patient a record is for; None when it is refused or already applied."""
        if not self._at_home(patient_id, record):
            fault = Reason.MISROUTED
        if fault is not None:
            self._work.refuse_record(index, record, fault, patient_id)
            return None
        patient = self._patient(record.partition, patient_id)
        if record.offset < patient.frontier or self._only not in (None, patient_id):
            return None
        if not self._hears(index, record, patient):
            self._pass_over(patient, record)
            self._work.refuse_record(index, record, Reason.ENGINE_FAULT, patient_id)
            return None
        self._work.touch(patient, record)
        return patient

    def _hears(self, index: int, record: LogRecord, patient: Patient) -> bool:
        """Whether a record still is to be applied to a patient; one whom it harms is taken out."""
        if record.offset < patient.frontier:
            return False
        if self._only is not None and patient.patient_id not in (self._only, ANYONE):
            return False
        fault = self._faults.get(patient.patient_id)
        if fault is not None and record.offset >= fault.offset and not patient.out:
            self._work.touch(patient, record)
            patient.take_out(index, fault.reason, record.append_us)
            del self._faults[patient.patient_id]
        return not patient.out

    def _pass_over(self, patient: Patient, record: LogRecord) -> None:
        """A record of a patient who is out: it goes to the dead letters, once."""
        self._work.touch(patient, record)
        patient.dirty = True

    def _authorised(
        self, index: int, record: LogRecord, said: AlertCommand | Tick, patient_id: str
    ) -> bool:
        """Whether a key of the ring signed it, or no keys are configured; else it is refused."""
        why = objection(said, record.append_us, self._keyring) if self._keyring else None
        if why is None:
            return True
        self._work.refuse_record(index, record, Reason.UNAUTHORISED, patient_id, why)
        return False

    def _at_home(self, patient_id: str, record: LogRecord) -> bool:
        """Whether somebody's data may be on this partition; who stands for all has none."""
        own = partition_of(patient_id, self._partitions)
        return patient_id != ANYONE and own == record.partition

    def _patient(self, partition: int, patient_id: str) -> Patient:
        own = self._patients.setdefault(partition, {})
        patient = own.get(patient_id)
        if patient is None:
            everyone = own.get(ANYONE)
            standing = everyone.machine.standing() if everyone else None
            machine = AlertMachine(self._policy, patient_id, standing=standing)
            patient = Patient(patient_id, self._timing, CONTEXT_US, machine)
            if everyone is not None:
                patient.begin_like(everyone)
            own[patient_id] = patient
        return patient
