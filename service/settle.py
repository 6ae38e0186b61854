"""Carry out what records made due, in batches over patients.

Each patient runs its operations in order up to its next windows; the windows of all patients that
are due then are extracted, aligned and scored as one batch (`service.judging`); each patient's
alert machine hears its scores; and so on until nothing is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from alerts.alert import AlertEvent
from alerts.commands import Refused
from alerts.machine import AlertMachine
from features.analyse import analyse_kept
from features.analysis.motion import analyse_motion_kept
from features.axes import Triple
from features.calibrations import in_force, learn
from features.kept import Kept
from features.signals import AXES
from service.again import Again
from service.judging import (
    Judges,
    RefusedCommand,
    Settled,
    Timed,
    judge_windows,
    revise,
    tell,
)
from service.ops import (
    ClockOp,
    CommandOp,
    EventOp,
    FaultOp,
    Op,
    SegmentOp,
    SignalOp,
    StatusOp,
    TickOp,
    WindowOp,
    up_to,
)
from service.patient import Patient
from service.strides import stride

_Moved = tuple[Patient, Triple]


class _Own(NamedTuple):
    """A patient, and what its operations need."""

    patient: Patient
    partition: int
    primitives: dict[int, Kept]
    moved: list[_Moved]  # takes the triples that become complete
    again: list[Again]  # takes windows whose facts may have changed


USE_MODEL = "use_model"  # of "name@version", an `AlertCommand`


def settle(
    patients: Sequence[tuple[Patient, int]], judges: Judges, most: int | None = None
) -> Settled:
    """Run what is queued of `patients` (with their partitions): all, or of each `most` windows."""
    timed = judges.timed
    out = Settled([], [])
    partition = {patient.patient_id: number for patient, number in patients}
    primitives = _analysed([patient for patient, _ in patients], timed, most)
    queue = [patient for patient, _ in patients if patient.ops]
    done = dict.fromkeys(partition, 0)  # windows of each
    while queue:
        strides: list[list[tuple[Patient, WindowOp]]] = []
        moved: list[_Moved] = []
        again: list[Again] = []
        for patient in queue:
            own = _Own(patient, partition[patient.patient_id], primitives, moved, again)
            left = None if most is None else most - done[patient.patient_id]
            windows = _run_to_windows(own, left, out)
            strides.append([(patient, window) for window in windows])
            done[patient.patient_id] += len(windows)
        _move(moved, timed)
        if again:
            revise(again, judges, partition, out)
        if any(strides):
            due = [window for step in zip_longest(*strides) for window in step if window]
            judge_windows(due, judges, partition, out)
        queue = [patient for patient in queue if patient.ops and done[patient.patient_id] != most]
    return out


def _analysed(patients: Sequence[Patient], timed: Timed, most: int | None) -> dict[int, Kept]:
    """Primitives by identity of the queued segment they come from; axes come later."""
    segments = [
        op.segment
        for patient in patients
        for op in (patient.ops if most is None else up_to(patient.ops, most))
        if isinstance(op, SegmentOp) and op.segment.signal not in AXES
    ]
    if not segments:
        return {}
    with timed("segments"):
        return dict(zip(map(id, segments), analyse_kept(segments), strict=True))


def _move(moved: list[_Moved], timed: Timed) -> None:
    """Analyse the triples of axes that are complete, with the calibration in force; empties it."""
    if not moved:
        return
    owners = [(patient.memory.calibrations, triple.x.device_id) for patient, triple in moved]
    with timed("segments"):
        found = analyse_motion_kept([triple for _, triple in moved], in_force(owners))
        learn(owners, [primitives.stats for primitives in found])
    for (patient, _), primitives in zip(moved, found, strict=True):
        patient.memory.rings.keep(primitives)
    moved.clear()


def _run_to_windows(own: _Own, most: int | None, out: Settled) -> list[WindowOp]:
    """Carry out what is queued up to the next windows that may be computed together."""
    patient = own.patient
    while patient.ops:
        op = patient.ops.popleft()
        if isinstance(op, SegmentOp):  # most are
            _keep(own, op)
        elif isinstance(op, WindowOp):
            own.again.extend(_news(patient, op))
            ahead = [patient.ops.popleft() for _ in range(stride(patient, op, most))]
            for segment in (one for one in ahead if isinstance(one, SegmentOp)):
                _keep(own, segment)
            return [op, *(one for one in ahead if isinstance(one, WindowOp))]
        else:
            tell(patient, op, _events(patient, op, out), own.partition, out)
    return []


def _keep(own: _Own, op: SegmentOp) -> None:
    """Keep what a segment was found to hold; that of axes is found when all three are there."""
    if op.segment.signal not in AXES:
        own.patient.memory.keep_bytes(own.primitives[id(op.segment)])
    elif triple := own.patient.memory.axes.add(op.segment):
        own.moved.append((own.patient, triple))


def _news(patient: Patient, op: WindowOp) -> list[Again]:
    """Windows before this one that facts known by its decision may change."""
    now_us = op.windows[0].known_us
    return [Again(patient, op.cause, row, now_us) for row in patient.recent.hear(now_us)]


def _events(patient: Patient, op: Op, out: Settled) -> Sequence[AlertEvent]:
    """What the alert machine says to an operation that is not a window."""
    machine = patient.machine
    match op:
        case EventOp():
            patient.asof.add(op.fact)
            patient.recent.news_us = max(patient.recent.news_us, op.fact.known_us)
        case TickOp():
            return machine.on_tick(op.now_us)
        case SignalOp() | ClockOp() | StatusOp():
            return _equipment_events(machine, op)
        case FaultOp():
            return _fault_events(machine, op)
        case CommandOp():
            said = machine.on_command(op.command, op.cause.clock_us)
            if not isinstance(said, Refused):
                if op.command.action == USE_MODEL:
                    name, _, version = op.command.occurrence_id.partition("@")
                    patient.models[name] = version
                return said
            out.refused.append(RefusedCommand(op.cause.at, patient.patient_id, op.command, said))
    return ()


def _equipment_events(
    machine: AlertMachine, op: SignalOp | ClockOp | StatusOp
) -> Sequence[AlertEvent]:
    match op:
        case SignalOp(cause, signal, device_id, 0):
            return machine.on_signal_back(signal, device_id, cause.clock_us)
        case SignalOp(cause, signal, device_id, since_us):
            return machine.on_silence(signal, device_id, since_us, cause.clock_us)
        case ClockOp(cause, device_id, ahead_us):
            return machine.on_clock(device_id, ahead_us, cause.clock_us)
        case StatusOp(cause, status):
            return machine.on_device_status(status, cause.clock_us)


def _fault_events(machine: AlertMachine, op: FaultOp) -> Sequence[AlertEvent]:
    if op.reason:
        return machine.on_fault(op.reason, op.cause.clock_us)
    return machine.on_fault_over(op.cause.clock_us)
