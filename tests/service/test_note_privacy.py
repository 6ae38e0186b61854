"""The words of a note leave neither its topic nor its store, whatever becomes of the note."""

from __future__ import annotations

import base64
import logging

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.snapshot import _MAGIC, pack
from service.squeeze import restored
from service.withheld import without_notes
from streams.codec import decode, encode
from streams.history import Timed
from streams.partition import partition_of
from streams.processor import Output
from streams.records import AlertCommand, ClinicalEvent, LogRecord, Reason, Tick
from tests.service.engine_kit import PARTITIONS, START_US, S, engine, event, log_of, patient

CANARY = "Kanarienvogel4711"
WORDS = f"Pt {CANARY} febrile, confused; wife {CANARY} at bedside."
NOTE = ClinicalEvent(
    "n", 1, "final", "p", "note", None, "", WORDS, START_US + 20 * S, START_US + 25 * S, "ehr"
)
HOME = partition_of("p", PARTITIONS)
AWAY = next(name for name in "abcdefgh" if partition_of(name, PARTITIONS) != HOME)

REFUSED: dict[str, tuple[ClinicalEvent, str]] = {
    "known to nobody": (msgspec.structs.replace(NOTE, known_time_us=0), "no_known_time"),
    "of a strange status": (msgspec.structs.replace(NOTE, status="draft"), "bad_field"),
    "under a code nobody knows": (
        msgspec.structs.replace(NOTE, code="ward-note"),
        "unknown_concept",
    ),
    "true in three days": (
        msgspec.structs.replace(NOTE, event_time_us=START_US + 3 * 86_400 * S),
        "future",
    ),
    "a diagnosis on a wrong partition": (
        msgspec.structs.replace(NOTE, code="diagnosis", patient_id=AWAY),
        "misrouted",
    ),
    "in place of a vector": (msgspec.structs.replace(NOTE, code="note_embedding"), "bad_unit"),
}


def shown(messages: list[Output]) -> bytes:
    """Everything on every topic, dead letters with their originals as bytes."""
    parts = [m.value + m.key.encode() + b"".join(v for _, v in m.headers) for m in messages]
    letters = [msgspec.json.decode(m.value) for m in messages if m.topic == "dlq"]
    parts += [base64.b64decode(letter["original"]) for letter in letters]
    return b"\n".join(parts)


def with_bytes(value: bytes, offset: int) -> LogRecord:
    return decode(value, HOME, offset, START_US + 30 * S)


@pytest.fixture(scope="module")
def said() -> tuple[list[Output], bytes]:
    """What an engine says and stores of a sick patient with notes, good ones and bad ones."""
    rows: list[Timed] = patient("p", 200.0, rate_bpm=135, breaths=28, spo2=88.0)
    rows += [event("p", "sbp", 85, "mmHg", 10, 15), (START_US + 25 * S, NOTE)]
    fixed = msgspec.structs.replace(NOTE, version=2, status="corrected", text=f"{WORDS} Fixed.")
    rows.append((START_US + 100 * S, fixed))
    log = log_of([sorted(rows, key=lambda row: row[0])])
    first = log[0].offset
    bad = [with_bytes(encode(one), first + i) for i, (one, _) in enumerate(REFUSED.values())]
    whole = encode(NOTE)
    bad += [with_bytes(whole[:cut], first + 50 + cut) for cut in range(20, len(whole), 7)]
    broken = msgspec.msgpack.decode(whole)
    broken[2][7] = {"words": WORDS}
    bad.append(with_bytes(msgspec.msgpack.encode(broken), first + 40))
    broken[2][7], broken[2][8] = WORDS, "yesterday"
    bad.append(with_bytes(msgspec.msgpack.encode(broken), first + 41))
    machine = engine()
    messages = [*machine.feed(bad).messages, *machine.feed(log).messages]
    packed = [pack(p, {}) for own in machine._patients.values() for p in own.values()]
    states = [restored(state[len(_MAGIC) + 1 :]) for state in packed]
    assert any(b"sbp" in state for state in states), "stored states are not looked into"
    return messages, b"\n".join(states)


def test_no_topic_shows_a_word_of_a_note(said: tuple[list[Output], bytes]) -> None:
    messages, _ = said
    topics = {message.topic for message in messages}
    assert {"features", "scores", "alerts", "alert-state", "dlq"} <= topics
    assert CANARY.encode() not in shown(messages)


def test_no_stored_state_shows_a_word_of_a_note(said: tuple[list[Output], bytes]) -> None:
    assert CANARY.encode() not in said[1]


def test_every_refusal_was_one(said: tuple[list[Output], bytes]) -> None:
    letters = [msgspec.json.decode(m.value) for m in said[0] if m.topic == "dlq"]
    reasons = [letter["reason"] for letter in letters]
    for _, reason in REFUSED.values():
        assert reason in reasons
    assert Reason.UNDECODABLE in reasons


def test_a_log_line_shows_no_word_of_a_note(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    machine = engine()
    machine.feed([with_bytes(encode(NOTE), 0), with_bytes(encode(NOTE)[:60], 1)])
    assert CANARY not in caplog.text


def test_what_a_refusal_needs_is_kept() -> None:
    """Everything but the words of the note."""
    kept = msgspec.msgpack.decode(without_notes(encode(NOTE)))
    whole = msgspec.msgpack.decode(encode(NOTE))
    whole[2][7] = ""
    assert kept == whole
    drug = encode(msgspec.structs.replace(NOTE, code="medication", text="Metoprolol 5 mg"))
    assert without_notes(drug) == drug
    word = encode(msgspec.structs.replace(NOTE, code="consciousness", text="new confusion"))
    assert without_notes(word) == word


def test_records_of_other_kinds_are_kept_to_the_byte() -> None:
    command = AlertCommand("c", "p", "o", "acknowledge", "user:a", "nurse", "seen", -1, 0, START_US)
    for record in (Tick(START_US), command):
        assert without_notes(encode(record)) == encode(record)
    assert without_notes(b"\x00garbage") == b"\x00garbage"


@given(st.data())
def test_no_damage_to_a_note_lets_its_words_through(data: st.DataObject) -> None:
    """Bytes changed at random behind the kind: the words are out, or the whole is."""
    value = bytearray(encode(NOTE))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(12, len(value) - 1))] = data.draw(st.integers(0, 255))
    if CANARY.encode() in bytes(value):
        assert CANARY.encode() not in without_notes(bytes(value))


def test_numbers_of_a_note_reach_a_model_and_words_do_not() -> None:
    """What is left of a note in the engine is 32 numbers."""
    machine = engine()
    machine.feed([with_bytes(encode(NOTE), 0)])
    (patient_,) = (
        p for own in machine._patients.values() for p in own.values() if p.patient_id == "p"
    )
    state = patient_.asof.to_state()
    assert [len(np.frombuffer(row[3], "<f4")) for row in state["vectors"]] == [32]
