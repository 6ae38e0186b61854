"""Dead letters as people see them."""

from __future__ import annotations

import base64

import msgspec

from service.dead_letters import letter_of, summary
from service.outputs import DeadLetter
from streams.codec import encode
from streams.processor import Fault
from streams.quarantine import RELEASE, SERVICE, quarantine_order, release_order
from streams.records import SignalBundle
from tests.service.engine_kit import chunk


def letter(reason: str, original: bytes, offset: int = 7) -> bytes:
    packed = base64.b64encode(original).decode()
    return msgspec.json.encode(DeadLetter(reason, "", 3, offset, 0, packed))


def test_a_letter_names_whose_record_it_is_and_where_it_stood() -> None:
    found = letter_of(letter("engine_fault", encode(SignalBundle((chunk("bed-7"),)))))
    assert found is not None
    assert (found.patients, found.place) == (frozenset({"bed-7"}), "3:7")
    assert found.shown()["kind"] == "SignalBundle"


def test_bytes_that_nothing_can_be_made_of_are_shown_as_they_are() -> None:
    found = letter_of(letter("undecodable", b"\xff\xfe"))
    assert found is not None
    assert (found.patients, found.shown()["bytes"]) == (frozenset(), "fffe")
    assert "undecodable" in found.words()


def test_what_is_no_letter_is_passed_over() -> None:
    assert letter_of(b"") is None
    assert letter_of(letter("x", b"")[:-9]) is None


def test_reasons_are_counted_the_most_frequent_first() -> None:
    made = [letter_of(letter(*row)) for row in (("a", b"1"), ("b", b"2"), ("b", b"3", 9))]
    tallies = summary(one for one in made if one is not None)
    assert [(t.reason, t.n, t.newest) for t in tallies] == [("b", 2, "3:9"), ("a", 1, "3:7")]


def test_orders_are_records_that_a_log_takes_and_say_who_and_from_where() -> None:
    out = quarantine_order("bed-7", Fault(41, 1_600_000_000_000_000, "ZeroDivisionError"))
    assert (out.patient_id, out.expected_seq, out.role) == ("bed-7", 41, SERVICE)
    back = release_order("bed-7", "kim", 1_600_000_000_000_001)
    assert (back.action, back.reason) == (RELEASE, "kim")
