"""The text modality: whose vector stands when, and what an outside encoder must send."""

from __future__ import annotations

import base64

import msgspec
import numpy as np
import pytest

from features.asof import AsOf
from features.facts import Fact, admit
from features.notes import embedded_at
from features.text import embedding
from features.track import MOST_ROWS
from features.vectors import LOCAL, MOST_DIMENSIONS, of_note, received
from streams.records import ClinicalEvent, Reason

S = 1_000_000
H = 3600 * S
T0 = 1_700_000_000 * S
NOTE = ClinicalEvent("n", 1, "final", "p", "note", None, "", "Febrile, cough", T0, T0, "ehr")
OUTSIDE = "bert/2/3"


def sent(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def vector_event(name: str = "v", at: int = T0, **changes: object) -> ClinicalEvent:
    base = ClinicalEvent(
        name, 1, "final", "p", "note_embedding", None, OUTSIDE, sent(1, 2, 3), at, at, "bert"
    )
    return msgspec.structs.replace(base, **changes)


def at(store: AsOf, t_us: int, known_us: int, encoder: str = LOCAL) -> tuple[list[float], int]:
    found = embedded_at([store], np.array([t_us]), np.array([known_us]), encoder)
    return found.value[0].tolist(), int(found.time_us[0])


def test_the_latest_note_known_is_the_one_that_stands() -> None:
    store = AsOf()
    later = msgspec.structs.replace(NOTE, event_id="m", text="Afebrile", event_time_us=T0 + H)
    store.insert(NOTE, T0)
    store.insert(later, T0 + 2 * H)
    assert at(store, T0 + H, T0 + H) == (embedding("Febrile, cough").tolist(), T0)
    assert at(store, T0 + H, T0 + 2 * H) == (embedding("Afebrile").tolist(), T0 + H)


def test_a_corrected_note_has_the_numbers_of_its_new_words() -> None:
    store = AsOf()
    store.insert(NOTE, T0)
    fixed = msgspec.structs.replace(NOTE, version=2, status="corrected", text="No fever")
    store.insert(fixed, T0 + H)
    assert at(store, T0, T0)[0] == embedding("Febrile, cough").tolist()
    assert at(store, T0, T0 + H)[0] == embedding("No fever").tolist()


def test_a_cancelled_note_stands_no_more() -> None:
    store = AsOf()
    store.insert(NOTE, T0)
    store.insert(msgspec.structs.replace(NOTE, version=2, status="cancelled", text=""), T0 + H)
    assert np.isnan(at(store, T0, T0 + H)[0]).all()
    assert at(store, T0, T0 + H)[1] == 0


def test_an_old_note_is_missing() -> None:
    store = AsOf()
    store.insert(NOTE, T0)
    assert at(store, T0 + 72 * H, T0 + 72 * H)[1] == T0
    assert at(store, T0 + 72 * H + 1, T0 + 72 * H + 1)[1] == 0


def test_an_outside_vector_stands_for_its_own_encoder_alone() -> None:
    store = AsOf()
    store.insert(vector_event(), T0)
    assert at(store, T0, T0, OUTSIDE) == ([1.0, 2.0, 3.0], T0)
    for other in ("bert/3/3", "bart/2/3", LOCAL):
        assert at(store, T0, T0, other)[1] == 0


def test_a_restored_store_has_the_same_vectors() -> None:
    store = AsOf()
    store.insert(NOTE, T0)
    store.insert(vector_event(), T0)
    back = AsOf.from_state(msgspec.msgpack.decode(msgspec.msgpack.encode(store.to_state())))
    assert at(back, T0, T0) == at(store, T0, T0)
    assert at(back, T0, T0, OUTSIDE) == at(store, T0, T0, OUTSIDE)


def test_vectors_go_with_their_rows() -> None:
    store = AsOf()
    for i in range(500):
        store.insert(
            msgspec.structs.replace(NOTE, event_id=f"n{i}", event_time_us=T0 + i * S), T0 + i * S
        )
    assert len(store.to_state()["vectors"]) <= MOST_ROWS


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unit": ""}, Reason.BAD_UNIT),
        ({"unit": "bert"}, Reason.BAD_UNIT),
        ({"unit": "bert/2/0"}, Reason.BAD_UNIT),
        ({"unit": f"bert/2/{MOST_DIMENSIONS + 1}"}, Reason.BAD_UNIT),
        ({"unit": LOCAL}, Reason.BAD_UNIT),
        ({"unit": "bert/2/4"}, Reason.BAD_LENGTH),
        ({"text": sent(1, 2)}, Reason.BAD_LENGTH),
        ({"text": "not base64!"}, Reason.BAD_FIELD),
        ({"text": sent(1, 2, float("nan"))}, Reason.BAD_FIELD),
        ({"text": sent(1, 2, float("inf"))}, Reason.BAD_FIELD),
        ({"text": ""}, Reason.BAD_FIELD),
    ],
)
def test_a_vector_that_breaks_the_contract_is_refused(
    changes: dict[str, object], reason: Reason
) -> None:
    assert admit(vector_event(**changes), T0) is reason


def test_the_widest_vector_fits_into_an_event() -> None:
    wide = received(f"wide/1/{MOST_DIMENSIONS}", sent(*[0.5] * MOST_DIMENSIONS))
    assert not isinstance(wide, Reason)
    assert wide.numbers().shape == (MOST_DIMENSIONS,)


def test_a_fact_of_a_note_holds_numbers_and_no_words() -> None:
    fact = admit(NOTE, T0)
    assert isinstance(fact, Fact)
    assert fact.vector == of_note("Febrile, cough")
    assert "ebrile" not in repr(fact)
    store = AsOf()
    store.add(fact)
    assert b"ebrile" not in msgspec.msgpack.encode(store.to_state())
