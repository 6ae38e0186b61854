"""Carry out what the records made due: batches over patients, order within a patient.

Segments are analysed all together first (stateless). Then waves: every patient advances through
its operations up to its next window; those windows are extracted, aligned and scored as one batch;
each patient's alert machine hears its scores; and so on until nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.alert import AlertEvent
from alerts.commands import Refused
from alerts.machine import AlertMachine
from features.align import AlignedBatch, FeatureBatch, attach
from features.analyse import analyse_kept
from features.analysis.motion import analyse_motion_kept
from features.asof import FactsAt, facts_at
from features.axes import Triple
from features.calibrations import in_force, learn
from features.extract import extract
from features.families.table import Batch
from features.follow import Care, follow
from features.intervals import Ints
from features.kept import Kept
from features.signals import AXES
from models.late.live import LivePanel, add_words
from models.score import Score, Scorer, StatefulScorer, Word
from service.again import Again, score_again
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
from service.outputs import (
    Caused,
    alert_outputs,
    feature_output,
    score_output,
)
from service.patient import Patient
from service.recent import columns_of
from service.row_texts import feature_texts
from streams.processor import Output
from streams.records import AlertCommand
from streams.windows import LONGEST_US

SCORED_WINDOW = "60s"


class Emitted(NamedTuple):
    """An output with what orders it: the causing record, the patient, then when it was made."""

    at: int  # index of the causing record in its feed
    patient_id: str
    output: Output


class RefusedCommand(NamedTuple):
    """A command that could not apply, for the dead letters."""

    at: int  # index of the causing record in its feed
    patient_id: str  # whose machine refused: all are asked about a broadcast
    command: AlertCommand
    refusal: Refused


# A host may time the steps; the engine reads no clock. Called with segments, windows or a scorer.
Timed = Callable[[str], AbstractContextManager[Any]]


def untimed(step: str) -> AbstractContextManager[None]:
    """Time nothing."""
    return nullcontext()


class Settled(NamedTuple):
    """What carrying out gave."""

    emitted: list[Emitted]
    refused: list[RefusedCommand]


_Moved = tuple[Patient, Triple]


class _Own(NamedTuple):
    """A patient, and what its operations need."""

    patient: Patient
    partition: int
    primitives: dict[int, Kept]
    moved: list[_Moved]  # takes the triples that become complete
    again: list[Again]  # takes windows whose facts may have changed


class Judges(NamedTuple):
    """Who scores: rules, and then models, which have state and may fail."""

    scorers: Sequence[Scorer] = ()
    seats: Sequence[StatefulScorer] = ()
    timed: Timed = untimed
    panels: Sequence[LivePanel] = ()  # fuse what the others said

    def offered(self) -> list[str]:
        """Models that are loaded here, as "name@version"."""
        return [f"{seat.name}@{version}" for seat in self.seats for version in seat.versions]

    @property
    def columns(self) -> NDArray[np.int16]:
        """Catalogue features that any of them looks at."""
        return columns_of((*self.scorers, *self.seats))


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
    wave = 0
    while queue and wave != most:
        wave += 1
        due: list[tuple[Patient, WindowOp]] = []
        moved: list[_Moved] = []
        again: list[Again] = []
        for patient in queue:
            own = _Own(patient, partition[patient.patient_id], primitives, moved, again)
            window = _run_to_window(own, out)
            if window is not None:
                due.append((patient, window))
        _move(moved, timed)
        if again:
            _revise(again, judges, partition, out)
        if due:
            _windows(due, judges, partition, out)
        queue = [patient for patient in queue if patient.ops]
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


def _run_to_window(own: _Own, out: Settled) -> WindowOp | None:
    patient = own.patient
    while patient.ops:
        op = patient.ops.popleft()
        if isinstance(op, WindowOp):
            own.again.extend(_news(patient, op))
            return op
        if not isinstance(op, SegmentOp):
            _tell(patient, op, _events(patient, op, out), own.partition, out)
        elif op.segment.signal not in AXES:
            patient.memory.keep_bytes(own.primitives[id(op.segment)])
        elif triple := patient.memory.axes.add(op.segment):
            own.moved.append((patient, triple))
    return None


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


def _tell(
    patient: Patient, op: Op | Again, events: Sequence[AlertEvent], partition: int, out: Settled
) -> None:
    for event in events:
        patient.dirty = True
        caused = Caused(partition, op.cause.clock_us)
        for output in alert_outputs(event, caused):
            out.emitted.append(Emitted(op.cause.at, patient.patient_id, output))


def _windows(
    due: Sequence[tuple[Patient, WindowOp]],
    judges: Judges,
    partition: dict[str, int],
    out: Settled,
) -> None:
    rows = Batch((patient.memory, window) for patient, op in due for window in op.windows)
    owners = [(patient, op) for patient, op in due for _ in op.windows]
    with judges.timed("windows"):
        batch = extract(rows)
        facts = _facts(due)
        alerted = [patient.machine.alerted() for patient, _ in owners]
        follow(rows, batch, [Care(a, *known) for a, *known in zip(alerted, *facts, strict=True)])
    texts = feature_texts(batch, [not op.pages for _, op in owners])
    for text, (patient, op) in zip(texts, owners, strict=True):
        caused = Caused(partition[patient.patient_id], op.cause.clock_us)
        told = feature_output(patient.patient_id, caused, text)
        out.emitted.append(Emitted(op.cause.at, patient.patient_id, told))
    scored = [i for i, (_, window) in enumerate(rows) if window.name == SCORED_WINDOW]
    chosen = [owners[i] for i in scored]
    taken, columns = _take(batch, scored), judges.columns
    stores = [patient.asof for patient, _ in chosen]
    aligned = attach(taken, _rows_of(facts, scored), stores)
    scores = _scores(aligned, judges)
    words = _words(aligned, chosen, judges)
    for own_scores, own_words in zip(scores, words, strict=True):
        own_scores.extend(word.score for word in own_words)
    add_words(judges.panels, scores)
    for patient, op in due:
        _look_at_heart(patient, op, partition[patient.patient_id], out)
    for i, ((patient, op), own) in enumerate(zip(chosen, scores, strict=True)):
        _judge(patient, op, own, (partition[patient.patient_id], op.pages), out)
        _watch(patient, op, words[i], partition[patient.patient_id], out)
        patient.recent.keep(taken, i, columns, pages=op.pages)
    for patient, op in due:
        patient.memory.rings.prune(op.windows[0].end_us - LONGEST_US)


def _look_at_heart(patient: Patient, op: WindowOp, partition: int, out: Settled) -> None:
    """Tell the machine whether the ECG shows heart beats: a heart that stands still has no rate."""
    if op.pages:
        since_us = patient.memory.usual.standing_still_us()
        found = patient.machine.on_standstill(since_us, op.windows[0].known_us)
        _tell(patient, op, found, partition, out)


def _facts(due: Sequence[tuple[Patient, WindowOp]]) -> FactsAt:
    """Clinical facts of each window's patient, as known at its decision; a row per window."""
    firsts = [op.windows[0] for _, op in due]  # those of one operation end and are decided together
    end_us = np.array([window.end_us for window in firsts], np.int64)
    known_us = np.array([window.known_us for window in firsts], np.int64)
    found = facts_at([patient.asof for patient, _ in due], end_us, known_us)
    of = np.repeat(np.arange(len(due)), [len(op.windows) for _, op in due])
    return _rows_of(found, of)


