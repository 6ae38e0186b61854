"""A fact as its source wrote it, and what becomes of it: an event, or a reason.

Every importer yields `Fact` and `EventError`; `Terms.event` is the one place where a source's
code and unit become a concept and its unit. A fact that only lacks a meaning (its code or unit is
unknown) can wait in quarantine as `to_json` leaves it, and become an event once a person has said
what it is. Not here: the formats (one module each), or the table of concepts (`features.concepts`).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from features import concepts
from streams.codec import MAX_ID_BYTES
from streams.io.store_rows import MAX_SOURCE_BYTES, SourcedEvent, event_fault
from streams.records import ClinicalEvent, Reason

TERMINOLOGIES: Final = ("loinc", "snomed", "omop")
_NAMESPACE: Final = uuid.UUID("9b6f0a53-6f1f-5d0e-9a53-0b9c2f5e7c1f")  # of ids made of long parts
OWN: Final = "vigil"  # system of Vigil's own codes and aliases

# What a person can repair by saying what a code or a unit means.
CAN_WAIT: Final = frozenset({Reason.UNKNOWN_CONCEPT, Reason.BAD_UNIT})

MAX_REMEMBERED: Final = 65_536  # codings whose concept is kept; they come from outside

RULES: Final = {  # reason -> column and rule, for people
    Reason.UNKNOWN_CONCEPT: ("code", "no such clinical concept, alias or code"),
    Reason.BAD_UNIT: ("unit", "not a unit this concept can be converted from"),
    Reason.IMPLAUSIBLE: ("value", "outside what can be a measurement of this concept"),
    Reason.BAD_FIELD: ("value", "this concept needs a number, or a word it knows in `text`"),
}


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One fact of care, times and ids settled, code and unit as the source wrote them.

    `codings` are "system|code", the best first: a terminology ("loinc", "snomed", "omop"),
    "vigil" for Vigil's own names, or the source's own system.
    """

    file: str
    line: int
    event_id: str
    patient_id: str
    codings: tuple[str, ...]
    event_time_us: int
    known_time_us: int
    value: float | None = None
    unit: str = ""
    text: str = ""
    source: str = ""
    version: int = 1
    status: str = "final"


def name_of(*parts: str) -> str:
    """Id made of parts, the same every time; a digest of them where they are long or unprintable.

    Examples
    --------
    >>> name_of("hl7", "LAB", "F7"), len(name_of("hl7", "x" * 500)) < MAX_ID_BYTES
    ('hl7:LAB:F7', True)
    """
    name = ":".join(parts)
    if len(name) <= MAX_ID_BYTES and name.isascii() and name.isprintable():
        return name
    return f"{parts[0][:40]}:{uuid.uuid5(_NAMESPACE, name)}"


class EventError(NamedTuple):
    """One row that was refused. Carries the place and the rule, never the patient's data."""

    file: str
    line: int
    column: str  # empty: the row as a whole
    rule: str
    reason: Reason
    fact: Fact | None = None  # what may become an event yet, see `CAN_WAIT`


class Meaning(NamedTuple):
    """What a person said a source's code and unit are; "" leaves what was said."""

    concept: str
    unit: str


class Terms:
    """From a source's codes and units to concepts.

    Parameters
    ----------
    said : mapping of (coding, unit) to Meaning
        What people decided; unit "*" holds for every unit of that coding. It goes before what
        the table of concepts knows.

    Examples
    --------
    >>> Terms().concept(("mimic3|211", "loinc|8867-4"), "bpm")
    ('hr', 'bpm')
    >>> Terms({("lab|7", "*"): Meaning("k", "mmol/L")}).concept(("lab|7",), "")
    ('k', 'mmol/L')
    """

    __slots__ = ("_known", "_said")

    def __init__(self, said: Mapping[tuple[str, str], Meaning] | None = None) -> None:
        self._said = dict(said or {})
        self._known: dict[str, str | None] = {}

    def concept(self, codings: tuple[str, ...], unit: str) -> tuple[str, str] | None:
        """Concept and unit of the first coding that has a meaning, None if none has."""
        if self._said:
            for coding in codings:
                meaning = self._said.get((coding, unit)) or self._said.get((coding, "*"))
                if meaning is not None:
                    known = meaning.concept or self._first(codings)
                    return None if known is None else (known, meaning.unit or unit)
        code = self._first(codings)
        return None if code is None else (code, unit)

    def _first(self, codings: tuple[str, ...]) -> str | None:
        return next((code for coding in codings if (code := self._builtin(coding))), None)

    def _builtin(self, coding: str) -> str | None:
        """Concept the table knows for a coding; remembered, as long as there are few."""
        if coding in self._known:
            return self._known[coding]
        system, _, code = coding.partition("|")
        found = None
        if system in TERMINOLOGIES:
            found = concepts.coded(system, code)
        elif system == OWN:
            found = concepts.find(code)
        if len(self._known) < MAX_REMEMBERED:
            self._known[coding] = found.code if found else None
        return found.code if found else None

    def event(self, fact: Fact) -> SourcedEvent | EventError:
        """Event of a fact in its concept's own unit, or why it is none.

        Returns
        -------
        SourcedEvent or EventError
            The error holds the fact where a person can still say what it is (`CAN_WAIT`).
        """
        meant = self.concept(fact.codings, fact.unit)
        if meant is None:
            return _refused(fact, Reason.UNKNOWN_CONCEPT)
        code, unit = meant
        if fact.status == "cancelled" and fact.value is None:
            concept = concepts.CONCEPTS[concepts.INDEX[code]]
            normal = concepts.Normalised(code, 0.0, concept.unit, fact.text)
            value = None
        else:
            made = concepts.normalise(code, fact.value, unit, fact.text)
            if isinstance(made, Reason):
                return _refused(fact, made)
            normal, value = made, made.value
        event = ClinicalEvent(
            fact.event_id,
            fact.version,
            fact.status,
            fact.patient_id,
            normal.code,
            value,
            normal.unit,
            normal.text,
            fact.event_time_us,
            fact.known_time_us,
            fact.source,
        )
        written = "" if fact.value is None else repr(fact.value)
        sourced = SourcedEvent(event, fact.codings[0][:MAX_SOURCE_BYTES], written, fact.unit)
        fault = event_fault(sourced)
        if fault is not None:
            return EventError(fact.file, fact.line, "", fault[1], fault[0])
        return sourced


def _refused(fact: Fact, reason: Reason) -> EventError:
    column, rule = RULES[reason]
    kept = fact if reason in CAN_WAIT else None
    return EventError(fact.file, fact.line, column, rule, reason, kept)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Fact)


def to_json(fact: Fact) -> bytes:
    """Fact as the quarantine keeps it."""
    return _ENCODER.encode(fact)


def from_json(data: bytes) -> Fact:
    """Fact as `to_json` left it.

    Raises
    ------
    msgspec.ValidationError, msgspec.DecodeError
        If it is not one.
    """
    return _DECODER.decode(data)
