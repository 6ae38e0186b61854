"""The patients of an engine: stored, loaded, given their samples back, forgotten.

Not here: what their records cause (`service.engine`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from alerts.policy import Policy
from features.signals import CONTEXT_S
from models.score import StatefulScorer
from service.patient import Patient
from service.snapshot import pack, unpack
from service.spread import Spreads
from streams.clock import TimingSpec
from streams.errors import SnapshotMismatch
from streams.processor import Loaded
from streams.records import ANYONE, Chunk, LogRecord, SignalBundle

CONTEXT_US = {signal: round(seconds * 1e6) for signal, seconds in CONTEXT_S.items()}


class Roster:
    """Patients by partition and id; what they are is also in the memory of the models' seats."""

    def __init__(self, policy: Policy, seats: Sequence[StatefulScorer], timing: TimingSpec) -> None:
        self.patients: dict[int, dict[str, Patient]] = {}
        self.incomplete: set[int] = set()  # partitions whose patients still miss samples
        self._policy = policy
        self._seats = seats
        self._timing = timing
        self.spreads = Spreads()

    def snapshots(
        self, partition: int, share: float, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        """Changed patients' states; see `streams.processor.Processor`."""
        own = self.patients.get(partition, {})
        quiet = [own[n] for n in also if n in own and not own[n].dirty and not own[n].ops]
        changed = sorted((p for p in own.values() if p.dirty and not p.ops), key=_longest_changed)
        if any(p.ops for p in own.values()):  # who is put off has not heard what the others have
            changed = [p for p in changed if p.patient_id != ANYONE]
        # Who stands for all comes last: stored up to an offset, so is everybody who heard it.
        if not any(patient.patient_id == ANYONE for patient in changed):
            changed = changed[: math.ceil(share * len(own))]
        for patient in changed:
            patient.dirty = False
            self.spreads.look(patient.devices.values(), patient.clock_us)
        given = [*changed, *quiet]
        return [(p.patient_id, p.frontier, pack(p, self._memories(p.patient_id))) for p in given]

    def unstored(self, partition: int) -> int | None:
        """Lowest offset of a change not given yet; see `streams.processor.Processor`."""
        own = self.patients.get(partition, {}).values()
        return min((p.since for p in own if p.dirty or p.ops), default=None)

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        """Load one patient; see `streams.processor.Processor`."""
        patient, memories = unpack(state, self._timing, CONTEXT_US, self._policy)
        if patient.patient_id != patient_id:
            raise SnapshotMismatch("stored engine state is not of the patient it is stored under")
        self.patients.setdefault(partition, {})[patient_id] = patient
        for seat in self._seats:
            seat.forget(patient_id)
            seat.remember(patient_id, memories.get(seat.name, {}))
        self.incomplete.add(partition)
        return Loaded(patient.frontier, patient.replay_offset())

    def refill(self, records: Sequence[LogRecord]) -> None:
        """Give samples back; see `streams.processor.Processor`."""
        for record in records:
            if not isinstance(record.record, SignalBundle):
                continue
            own = self.patients.get(record.partition, {})
            by_patient: dict[str, dict[int, Chunk]] = {}
            for place, chunk in enumerate(record.record.chunks):
                by_patient.setdefault(chunk.patient_id, {})[place] = chunk
            for patient_id, chunks in by_patient.items():
                if patient_id in own:
                    own[patient_id].refill(record.offset, chunks)

    def complete(self, partition: int) -> None:
        """Check what was refilled; see `streams.processor.Processor`."""
        for patient in self.patients.get(partition, {}).values():
            patient.complete()
        self.incomplete.discard(partition)

    def drop(self, partition: int) -> None:
        """Forget a partition; see `streams.processor.Processor`."""
        for patient_id in self.patients.pop(partition, {}):
            for seat in self._seats:
                seat.forget(patient_id)
        self.incomplete.discard(partition)

    def count(self) -> int:
        """How many patients there are, who stands for all not among them."""
        return sum(len(own) - (ANYONE in own) for own in self.patients.values())

    def _memories(self, patient_id: str) -> dict[str, dict[str, bytes]]:
        """What every model keeps of a patient, by model and version."""
        found = {seat.name: seat.memory_of(patient_id) for seat in self._seats}
        return {name: memory for name, memory in found.items() if memory}


def _longest_changed(patient: Patient) -> tuple[bool, int, str]:
    return patient.patient_id == ANYONE, patient.since, patient.patient_id
