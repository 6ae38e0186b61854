"""Windows become rows, scores and alerts: all that are due of many patients, as one batch.

Not here: which windows are due and when (`service.settle`), features (`features.extract`,
`features.follow`), when to alert (`alerts.machine`).
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
from features.align import AlignedBatch, FeatureBatch, attach
from features.asof import FactsAt, facts_at
from features.extract import extract
from features.families.table import Batch
from features.follow import Care, follow
from features.intervals import Ints
from models.late.live import LivePanel, add_words
from models.score import Score, Scorer, StatefulScorer, Word
from service.again import Again, score_again
from service.ops import Op, WindowOp
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


def tell(
    patient: Patient, op: Op | Again, events: Sequence[AlertEvent], partition: int, out: Settled
) -> None:
    """Put alert events of an operation among what is published."""
    for event in events:
        patient.dirty = True
        caused = Caused(partition, op.cause.clock_us)
        for output in alert_outputs(event, caused):
            out.emitted.append(Emitted(op.cause.at, patient.patient_id, output))


class _Made(NamedTuple):
    """What became of all windows of a batch."""

    texts: list[bytes]  # feature rows, of all windows
    place: dict[int, int]  # of a scored window among them
    taken: FeatureBatch  # the scored ones
    scores: list[list[Score]]  # ... by everybody
    words: list[list[Word]]  # ... by models


def judge_windows(
    due: Sequence[tuple[Patient, WindowOp]],
    judges: Judges,
    partition: dict[str, int],
    out: Settled,
) -> None:
    """Compute, score and judge windows, as one batch.

    Parameters
    ----------
    due : sequence of (Patient, WindowOp)
        Those of one patient in their order; more than one only as `service.strides` allows.
    judges : Judges
    partition : dict
        Of each patient by name.
    out : Settled
        Takes what is said: of each patient in the order in which windows one by one would say it.
    """
    rows = Batch((patient.memory, window) for patient, op in due for window in op.windows)
    made = _made(rows, due, judges)
    columns, row = judges.columns, 0
    for patient, op in due:
        where = partition[patient.patient_id]
        own = range(row, row + len(op.windows))
        for i in own:
            told = feature_output(
                patient.patient_id, Caused(where, op.cause.clock_us), made.texts[i]
            )
            out.emitted.append(Emitted(op.cause.at, patient.patient_id, told))
        _look_at_heart(patient, op, where, out)
        for place in (made.place[i] for i in own if i in made.place):
            _judge(patient, op, made.scores[place], (where, op.pages), out)
            _watch(patient, op, made.words[place], where, out)
            patient.recent.keep(made.taken, place, columns, pages=op.pages)
        patient.memory.rings.prune(op.windows[0].end_us - LONGEST_US)
        row += len(op.windows)


def _made(rows: Batch, due: Sequence[tuple[Patient, WindowOp]], judges: Judges) -> _Made:
    owners = [(patient, op) for patient, op in due for _ in op.windows]
    with judges.timed("windows"):
        batch = extract(rows)
        facts = _facts(due)
        alerted = [patient.machine.alerted() for patient, _ in owners]
        follow(rows, batch, [Care(a, *known) for a, *known in zip(alerted, *facts, strict=True)])
    texts = feature_texts(batch, [not op.pages for _, op in owners])
    scored = [i for i, (_, window) in enumerate(rows) if window.name == SCORED_WINDOW]
    taken = _take(batch, scored)
    stores = [owners[i][0].asof for i in scored]
    aligned = attach(taken, _rows_of(facts, scored), stores)
    scores = _scores(aligned, judges)
    words = _words(aligned, [owners[i] for i in scored], judges)
    for own_scores, own_words in zip(scores, words, strict=True):
        own_scores.extend(word.score for word in own_words)
    add_words(judges.panels, scores)
    return _Made(texts, {i: place for place, i in enumerate(scored)}, taken, scores, words)


def _look_at_heart(patient: Patient, op: WindowOp, partition: int, out: Settled) -> None:
    """Tell the machine whether the ECG shows heart beats: a heart that stands still has no rate."""
    if op.pages:
        since_us = patient.memory.usual.standing_still_us()
        found = patient.machine.on_standstill(since_us, op.windows[0].known_us)
        tell(patient, op, found, partition, out)


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
    if not aligned.features.windows or not judges.scorers:
        return [[] for _ in aligned.features.windows]
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
        tell(patient, op, found, partition, out)


def revise(cases: Sequence[Again], judges: Judges, partition: dict[str, int], out: Settled) -> None:
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
        tell(patient, op, patient.machine.on_scores(scores), partition, out)


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
