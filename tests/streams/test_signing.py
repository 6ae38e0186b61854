"""Signatures of commands and ticks: what is accepted, and that nothing can be changed after."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec import decode, encode
from streams.records import AlertCommand, Reason, Tick
from streams.signing import Key, objection, signed

NOW_US = 1_700_000_000_000_000
DESK = Key(b"d" * 32, frozenset({"command"}))
WORKER = Key(b"w" * 32, frozenset({"tick"}))
OLD = Key(b"o" * 32, frozenset({"command", "tick"}), until_us=NOW_US)
RING = {"desk": DESK, "worker": WORKER, "old": OLD}
COMMAND = AlertCommand("c1", "p1", "occ", "acknowledge", "user:kim", "rn", "", -1, 0, NOW_US)


def test_a_signed_command_is_accepted_after_it_went_over_the_log() -> None:
    value = encode(signed(COMMAND, "desk", DESK))
    record = decode(value, 0, 0, NOW_US).record
    assert isinstance(record, AlertCommand)
    assert objection(record, NOW_US, RING) is None


def test_a_signed_tick_is_accepted() -> None:
    assert objection(signed(Tick(NOW_US), "worker", WORKER), NOW_US, RING) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command_id", "c2"),
        ("patient_id", "p2"),
        ("occurrence_id", "other"),
        ("action", "resolve"),
        ("actor", "user:eve"),
        ("role", "md"),
        ("reason", "because"),
        ("expected_seq", 3),
        ("until_us", NOW_US),
        ("event_time_us", NOW_US + 1),
    ],
)
def test_a_command_changed_in_any_field_is_refused(field: str, value: object) -> None:
    changed = msgspec.structs.replace(signed(COMMAND, "desk", DESK), **{field: value})
    assert "not that of key 'desk'" in str(objection(changed, NOW_US, RING))


def test_every_field_of_a_command_is_covered() -> None:
    covered = {"command_id", "patient_id", "occurrence_id", "action", "actor", "role", "reason"}
    covered |= {"expected_seq", "until_us", "event_time_us", "key_id", "signature"}
    assert set(AlertCommand.__struct_fields__) == covered


@given(st.binary(max_size=64))
def test_no_other_bytes_pass_for_a_signature(signature: bytes) -> None:
    right = signed(COMMAND, "desk", DESK)
    forged = msgspec.structs.replace(right, signature=signature)
    assert (objection(forged, NOW_US, RING) is None) == (signature == right.signature)


def test_a_key_signs_only_what_it_may() -> None:
    record = signed(COMMAND, "worker", WORKER)
    assert objection(record, NOW_US, RING) == "key 'worker' may not sign a command"


def test_a_signature_cannot_be_moved_to_another_key() -> None:
    ring = RING | {"twin": DESK}
    moved = msgspec.structs.replace(signed(COMMAND, "desk", DESK), key_id="twin")
    assert objection(moved, NOW_US, ring) is not None


def test_unsigned_and_unknown_keys_are_refused() -> None:
    assert objection(COMMAND, NOW_US, RING) == "not signed"
    stranger = signed(COMMAND, "eve", Key(b"e" * 32, frozenset({"command"})))
    assert objection(stranger, NOW_US, RING) == "signed by an unknown key 'eve'"


def test_a_retired_key_is_good_for_what_was_appended_before() -> None:
    record = signed(COMMAND, "old", OLD)
    assert objection(record, NOW_US - 1, RING) is None
    assert "retired" in str(objection(record, NOW_US, RING))


def test_no_objection_shows_a_secret_or_a_digest() -> None:
    right = signed(COMMAND, "desk", DESK)
    forged = msgspec.structs.replace(right, reason="x")
    said = str(objection(forged, NOW_US, RING))
    assert right.signature.hex() not in said
    assert DESK.secret.decode() not in said


def test_records_of_before_there_were_signatures_are_read_as_unsigned() -> None:
    old = msgspec.msgpack.encode((1, "tick", [NOW_US]))
    assert decode(old, 0, 0, NOW_US).record == Tick(NOW_US)


def test_an_overlong_key_id_or_signature_is_refused_when_decoded() -> None:
    for bad in (Tick(NOW_US, "k" * 129, b""), Tick(NOW_US, "", b"s" * 129)):
        (refused,) = decode(encode(bad), 0, 0, NOW_US).rejected
        assert refused.reason == Reason.BAD_FIELD
