"""Importing clinical events into a real database and listing them."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from service.event_store import import_events, listed
from streams.errors import StoreError
from streams.io.store import Store
from streams.io.timescale import RetrySpec
from streams.records import ClinicalEvent

pytestmark = pytest.mark.database

HEADER = "patient_id,event_time,known_time,code,value,unit,text,source"
T_US = 1_709_287_200_000_000  # 2024-03-01T10:00:00Z
EVER_US = 2**62


def event(number: int, patient_id: str = "p1") -> ClinicalEvent:
    time_us = T_US + number
    return ClinicalEvent(
        f"e{number:05d}", 1, "final", patient_id, "hr", 60.0, "/min", "", time_us, time_us, "ehr"
    )


def csv_of(path: Path, rows: int, value: str = "61") -> Path:
    lines = [
        f"p{n % 50},{T_US + n * 1_000_000},{T_US + n * 1_000_000 + 1},hr,{value},/min,,ehr"
        for n in range(rows)
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def refuse(error: object) -> None:
    pytest.fail(f"unexpected {error}")


def test_ten_thousand_rows_imported_twice_are_stored_once(any_store: Store, tmp_path: Path) -> None:
    path = csv_of(tmp_path / "events.csv", 10_000)
    first = import_events(any_store, path, refuse)
    assert (first.rows, first.inserted, first.present, first.changed) == (10_000, 10_000, 0, 0)
    before = list(any_store.events(None, 0, EVER_US))
    second = import_events(any_store, path, refuse)
    assert (second.rows, second.inserted, second.present, second.changed) == (10_000, 0, 10_000, 0)
    assert list(any_store.events(None, 0, EVER_US)) == before


def test_a_longer_export_adds_only_what_is_new(store: Store, tmp_path: Path) -> None:
    import_events(store, csv_of(tmp_path / "a.csv", 100), refuse)
    report = import_events(store, csv_of(tmp_path / "b.csv", 130), refuse)
    assert (report.inserted, report.present) == (30, 100)


def test_a_row_with_other_content_under_a_known_id_is_reported_not_written(
    store: Store, tmp_path: Path
) -> None:
    import_events(store, csv_of(tmp_path / "a.csv", 3, "61"), refuse)
    report = import_events(store, csv_of(tmp_path / "b.csv", 5, "99"), refuse)
    assert (report.inserted, report.present, report.changed) == (2, 0, 3)
    assert len(report.changed_ids) == 3
    assert sorted(e.value for e in store.events(None, 0, EVER_US)) == [61, 61, 61, 99, 99]


def test_refused_rows_are_told_and_counted_and_the_rest_is_stored(
    store: Store, tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "events.csv", 4)
    with path.open("a", encoding="utf-8") as out:
        out.write(f"p1,{T_US},,hr,61,/min,,ehr\np1,{T_US},{T_US},hr,61,mmHg,,ehr\n")
    told: list[object] = []
    report = import_events(store, path, told.append)
    assert report.refused == {"bad_unit": 1, "no_known_time": 1}
    assert (report.rows, report.inserted, len(told)) == (6, 4, 2)


def test_an_import_survives_killed_connections(
    store: Store, database_dsn: str, tmp_path: Path
) -> None:
    path = csv_of(tmp_path / "events.csv", 20_000)
    stop = threading.Event()

    def kill() -> None:
        with psycopg.connect(database_dsn, autocommit=True) as admin:
            for _ in range(3):
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'vigil' AND datname = current_database()"
                )
                if stop.wait(0.15):
                    return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        import_events(store, path, refuse)
    finally:
        stop.set()
        killer.join()
    assert store.counts()["clinical_events"] == 20_000


def test_importing_without_a_database_fails_clearly(tmp_path: Path) -> None:
    path = csv_of(tmp_path / "events.csv", 2)
    with (
        Store("host=127.0.0.1 port=1 dbname=ward", RetrySpec(attempts=1)) as nowhere,
        pytest.raises(StoreError, match=r"127\.0\.0\.1:1/ward: cannot write clinical_events"),
    ):
        import_events(nowhere, path, refuse)


def test_a_listed_event_is_ready_for_json(store: Store) -> None:
    store.insert_events([event(1)])
    (stored,) = store.stored_events(["p1"], 0, EVER_US)
    assert listed(stored) == {
        "patient_id": "p1",
        "event_time": "2024-03-01T10:00:00.000001Z",
        "known_time": "2024-03-01T10:00:00.000001Z",
        "effective_known_time": "2024-03-01T10:00:00.000001Z",
        "code": "hr",
        "value": 60.0,
        "unit": "/min",
        "text": "",
        "source": "ehr",
        "coding": "",
        "source_value": "",
        "source_unit": "",
        "event_id": "e00001",
        "version": 1,
        "status": "final",
        "partition": None,
        "offset": None,
    }