def _rows_of(facts: FactsAt, at: Sequence[int] | Ints) -> FactsAt:
    """Some rows of facts."""
    return FactsAt(facts.value[at], facts.time_us[at])


def _scores(aligned: AlignedBatch, judges: Judges) -> list[list[Score]]:
    """Per row, the word of every scorer, in the scorers' order."""
    if not aligned.features.windows:
        return []
    said = []
    for scorer in judges.scorers:
        with judges.timed(scorer.name):
            said.append(scorer.score(aligned))
    return [list(row) for row in zip(*said, strict=True)]


def _words(
    aligned: AlignedBatch, owners: Sequence[tuple[Patient, WindowOp]], judges: Judges
) -> list[list[Word]]:
    """Per row, the word of every model, in the seats' order."""
    if not aligned.features.windows or not judges.seats:
        return [[] for _ in aligned.features.windows]
    said = []
    for seat in judges.seats:
        with judges.timed(seat.name):
            chosen = [patient.models.get(seat.name, "") for patient, _ in owners]
            said.append(seat.words(aligned, chosen))
    return [list(row) for row in zip(*said, strict=True)]


def _watch(
    patient: Patient, op: WindowOp, words: Sequence[Word], partition: int, out: Settled
) -> None:
    """Tell the machine which models had no word: a fault of one is a finding, never an error."""
    if not op.pages:
        return
    for word in words:
        name, why = word.score.scorer, word.fault
        found = patient.machine.on_model(name, why, word.score.end_us, word.score.known_us)
        _tell(patient, op, found, partition, out)


def _revise(
    cases: Sequence[Again], judges: Judges, partition: dict[str, int], out: Settled
) -> None:
    """Score windows again with what is known now, and let the machines hear what differs."""
    with judges.timed("again"):
        revised = list(score_again(cases, judges.scorers, judges.seats, judges.panels))
    for case, scores in revised:
        where = partition[case.patient.patient_id], case.kept.pages
        _judge(case.patient, case, scores, where, out)


def _judge(
    patient: Patient,
    op: WindowOp | Again,
    scores: Sequence[Score],
    where: tuple[int, bool],
    out: Settled,
) -> None:
    """Publish scores and let the machine hear them; `where` is the partition, and if it pages."""
    partition, pages = where
    caused = Caused(partition, op.cause.clock_us)
    for score in scores:
        told = score if pages else msgspec.structs.replace(score, backfill=True)
        emit = Emitted(op.cause.at, patient.patient_id, score_output(told, caused))
        out.emitted.append(emit)
    if pages:
        _tell(patient, op, patient.machine.on_scores(scores), partition, out)


def _take(batch: FeatureBatch, rows: Sequence[int]) -> FeatureBatch:
    at = np.asarray(rows, np.intp)
    return FeatureBatch(
        tuple(batch.windows[i] for i in rows),
        batch.value[at],
        batch.quality[at],
        batch.coverage[at],
        batch.n[at],
        batch.reason[at],
    )
