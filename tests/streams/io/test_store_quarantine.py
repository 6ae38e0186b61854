"""The quarantine: nothing twice, nothing lost, every decision by a named person."""

from __future__ import annotations

import json

import pytest

from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_quarantine import QuarantineRecord, Selection, WaitingGroup
from streams.io.timescale import RefusedRows

pytestmark = pytest.mark.database


def row(key: str, **changes: object) -> QuarantineRecord:
    fields: dict[str, object] = {
        "key": key,
        "reason": "bad_unit",
        "original": json.dumps({"value": "7.1", "unit": "bushel", "note": "ü"}).encode(),
        "patient_id": "p1",
        "file": "labs.csv",
        "line": 3,
        "coding": "http://loinc.org|2345-7",
        "unit": "bushel",
    }
    return QuarantineRecord(**{**fields, **changes})


def test_the_same_row_again_is_kept_once(any_store: Store) -> None:
    quarantine = any_store.quarantine
    assert quarantine.add([row("a"), row("b", reason="unknown_concept"), row("a")]) == 2
    assert quarantine.add([row("a", detail="later"), row("c")]) == 1
    kept = quarantine.rows()
    assert [one.key for one in kept] == ["a", "b", "c"]
    assert kept[0].detail == ""
    assert json.loads(kept[0].original)["note"] == "ü"
    assert (kept[0].file, kept[0].line, kept[0].unit) == ("labs.csv", 3, "bushel")
    assert abs(kept[0].received_us - any_store.now_us()) < 60_000_000
    assert quarantine.add([]) == 0


def test_rows_come_by_selection_and_page_by_page(store: Store) -> None:
    store.quarantine.add([row(f"k{n}", unit="" if n % 2 else "bushel") for n in range(10)])
    store.quarantine.add([row("other", coding="local|x")])
    read = store.quarantine.rows
    assert len(read(which=Selection(unit=""))) == 5
    assert len(read(which=Selection(coding="local|x"))) == 1
    assert read(which=Selection(reason="unknown_concept")) == []
    first = read(limit=4)
    assert [one.key for one in read(after_id=first[-1].id, limit=2)] == ["k4", "k5"]
    assert [one.key for one in read(which=Selection(ids=(first[0].id,)))] == ["k0"]


def test_groups_count_what_waits_for_the_same_decision(store: Store) -> None:
    store.quarantine.add([row("a"), row("b", patient_id="p2"), row("c", unit="")])
    assert store.quarantine.groups() == [
        WaitingGroup("bad_unit", "http://loinc.org|2345-7", "bushel", 2, 2, "", ""),
        WaitingGroup("bad_unit", "http://loinc.org|2345-7", "", 1, 1, "", ""),
    ]


def test_a_person_maps_what_waits_and_releases_it_once(any_store: Store) -> None:
    quarantine = any_store.quarantine
    quarantine.add([row("a"), row("b"), row("c", unit="")])
    assert quarantine.map(Selection(unit="bushel"), "glucose", "mmol/L", "dr.who") == 2
    assert quarantine.map(Selection(unit="bushel"), "", "mg/dL", "dr.who") == 2
    mapped = quarantine.rows(which=Selection(unit="bushel"))
    assert {(r.mapped_concept, r.mapped_unit, r.decided_by) for r in mapped} == {
        ("glucose", "mg/dL", "dr.who")
    }
    ids = [r.id for r in mapped]
    assert quarantine.decide(ids, "released", "dr.who") == 2
    assert quarantine.decide(ids, "dropped", "dr.else") == 0, "a decision stands"
    assert quarantine.map(Selection(ids=tuple(ids)), "hr", "", "dr.else") == 0
    assert [r.key for r in quarantine.rows()] == ["c"]
    released = quarantine.rows("released")
    assert all(r.decided_us is not None and r.decided_by == "dr.who" for r in released)


def test_a_decision_needs_a_person_and_a_status_that_exists(store: Store) -> None:
    with pytest.raises(ConfigError, match="name of who decides"):
        store.quarantine.map(Selection(), "hr", "", "  ")
    with pytest.raises(ConfigError, match="no quarantine status is called 'lost'"):
        store.quarantine.decide([1], "lost", "x")


@pytest.mark.parametrize("original", [b"{", b'"\\u0000"', b"", b"\xff", b'"\\ud800"', b"[" * 9_999])
def test_an_original_that_is_not_json_is_refused_and_keeps_nothing(
    store: Store, original: bytes
) -> None:
    with pytest.raises(RefusedRows):
        store.quarantine.add([row("good"), row("bad", original=original)])
    assert store.quarantine.rows() == []


def test_sql_in_a_row_is_only_text(store: Store) -> None:
    evil = "'; DROP TABLE event_quarantine; --"
    store.quarantine.add([row(evil, coding=evil, unit=evil, detail=evil)])
    (kept,) = store.quarantine.rows(which=Selection(coding=evil, unit=evil))
    assert (kept.key, kept.detail) == (evil, evil)
    assert store.quarantine.map(Selection(coding=evil), evil, evil, evil) == 1
