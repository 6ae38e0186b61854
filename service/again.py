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
    cases: Sequence[Again], scorers: Sequence[Scorer], seats: Sequence[StatefulScorer] = ()
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
        for scorer in scorers:
            words = zip(moved, scorer.score(old), scorer.score(new), strict=True)
            for i, was, now in words:
                if not _alike(was, now):
                    told.setdefault(i, []).append(now)
        for seat in seats:
            chosen = [cases[i].patient.models.get(seat.name, "") for i in moved]
            for i, word in zip(moved, seat.words_again(old, new, chosen), strict=True):
                if word is not None:
                    told.setdefault(i, []).append(word.score)
    for i, case in enumerate(cases):
        known = case.kept.window._replace(known_us=case.now_us)
        kept = _next(case) if i in told else case.kept._replace(window=known)
        case.patient.recent.replace(case.kept, kept)
        if i in told:
            yield Revised(case, told[i])


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
