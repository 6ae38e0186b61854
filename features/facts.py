"""Clinical events made ready for the as-of store: checked, in canonical unit, on their tracks.

A track is what a current value is kept of: one per concept, then one per effect of
`features.effects`. Not here: units (`features.concepts`), which fact is in force (`features.asof`).

A fact is known from max(its `known_time`, the append time of its log record): the feed lags, and
nobody downstream could have used the fact before it was on the log.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from features.concepts import CONCEPTS, INDEX, Concept, conversion, find, normalise
from features.effects import EFFECTS, OXYGEN_ABOVE, OXYGEN_THERAPY, effects_of
from features.vectors import Vector, of_note, received
from streams.records import ClinicalEvent, Reason

FUTURE_TOLERANCE_US: Final = 3600 * 1_000_000  # a wrong clock at the source, not an early entry
N_CONCEPTS: Final = len(CONCEPTS)
TRACKS: Final[tuple[str, ...]] = (
    *(concept.code for concept in CONCEPTS),
    *(f"effect:{effect.code}" for effect in EFFECTS),
)
TRACK: Final[dict[str, int]] = {code: i for i, code in enumerate(TRACKS)}
MAX_AGE_US: Final = np.array(
    [round(c.max_age_s * 1e6) for c in CONCEPTS] + [round(e.until_s * 1e6) for e in EFFECTS],
    dtype=np.int64,
)
CANCELLED: Final = float("nan")  # the value of a row that only takes another one away

_NOTES: Final = ("note", "note_embedding")
NOTE, NOTE_EMBEDDING = (INDEX[code] for code in _NOTES)

_FINAL, _CANCEL = "final", "cancelled"
_STATUSES: Final = (_FINAL, "corrected", _CANCEL)
_OXYGEN_TRACK: Final = N_CONCEPTS + OXYGEN_THERAPY
_MEDICATION: Final = frozenset(c.code for c in CONCEPTS if c.modality == "med")


class Fact(NamedTuple):
    """One version of one event, in canonical unit."""

    track: int
    time_us: int  # when it was true
    known_us: int  # when it could be used
    value: float  # CANCELLED for a cancellation; 0.0 for a medication that is stopped
    event_id: str
    version: int
    also: tuple[tuple[int, float], ...] = ()  # further tracks the same row is on, value there
    vector: Vector | None = None  # what stands for a note; its text goes no further than `admit`


def admit(event: ClinicalEvent, append_us: int) -> Fact | Reason:
    """Fact of an event, or why it cannot be one.

    Parameters
    ----------
    event : ClinicalEvent
        As decoded from the log.
    append_us : int
        Append time of its log record, µs UTC.

    Returns
    -------
    Fact or Reason
        NO_KNOWN_TIME (a fact without it is an error, never "known always"); FUTURE (its event time
        is over an hour ahead of when it was known); BAD_TIME; BAD_FIELD (status); or what
        `normalise` says. Of a cancellation only the code must be known.

    Examples
    --------
    >>> event = ClinicalEvent("e1", 1, "final", "p", "temp", 100.4, "°F", "", 10, 20, "ehr")
    >>> admit(event, 30)[:4] == (TRACK["temp"], 10, 30, 38.0)
    True
    """
    known_us = event.known_time_us
    if known_us < append_us and known_us > 0:
        known_us = append_us
    fault = _untimely(event, known_us)
    if fault is not None:
        return fault
    if event.status == _CANCEL:
        concept = find(event.code)
        if concept is None:
            return Reason.UNKNOWN_CONCEPT
        track = INDEX[concept.code]
        return Fact(track, event.event_time_us, known_us, CANCELLED, event.event_id, event.version)
    rule = _plain(event.code, event.unit)
    if rule is not None and event.value is not None:
        return _converted(event, known_us, rule)
    normal = normalise(event.code, event.value, event.unit, event.text)
    if isinstance(normal, Reason):
        return normal
    track = INDEX[normal.code]
    fact = Fact(track, event.event_time_us, known_us, normal.value, event.event_id, event.version)
    return fact if track not in _LOOKED_AT else _looked_at(fact, event)


class _Plain(NamedTuple):
    """What `normalise` does to a number of one code and unit."""

    track: int
    factor: float
    offset: float
    lo: float
    hi: float


@lru_cache(maxsize=4096)
def _plain(code: str, unit: str) -> _Plain | None:
    """Rule of a concept that is a number and explains nothing; None for any other."""
    concept = find(code)
    if concept is None or concept.is_text or concept.words or INDEX[concept.code] in _LOOKED_AT:
        return None
    rule = conversion(concept.code, unit)
    if rule is None:
        return None
    return _Plain(INDEX[concept.code], *rule, concept.lo, concept.hi)


def _converted(event: ClinicalEvent, known_us: int, rule: _Plain) -> Fact | Reason:
    """Fact of a number; `normalise` without looking anything up twice."""
    track, factor, offset, lo, hi = rule
    assert event.value is not None
    value = event.value * factor + offset
    if not math.isfinite(event.value):
        return Reason.BAD_FIELD
    value = round(value, 6)
    if not lo <= value <= hi:
        return Reason.IMPLAUSIBLE
    return Fact(track, event.event_time_us, known_us, value, event.event_id, event.version)


def _untimely(event: ClinicalEvent, known_us: int) -> Reason | None:
    """What is wrong with the times or the status of an event."""
    if known_us <= 0:
        return Reason.NO_KNOWN_TIME
    if event.event_time_us > known_us + FUTURE_TOLERANCE_US:
        return Reason.FUTURE
    if event.event_time_us < 0:
        return Reason.BAD_TIME
    return None if event.status in _STATUSES else Reason.BAD_FIELD


def _looked_at(fact: Fact, event: ClinicalEvent) -> Fact | Reason:
    """Fact of a concept whose text matters, or that may explain a change of others."""
    if fact.track not in (NOTE, NOTE_EMBEDDING):
        value, also = _explained(CONCEPTS[fact.track], event, fact.value)
        return fact._replace(value=value, also=also)
    vector = of_note(event.text) if fact.track == NOTE else received(event.unit, event.text)
    return vector if isinstance(vector, Reason) else fact._replace(vector=vector)


def _explained(
    concept: Concept, event: ClinicalEvent, value: float
) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Value and further tracks of a fact that may explain a change of others."""
    if concept.code in OXYGEN_ABOVE:
        return value, ((_OXYGEN_TRACK, float(value > OXYGEN_ABOVE[concept.code])),)
    given = 0.0 if event.value == 0 else value
    named = effects_of(f"{event.code} {event.text}")
    return given, tuple((N_CONCEPTS + i, float(given > 0)) for i in named)


_LOOKED_AT: Final = frozenset(INDEX[code] for code in (*_MEDICATION, *OXYGEN_ABOVE, *_NOTES))


def refusal(event: ClinicalEvent, append_us: int) -> Reason | None:
    """Why `admit` refuses an event, None when it does not."""
    fact = admit(event, append_us)
    return fact if isinstance(fact, Reason) else None
