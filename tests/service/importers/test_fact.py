"""From what a source wrote to a concept in its unit."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from service.importers.fact import EventError, Fact, Meaning, Terms, from_json, to_json
from streams.io.store_rows import SourcedEvent
from streams.records import Reason

T_US = 1_709_287_200_000_000


def fact(**changes: Any) -> Fact:
    base = Fact(
        file="f",
        line=7,
        event_id="e1",
        patient_id="p1",
        codings=("lab|KAL", "loinc|2823-3"),
        event_time_us=T_US,
        known_time_us=T_US + 1,
        value=4.1,
        unit="mEq/L",
    )
    return msgspec.structs.replace(base, **changes)


def event_of(one: Fact, terms: Terms | None = None) -> SourcedEvent:
    made = (terms or Terms()).event(one)
    assert isinstance(made, SourcedEvent), made
    return made


def error_of(one: Fact, terms: Terms | None = None) -> EventError:
    made = (terms or Terms()).event(one)
    assert isinstance(made, EventError), made
    return made


def test_the_first_coding_with_a_meaning_is_the_concept_and_the_source_is_kept() -> None:
    made = event_of(fact())
    assert (made.event.code, made.event.value, made.event.unit) == ("k", 4.1, "mmol/L")
    assert (made.coding, made.value, made.unit) == ("lab|KAL", "4.1", "mEq/L")


def test_a_system_is_never_searched_for_the_codes_of_another() -> None:
    error = error_of(fact(codings=("snomed|2823-3",)))
    assert error.reason is Reason.UNKNOWN_CONCEPT
    assert error.fact is not None


def test_what_a_person_said_goes_before_the_table() -> None:
    terms = Terms({("lab|KAL", "mEq/L"): Meaning("na", "")})
    assert event_of(fact(value=140.0), terms).event.code == "na"
    for_all = Terms({("lab|KAL", "*"): Meaning("", "mmol/L")})
    assert event_of(fact(unit="weird"), for_all).event.code == "k"


def test_an_unknown_unit_waits_and_an_implausible_value_does_not() -> None:
    waits = error_of(fact(unit="furlong"))
    assert (waits.reason, waits.column, waits.line) == (Reason.BAD_UNIT, "unit", 7)
    assert waits.fact == fact(unit="furlong")
    assert error_of(fact(value=400.0)).fact is None


def test_a_cancellation_needs_no_value() -> None:
    made = event_of(fact(status="cancelled", value=None, unit=""))
    assert (made.event.status, made.event.value) == ("cancelled", None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patient_id": ""}, Reason.BAD_FIELD),
        ({"event_id": "e" * 200}, Reason.BAD_FIELD),
        ({"known_time_us": 0}, Reason.NO_KNOWN_TIME),
        ({"event_time_us": 1}, Reason.BAD_TIME),
        ({"status": "draft"}, Reason.BAD_FIELD),
        ({"codings": ("vigil|note",), "text": "x" * 10_000_000}, Reason.BAD_LENGTH),
        ({"codings": ("vigil|note",), "text": "a\x00b"}, Reason.BAD_FIELD),
        ({"codings": ("vigil|note",), "text": "\ud800"}, Reason.UNDECODABLE),
    ],
)
def test_what_the_log_cannot_hold_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert error_of(fact(**changes)).reason is reason


def test_a_waiting_fact_survives_the_quarantine() -> None:
    one = fact(text="'; DROP TABLE clinical_events; --", unit="µg/‰")
    assert from_json(to_json(one)) == one
