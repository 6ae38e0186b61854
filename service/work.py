"""What records made due and nobody has carried out yet, and what was said while they were taken.

A patient with many windows to compute, hours that come at once, may be put off: the others go
first. Each patient's own order stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from service.judging import Emitted, Judges, RefusedCommand, Settled
from service.ops import WindowOp
from service.outputs import Caused, dead_letter
from service.patient import Patient
from service.settle import settle
from streams.codec import encode
from streams.processor import Outputs
from streams.records import AlertCommand, LogRecord, Reason, Rejected

FEW: Final = 4  # windows of a patient that nobody need wait for
AT_ONCE: Final = 30  # of those put off, windows of each that are computed in one go
ALL_AT_ONCE: Final = 256  # ... and of all of them
MOST: Final = 4096  # windows that may be put off, of all patients: 12 kB each


class Work:
    """Patients with something to do, in the order in which records touched them.

    Parameters
    ----------
    judges : Judges
        Who scores.
    counters : Counter
        Counts refusals.
    """

    def __init__(self, judges: Judges, counters: Counter[str]) -> None:
        self._judges = judges
        self._counters = counters
        self._touched: dict[str, tuple[Patient, int]] = {}
        self._said: list[Emitted] = []  # while taking: refusals, and what stands for all says
        self._asked: dict[int, LogRecord] = {}  # commands, should a machine refuse them
        self._taken = 0

    def number(self, record: LogRecord) -> int:
        """The place of a record among all that were taken."""
        if isinstance(record.record, AlertCommand):
            self._asked[self._taken] = record
        self._taken += 1
        return self._taken - 1

    def touch(self, patient: Patient, record: LogRecord) -> None:
        """A record is applied to a patient."""
        if not patient.dirty and patient.patient_id not in self._touched:
            patient.since = record.offset
        patient.frontier = record.offset + 1
        self._touched[patient.patient_id] = (patient, record.partition)

    def untouch(self, patient_id: str) -> None:
        """It is carried out by somebody else, at once."""
        self._touched.pop(patient_id)

    def forget(self, partition: int) -> None:
        """What was put off of a partition that belongs to somebody else now."""
        self._touched = {k: own for k, own in self._touched.items() if own[1] != partition}

    def abandon(self) -> None:
        """Forget everything."""
        self._touched, self._said, self._asked = {}, [], {}

    def left(self) -> dict[int, int]:
        """By partition, an offset from which on not all is said; none where nothing is put off."""
        found: dict[int, int] = {}
        for patient, partition in self._touched.values():
            found[partition] = min(patient.since, found.get(partition, patient.since))
        return found

    def all(self) -> Outputs:
        """Carry out everything."""
        return self._told(settle(self._take(self._touched), self._judges))

    def soon(self) -> Outputs:
        """Carry out everything but what is put off."""
        some = [name for name, (patient, _) in self._touched.items() if windows_of(patient) <= FEW]
        done = settle(self._take(some), self._judges)
        while sum(windows_of(patient) for patient, _ in self._touched.values()) > MOST:
            self._put_off(done)
        return self._told(done)

    def some(self) -> Outputs:
        """Carry out a little of what was put off."""
        done = Settled([], [])
        if self._touched:
            self._put_off(done)
        return self._told(done)

    def refuse(self, index: int, record: LogRecord, rejected: Rejected) -> None:
        """A part of a record goes to the dead letters."""
        self._counters[f"rejected.{rejected.reason}"] += 1
        output = dead_letter(record, rejected, Caused(record.partition, record.append_us))
        self._said.append(Emitted(index, rejected.patient_id, output))

    def refuse_record(
        self, index: int, record: LogRecord, reason: Reason, patient_id: str, why: str = ""
    ) -> None:
        """All of a record does."""
        assert record.record is not None
        original = record.value or encode(record.record)
        self.refuse(index, record, Rejected(reason, why, 0, original, patient_id))

    def refuse_command(self, record: LogRecord, refused: RefusedCommand) -> None:
        """A command does that a machine did not take."""
        original = record.value or encode(refused.command)
        detail, patient_id = refused.refusal.detail, refused.patient_id
        rejected = Rejected(Reason.BAD_COMMAND, detail, 0, original, patient_id)
        self.refuse(refused.at, record, rejected)

    def say(self, emitted: Iterable[Emitted]) -> None:
        """Say this with the next outputs."""
        self._said += emitted

    def _take(self, names: Iterable[str]) -> list[tuple[Patient, int]]:
        return [self._touched.pop(name) for name in tuple(names)]

    def _put_off(self, done: Settled) -> None:
        """Some windows of each of those who were put off."""
        most = max(1, min(AT_ONCE, ALL_AT_ONCE // len(self._touched)))
        own = list(self._touched.values())
        found = settle(own, self._judges, most)
        done.emitted.extend(found.emitted)
        done.refused.extend(found.refused)
        self._touched = {p.patient_id: (p, number) for p, number in own if p.ops}

    def _told(self, done: Settled) -> Outputs:
        """What it gave and what was said before, in the order of its causes."""
        for refused in done.refused:
            self.refuse_command(self._asked[refused.at], refused)
        emitted = [*self._said, *done.emitted]
        self._said = []
        if not self._touched:
            self._asked = {}
        emitted.sort(key=lambda e: (e.at, e.patient_id))
        return Outputs(tuple(e.output for e in emitted))


def windows_of(patient: Patient) -> int:
    """How many windows of a patient are to be computed; not counted where they must be few."""
    ops = patient.ops
    return sum(isinstance(op, WindowOp) for op in ops) if len(ops) > FEW else len(ops)
