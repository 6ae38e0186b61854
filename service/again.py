"""Score windows again after facts that came late or were corrected.

Both the facts used before and those known now are scored, in one batch; where a scorer says
something else, its new word goes out as the next revision. Features are not computed again: a
window keeps its measurements. Not here: which windows, and when (`service.recent`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from features.align import AlignedBatch, FeatureBatch, attach
from features.asof import AsOf, FactsAt, facts_at
from features.catalog import CATALOG, FeatureReason
from features.intervals import Ints
from models.late.live import LivePanel
from models.score import Score, Scorer, StatefulScorer
from service.ops import Cause
from service.patient import Patient
from service.recent import Kept


class Again(NamedTuple):
    """A window to be looked at again, with what is known at `now_us`."""

    patient: Patient
    cause: Cause
    kept: Kept
    now_us: int


class Revised(NamedTuple):
    """What scorers say otherwise of one window; never empty."""

    case: Again
    scores: list[Score]


def score_again(
    cases: Sequence[Again],
    scorers: Sequence[Scorer],
    seats: Sequence[StatefulScorer] = (),
    panels: Sequence[LivePanel] = (),
) -> Iterator[Revised]:
    """New words on windows whose facts changed.

    Parameters
    ----------
    cases : sequence of Again
        In order; each window once.
    scorers : sequence of Scorer
        Those of the engine.
    seats : sequence of StatefulScorer
        Its models, asked only where an input of theirs changed: asking moves state.
    panels : sequence of LivePanel
        Speak again where a member says something else.

    Yields
    ------
    Revised
        Windows of which at least one scorer says something else; only those scores.

    Notes
    -----
    What is kept of each patient moves on to what is known now, whether or not a score differs.
    """
    stores = [case.patient.asof for case in cases]
    end_us = _ints([case.kept.window.end_us for case in cases])
    before = facts_at(stores, end_us, _ints([case.kept.window.known_us for case in cases]))
    after = facts_at(stores, end_us, _ints([case.now_us for case in cases]))
    moved = [i for i, case in enumerate(cases) if _differ(before, after, i) or _renoted(case)]
    told: dict[int, list[Score]] = {}
    if moved:
        owners = [stores[i] for i in moved]
        old = _aligned([cases[i].kept for i in moved], _rows(before, moved), owners)
        new = _aligned([_next(cases[i]) for i in moved], _rows(after, moved), owners)
        asked = _Asked(moved, old, new, [cases[i].patient for i in moved])
        told = _told(asked, scorers, seats, panels)
    for i, case in enumerate(cases):
        known = case.kept.window._replace(known_us=case.now_us)
        kept = _next(case) if i in told else case.kept._replace(window=known)
        case.patient.recent.replace(case.kept, kept)
        if i in told:
            yield Revised(case, told[i])


class _Asked(NamedTuple):
    """Windows that are scored again, [N] each."""

    at: list[int]  # place of the case
    old: AlignedBatch
    new: AlignedBatch
    patients: list[Patient]


def _told(
    asked: _Asked,
    scorers: Sequence[Scorer],
    seats: Sequence[StatefulScorer],
    panels: Sequence[LivePanel],
) -> dict[int, list[Score]]:
    """Words that differ, by place of the case."""
    told: dict[int, list[Score]] = {}
    said: dict[int, list[Score]] = {i: [] for i in asked.at}  # by everybody, as known now
    for scorer in scorers:
        words = zip(asked.at, scorer.score(asked.old), scorer.score(asked.new), strict=True)
        for i, was, now in words:
            said[i].append(now)
            if not _alike(was, now):
                told.setdefault(i, []).append(now)
    for seat in seats:
        _ask(seat, asked, told, said if panels else {})
    for panel in panels:
        again = [i for i in asked.at if panel.reads(told.get(i, ()))]
        for i, word in zip(again, panel.words([said[i] for i in again]), strict=True):
            assert word is not None  # a member spoke
            told[i].append(word)
    return told


def _ask(
    seat: StatefulScorer,
    asked: _Asked,
    told: dict[int, list[Score]],
    said: dict[int, list[Score]],
) -> None:
    """Words of a model that differ, into `told`; all of them into `said`, where it is wanted."""
    chosen = [patient.models.get(seat.name, "") for patient in asked.patients]
    changed = seat.words_again(asked.old, asked.new, chosen)
    for i, word in zip(asked.at, changed, strict=True):
        if word is not None:
            told.setdefault(i, []).append(word.score)
    if said:  # a row that state has taken in may be asked about again: nothing changes
        for i, now in zip(asked.at, seat.words(asked.new, chosen), strict=True):
            said[i].append(now.score)


def _next(case: Again) -> Kept:
    """The window as its next revision."""
    window = case.kept.window
    revised = window._replace(known_us=case.now_us, revision=window.revision + 1)
    return case.kept._replace(window=revised)


def _alike(was: Score, now: Score) -> bool:
    """Whether two scores say the same, whenever they were decided."""
    return bool(msgspec.structs.replace(now, known_us=was.known_us, revision=was.revision) == was)


def _differ(before: FactsAt, after: FactsAt, i: int) -> bool:
    value, time_us = (pair[i].tobytes() for pair in before)
    return bool(value != after.value[i].tobytes() or time_us != after.time_us[i].tobytes())


def _renoted(case: Again) -> bool:
    """Whether another version of a note, or another note of the same time, stands now."""
    window, store = case.kept.window, case.patient.asof
    was = store.noted(window.end_us, window.known_us)
    return was != store.noted(window.end_us, case.now_us)


def _rows(facts: FactsAt, at: Sequence[int]) -> FactsAt:
    return FactsAt(facts.value[at], facts.time_us[at])


def _aligned(rows: Sequence[Kept], facts: FactsAt, stores: Sequence[AsOf]) -> AlignedBatch:
    """Kept windows as scorers take them."""
    shape = (len(rows), len(CATALOG))
    batch = FeatureBatch(
        tuple(row.window for row in rows),
        np.full(shape, np.nan),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        np.full(shape, FeatureReason.OTHER_WINDOW, np.uint8),
    )
    for i, row in enumerate(rows):
        batch.value[i, row.columns] = row.value
        batch.quality[i, row.columns] = row.quality
        batch.coverage[i, row.columns] = row.coverage
        batch.n[i, row.columns] = row.n
        batch.reason[i, row.columns] = row.reason
    return attach(batch, facts, stores)


def _ints(numbers: Sequence[int]) -> Ints:
    return np.array(numbers, dtype=np.int64)
