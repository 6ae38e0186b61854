"""Admission: what a fact is made of, and that the short way for numbers is the long one."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.concepts import CONCEPTS, normalise
from features.effects import OXYGEN_ABOVE
from features.facts import FUTURE_TOLERANCE_US, MAX_AGE_US, TRACK, TRACKS, Fact, admit
from streams.records import ClinicalEvent, Reason

T0 = 1_700_000_000_000_000
PLAIN = ClinicalEvent("e", 1, "final", "p", "sbp", 98.0, "mmHg", "", T0, T0, "ehr")
_NAMES = [name for c in CONCEPTS for name in (c.code, c.code.upper(), *c.aliases, *c.loinc)]
_UNITS = [*sorted({unit for c in CONCEPTS for unit in (c.unit, *c.units)}), "furlong", "Mg/dL"]


@given(
    st.sampled_from([*_NAMES, "nonsense"]),
    st.one_of(st.none(), st.floats(), st.floats(0, 400), st.integers(0, 5).map(float)),
    st.sampled_from(_UNITS),
    st.sampled_from(["", "alert", "Metoprolol", "x"]),
)
@settings(max_examples=1500, deadline=None)
def test_admission_converts_and_refuses_as_normalise_does(
    code: str, value: float | None, unit: str, text: str
) -> None:
    event = msgspec.structs.replace(PLAIN, code=code, value=value, unit=unit, text=text)
    fact, normal = admit(event, T0), normalise(code, value, unit, text)
    if isinstance(normal, Reason):
        assert fact is normal
        return
    if isinstance(fact, Reason):
        assert normal.code == "note_embedding"
        return
    stopped = CONCEPTS[fact.track].modality == "med" and value == 0
    assert TRACKS[fact.track] == normal.code
    assert fact.value == (0.0 if stopped else normal.value)


def test_a_fact_is_known_when_it_is_on_the_log_at_the_earliest() -> None:
    for known, append in ((T0, T0 + 5), (T0 + 5, T0)):
        fact = admit(msgspec.structs.replace(PLAIN, known_time_us=known), append)
        assert isinstance(fact, Fact)
        assert fact.known_us == T0 + 5


def test_a_fact_may_be_true_an_hour_after_it_was_known_and_not_more() -> None:
    late = msgspec.structs.replace(PLAIN, event_time_us=T0 + FUTURE_TOLERANCE_US)
    assert isinstance(admit(late, T0), Fact)
    later = msgspec.structs.replace(late, event_time_us=late.event_time_us + 1)
    assert admit(later, T0) is Reason.FUTURE


def test_a_cancellation_needs_a_code_and_nothing_else() -> None:
    gone = msgspec.structs.replace(PLAIN, status="cancelled", value=None, unit="furlong")
    fact = admit(gone, T0)
    assert isinstance(fact, Fact)
    assert math.isnan(fact.value)
    unknown = msgspec.structs.replace(gone, code="nonsense")
    assert admit(unknown, T0) is Reason.UNKNOWN_CONCEPT


@pytest.mark.parametrize(
    ("code", "unit", "value", "given_"),
    [
        ("oxygen", "", 1.0, 1.0),
        ("oxygen", "", 0.0, 0.0),
        ("o2_flow", "L/min", 2.0, 1.0),
        ("o2_flow", "L/min", 0.0, 0.0),
        ("fio2", "%", 21.0, 0.0),
        ("fio2", "%", 35.0, 1.0),
    ],
)
def test_oxygen_however_charted_is_on_the_track_of_oxygen(
    code: str, unit: str, value: float, given_: float
) -> None:
    fact = admit(msgspec.structs.replace(PLAIN, code=code, unit=unit, value=value), T0)
    assert isinstance(fact, Fact)
    assert fact.also == ((TRACK["effect:oxygen_therapy"], given_),)
    assert set(OXYGEN_ABOVE) == {"oxygen", "o2_flow", "fio2"}


def test_every_track_has_an_age() -> None:
    assert len(MAX_AGE_US) == len(TRACKS) == len(TRACK)
    assert (MAX_AGE_US > 0).all()
    assert MAX_AGE_US.dtype == np.int64
