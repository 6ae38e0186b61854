"""Importing clinical events and feeding them to the log, on a real database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from service.event_store import feed_history, feed_once, import_events, listed, run_feed
from streams.errors import BrokerError, StoreError
from streams.io.store import Store
from streams.io.timescale import RetrySpec
from streams.records import ClinicalEvent

pytestmark = pytest.mark.database

HEADER = "patient_id,event_time,known_time,code,value,unit,text,source"
T_US = 1_709_287_200_000_000  # 2024-03-01T10:00:00Z
EVER_US = 2**62


class Log:
    """A producer that acknowledges at once, or fails or dies after some events."""

    def __init__(self, broken_after: int | None = None) -> None:
        self.events: list[ClinicalEvent] = []
        self.broken_after = broken_after

    def publish(self, event: ClinicalEvent) -> tuple[int, int, int]:
        if self.broken_after is not None and len(self.events) >= self.broken_after:
            raise BrokerError("broker 127.0.0.1:9092: no acknowledgement")
        self.events.append(event)
        return 0, len(self.events) - 1, T_US + 3_600_000_000 + len(self.events)

    @property
    def ids(self) -> list[str]:
        return [event.event_id for event in self.events]


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


def test_the_feed_publishes_each_event_once_in_known_order(any_store: Store) -> None:
    any_store.insert_events([event(n) for n in (3, 1, 2)])
    log = Log()
    assert feed_once(any_store, log.publish) == 3
    assert feed_once(any_store, log.publish) == 0
    assert log.events == [event(1), event(2), event(3)]
    marks = [stored.published for stored in any_store.stored_events(None, 0, EVER_US)]
    assert [(m.partition, m.offset, m.append_us) for m in marks if m] == [
        (0, n, T_US + 3_600_000_000 + n + 1) for n in range(3)
    ]


def test_what_was_acknowledged_before_a_broker_failure_is_not_sent_again(store: Store) -> None:
    store.insert_events([event(n) for n in range(5)])
    broken = Log(broken_after=2)
    with pytest.raises(BrokerError):
        feed_once(store, broken.publish)
    log = Log()
    assert feed_once(store, log.publish) == 3
    assert broken.ids + log.ids == [f"e{n:05d}" for n in range(5)]


def test_a_crash_between_publish_and_mark_repeats_the_same_id_and_version(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert_events([event(1)])
    log = Log()
    with monkeypatch.context() as patched:

        def die(marks: object) -> int:
            raise KeyboardInterrupt

        patched.setattr(store, "mark_published", die)
        with pytest.raises(KeyboardInterrupt):
            feed_once(store, log.publish)
    feed_once(store, log.publish)
    assert log.events == [event(1), event(1)]
    assert store.unpublished(10) == []


def test_a_transaction_that_commits_late_is_not_passed_by(
    any_store: Store, any_edition_dsn: str
) -> None:
    """The slow session inserts event 1 first and commits after the feed published event 2."""
    log = Log()
    any_store.insert_events([event(0)])  # the chunk is there: making one is serialised
    feed_once(any_store, Log().publish)
    with psycopg.connect(any_edition_dsn) as slow:
        slow.execute(
            "INSERT INTO clinical_events (event_id, version, status, patient_id, code, value, "
            "unit, event_time, known_time) VALUES ('e-slow', 1, 'final', 'p1', 'hr', 60, '/min', "
            "'2024-03-01T09:00Z', '2024-03-01T09:00Z')"
        )
        any_store.insert_events([event(2)])
        assert feed_once(any_store, log.publish) == 1
        slow.commit()
    assert feed_once(any_store, log.publish) == 1
    assert log.ids == ["e00002", "e-slow"]


def test_admission_publishes_all_of_one_patient_and_keeps_old_positions(store: Store) -> None:
    store.insert_events([event(1), event(2, "p2")])
    feed_once(store, Log().publish)
    store.insert_events([event(3)])
    before = {s.event.event_id: s.published for s in store.stored_events(None, 0, EVER_US)}
    log = Log()
    assert feed_history(store, "p1", log.publish) == 2
    assert sorted(log.ids) == ["e00001", "e00003"]
    after = {s.event.event_id: s.published for s in store.stored_events(None, 0, EVER_US)}
    assert after["e00001"] == before["e00001"]
    assert after["e00003"] is not None


def _feed_until(
    store: Store, publish: Callable[[ClinicalEvent], tuple[int, int, int]], stop: threading.Event
) -> threading.Thread:
    thread = threading.Thread(
        target=run_feed, args=(store, publish, stop.is_set), kwargs={"poll_s": 0.2}
    )
    thread.start()
    return thread


def test_the_running_feed_loses_nothing_of_many_interleaved_writers_and_a_restart(
    store: Store, database_dsn: str
) -> None:
    log, stop, done = Log(), threading.Event(), threading.Event()

    def publish(published: ClinicalEvent) -> tuple[int, int, int]:
        position = log.publish(published)
        if len(set(log.ids)) == 400:
            done.set()
        return position

    def write(writer: int) -> None:
        with Store.connect(database_dsn) as own:
            for n in range(10):
                ids = range(writer * 100 + n * 10, writer * 100 + n * 10 + 10)
                own.insert_events([event(i, f"p{writer}") for i in ids])

    feed = _feed_until(store, publish, stop)
    writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for writer in writers:
        writer.start()
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'vigil' AND datname = current_database()"
        )
    for writer in writers:
        writer.join()
    finished = done.wait(30)
    stop.set()
    feed.join()
    assert finished, f"{len(set(log.ids))} of 400 published"
    assert store.unpublished(10) == []


def test_a_running_feed_waits_out_the_broker_and_stops_for_a_missing_schema(
    store: Store, empty_database_dsn: str
) -> None:
    store.insert_events([event(1)])
    log, pauses, stop = Log(broken_after=0), [], threading.Event()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        log.broken_after = None

    def publish(published: ClinicalEvent) -> tuple[int, int, int]:
        position = log.publish(published)
        stop.set()
        return position

    assert run_feed(store, publish, stop.is_set, 0.5, pause) == 1
    assert pauses == [0.5]
    with psycopg.connect(empty_database_dsn, autocommit=True) as admin:
        admin.execute("DROP TABLE clinical_events CASCADE")
    with pytest.raises(StoreError, match="run `vigil init`"):
        run_feed(store, publish, lambda: False)


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
        "event_id": "e00001",
        "version": 1,
        "status": "final",
        "partition": None,
        "offset": None,
    }
