"""Hostile facts at the store's door: refused with a rule, or kept as the text they are."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from streams.codec import admit, decode, encode
from streams.io.store import Store, _batches
from streams.io.store_rows import BATCH_CHARACTERS, BATCH_ROWS, SourcedEvent, event_fault
from streams.io.timescale import RefusedRows
from streams.records import Reason
from tests.fixtures_database import BASE_US, EVER_US, event

EVIL = (
    "'; DROP TABLE clinical_events; --",
    "\"; COPY x FROM PROGRAM 'id'; --",
    "$$; SELECT pg_sleep(100); $$",
    "%s %(a)s {0} \\copy \\N \\. \\x00",
    "1' OR '1'='1",
)


@pytest.mark.database
def test_sql_in_any_text_is_only_text(any_store: Store) -> None:
    for evil in EVIL:
        one = event(1, evil, event_id=evil, code=evil, unit=evil[:32], text=evil, source=evil)
        assert any_store.insert_events([SourcedEvent(one, evil, evil, evil)]) == 1
        (kept,) = any_store.stored_events([evil], 0, EVER_US)
        assert kept.event == one
        assert (kept.coding, kept.source_value, kept.source_unit) == (evil, evil, evil)
        assert [row.event for row in any_store.known_at(EVER_US // 4, [evil], [evil])] == [one]
        assert any_store.feed.again([evil]) == 0
    assert {row.event_id for row in any_store.feed.waiting(9)} == set(EVIL)


BAD: dict[str, tuple[Any, Reason]] = {
    "NUL in text": (event(1, text="a\x00b"), Reason.BAD_FIELD),
    "NUL in a unit": (event(1, unit="\x00"), Reason.BAD_FIELD),
    "NUL in a source": (event(1, source="\x00"), Reason.BAD_FIELD),
    "NUL in an id": (event(1, event_id="a\x00"), Reason.BAD_FIELD),
    "half a character": (event(1, text="\ud800"), Reason.UNDECODABLE),
    "half a character in a coding": (SourcedEvent(event(1), "\udfff"), Reason.UNDECODABLE),
    "10 MB of text": (event(1, text="x" * 10_485_760), Reason.BAD_LENGTH),
    "10 MB of source": (event(1, source="x" * 10_485_760), Reason.BAD_LENGTH),
    "10 MB of coding": (SourcedEvent(event(1), "x" * 10_485_760), Reason.BAD_LENGTH),
    "a long id": (event(1, event_id="x" * 129), Reason.BAD_FIELD),
    "a long id in bytes": (event(1, patient_id="ü" * 100), Reason.BAD_FIELD),
    "no patient": (event(1, patient_id=""), Reason.BAD_FIELD),
    "a line end in an id": (event(1, patient_id="p\n1"), Reason.BAD_FIELD),
    "infinity": (event(1, value=float("inf")), Reason.BAD_FIELD),
    "not a number": (event(1, value=float("nan")), Reason.BAD_FIELD),
    "a boolean status": (event(1, status=True), Reason.BAD_FIELD),
    "no such status": (event(1, status="preliminary"), Reason.BAD_FIELD),
    "a negative version": (event(1, version=-1), Reason.BAD_FIELD),
    "a huge version": (event(1, version=2**40), Reason.BAD_FIELD),
    "no known time": (event(1, known_time_us=0), Reason.NO_KNOWN_TIME),
    "the year 1": (event(1, event_time_us=-62_135_596_800_000_000), Reason.BAD_TIME),
    "the year 2100": (event(1, known_time_us=4_102_444_800_000_000), Reason.BAD_TIME),
    "beyond PostgreSQL": (event(1, event_time_us=2**63), Reason.BAD_TIME),
    "beyond any word": (event(1, event_time_us=10**40), Reason.BAD_FIELD),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_a_fact_is_refused_by_rule_before_it_is_sent(
    bad: Any, reason: Reason
) -> None:
    fault = event_fault(bad)
    assert fault is not None
    assert fault[0] == reason
    assert len(fault[1]) < 200, "the rule, not the row"


@pytest.mark.database
def test_one_bad_row_refuses_its_batch_and_names_its_place(store: Store) -> None:
    with pytest.raises(RefusedRows, match="row 2: text has 10485760 characters") as caught:
        store.insert_events([event(1), event(2), event(3, text="x" * 10_485_760)])
    assert len(str(caught.value)) < 200
    assert store.counts()["clinical_events"] == 0


def test_a_transaction_holds_so_many_rows_and_not_too_much_text() -> None:
    short = [event(n) for n in range(2 * BATCH_ROWS + 1)]
    assert [len(batch) for batch in _batches(short)] == [BATCH_ROWS, BATCH_ROWS, 1]
    notes = [event(n, text="x" * 65_536) for n in range(200)]
    sizes = [sum(len(e.text) for e in batch) for batch in _batches(notes)]  # type: ignore[union-attr]
    assert max(sizes) <= BATCH_CHARACTERS + 65_536
    assert sum(sizes) == 200 * 65_536
    assert list(_batches([])) == []


INSERT = (
    "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, value, unit, "
    "text, event_time, known_time, source) VALUES (%(event_id)s, %(version)s, %(status)s, "
    "%(patient_id)s, %(concept)s, %(value)s, %(unit)s, %(text)s, %(event_time)s, %(known_time)s, "
    "%(source)s)"
)
GOOD: dict[str, object] = {
    "event_id": "e1",
    "version": 1,
    "status": "final",
    "patient_id": "p1",
    "concept": "hr",
    "value": 60.0,
    "unit": "/min",
    "text": "",
    "event_time": "2024-03-01T10:00Z",
    "known_time": "2024-03-01T10:00Z",
    "source": "sql",
}


CHANGES: list[dict[str, object]] = [
    {"known_time": None},
    {"event_time": None},
    {"known_time": "infinity"},
    {"event_time": "-infinity"},
    {"event_time": "0044-03-15T12:00Z"},
    {"value": float("inf")},
    {"value": float("nan")},
    {"text": "x" * 10_485_760},
    {"text": "ü" * 65_537},
    {"unit": "u" * 33},
    {"event_id": "x" * 129},
    {"event_id": ""},
    {"patient_id": "p\n1"},
    {"concept": "\x7f"},
    {"source": "x" * 5_000},
    {"status": "FINAL"},
    {"version": -1},
]


@pytest.mark.database
def test_whoever_writes_sql_is_held_to_the_same_limits(
    any_store: Store, any_edition_dsn: str
) -> None:
    refused = (psycopg.errors.IntegrityError, psycopg.errors.DataError)
    with psycopg.connect(any_edition_dsn, autocommit=True) as connection:
        for change in CHANGES:
            with pytest.raises(refused):
                connection.execute(INSERT, GOOD | change)
        connection.execute(INSERT, GOOD)
    (waits,) = any_store.feed.waiting(9)
    assert admit(waits, 0, 0, 0).record == waits
    assert decode(encode(waits), 0, 0, BASE_US).record == waits


@pytest.mark.database
def test_an_id_and_version_cannot_come_twice_with_another_time(
    any_store: Store, any_edition_dsn: str
) -> None:
    with psycopg.connect(any_edition_dsn, autocommit=True) as connection:
        connection.execute(INSERT, GOOD)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(INSERT, GOOD | {"event_time": "2024-05-01T10:00Z"})
    moved = any_store.feed.waiting(1)[0]
    other = any_store.store_events([event(1, event_id="e1", version=1)])
    assert other == (0, ("e1",))
    assert [row.event for row in any_store.stored_events(None, 0, EVER_US)] == [moved]
