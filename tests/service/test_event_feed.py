"""The event feed on a real database: order, admission, late commits, crashes, one leader."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import psycopg
import pytest

from service.event_feed import EventFeed, FeedSpec
from streams.errors import BrokerError, StoreError
from streams.io.store import Store
from streams.io.store_people import Encounter
from streams.io.store_rows import Published
from streams.records import ClinicalEvent
from tests.fixtures_database import QUICK
from tests.service.feed_kit import (
    AT_ONCE,
    T_US,
    Clock,
    Log,
    event,
    feed_on,
    marks,
    until_nobody_leads,
)

pytestmark = pytest.mark.database


def test_each_event_goes_out_once_in_known_order_and_is_marked(any_store: Store) -> None:
    any_store.insert_events([event(n) for n in (3, 1, 2)])
    log = Log()
    feed = feed_on(any_store, log)
    assert feed.once() == 3
    assert feed.once() == 0
    assert log.ids == ["e00001", "e00002", "e00003"]
    assert log.rows[0][0] == event(1)
    append_us = log.rows[0][1]
    assert marks(any_store) == {
        f"e0000{n + 1}": Published(f"e0000{n + 1}", 1, T_US + n + 1, 0, n, append_us)
        for n in range(3)
    }


def test_corrections_and_cancellations_go_out_as_versions_of_their_own(any_store: Store) -> None:
    final = event(1)
    corrected = ClinicalEvent(
        "e00001", 2, "corrected", "p1", "hr", 70.0, "/min", "", T_US + 1, T_US + 9, "ehr"
    )
    any_store.insert_events([corrected, final])
    log = Log()
    feed = feed_on(any_store, log)
    assert feed.drain() == 2
    cancelled = ClinicalEvent(
        "e00001", 3, "cancelled", "p1", "hr", None, "/min", "", T_US + 7, T_US + 5, "ehr"
    )
    any_store.insert_events([cancelled])
    assert feed.drain() == 1
    assert [(row.version, row.status) for row, _ in log.rows] == [
        (1, "final"),
        (2, "corrected"),
        (3, "cancelled"),
    ]


def test_what_reached_the_log_before_the_broker_failed_is_found_not_sent_again(
    store: Store,
) -> None:
    """The broker takes the first two of five and dies without confirming any."""
    store.insert_events([event(n) for n in range(5)])
    log = Log()

    def half(events: Sequence[ClinicalEvent], append_us: int) -> None:
        log.rows += [(one, append_us) for one in events[:2]]
        raise BrokerError("no acknowledgement")

    log.broken = half
    feed = feed_on(store, log)
    with pytest.raises(BrokerError):
        feed.once()
    log.broken = None
    assert feed.drain() == 3
    assert log.ids == [f"e{n:05d}" for n in range(5)]
    found = marks(store)
    assert [found[f"e{n:05d}"].offset for n in range(5)] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    assert found["e00000"].append_us < found["e00002"].append_us  # type: ignore[union-attr]


def test_a_crash_between_the_log_and_the_mark_leaves_one_copy(
    any_store: Store, any_edition_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    any_store.insert_events([event(1), event(2)])
    log = Log()
    with Store.connect(any_edition_dsn, QUICK) as dying, monkeypatch.context() as patched:

        def die(*_: object, **__: object) -> int:
            raise KeyboardInterrupt

        patched.setattr(dying.feed, "mark", die)
        with pytest.raises(KeyboardInterrupt):
            feed_on(dying, log).once()
    assert len(log.rows) == 2
    until_nobody_leads(any_store)
    any_store.insert_events([event(3)])
    assert feed_on(any_store, log).drain() == 1
    assert log.ids == ["e00001", "e00002", "e00003"]
    found = marks(any_store)
    assert found["e00001"] == Published("e00001", 1, T_US + 1, 0, 0, log.rows[0][1])


def test_a_new_leader_waits_until_what_the_old_one_sent_has_settled(
    store: Store, database_dsn: str
) -> None:
    store.insert_events([event(1)])
    pauses: list[float] = []
    with Store.connect(database_dsn, QUICK) as old:
        lead = old.feed.lead()
        assert lead is not None
        assert old.feed.claim(lead.epoch, T_US + 3_600_000_000)
    until_nobody_leads(store)
    log = Log()
    feed = EventFeed(store, log, FeedSpec(settle_s=20.0), Clock(), pauses.append)
    assert feed.drain() == 1
    assert pauses == [19.0]
    assert log.searched == [T_US + 3_600_000_000]


def test_a_mark_that_failed_is_repeated_without_searching_the_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert_events([event(1)])
    log = Log()
    feed = feed_on(store, log)
    with monkeypatch.context() as patched:

        def away(*_: object, **__: object) -> int:
            raise StoreError("database away")

        patched.setattr(store.feed, "mark", away)
        with pytest.raises(StoreError):
            feed.once()
    assert feed.drain() == 0
    assert log.searched == []
    assert marks(store)["e00001"] == Published("e00001", 1, T_US + 1, 0, 0, log.rows[0][1])


def test_one_feed_publishes_and_the_other_stands_by_until_it_is_gone(
    store: Store, database_dsn: str
) -> None:
    log = Log()
    second = feed_on(store, log)
    with Store.connect(database_dsn, QUICK) as other:
        first = feed_on(other, log)
        store.insert_events([event(1)])
        assert first.once() == 1
        store.insert_events([event(2)])
        assert second.once() == 0
        assert first.once() == 1
    until_nobody_leads(store)
    store.insert_events([event(3)])
    assert second.once() == 1
    assert log.ids == ["e00001", "e00002", "e00003"]


def test_a_leader_that_lost_its_line_and_was_replaced_publishes_nothing(
    store: Store, database_dsn: str
) -> None:
    log = Log()
    first = feed_on(store, log)
    store.insert_events([event(1)])
    assert first.once() == 1
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'vigil' AND datname = current_database()"
        )
    with Store.connect(database_dsn, QUICK) as other:
        until_nobody_leads(other)
        second = feed_on(other, log)
        other.insert_events([event(2)])
        assert second.once() == 1
        other.insert_events([event(3)])
        assert first.once() == 0
        assert second.once() == 1
    assert log.ids == ["e00001", "e00002", "e00003"]


def test_a_transaction_that_commits_late_is_not_passed_by(
    any_store: Store, any_edition_dsn: str
) -> None:
    """Two interleaved transactions: the first to insert is the last to commit."""
    log = Log()
    feed = feed_on(any_store, log)
    any_store.insert_events([event(0)])  # the chunk is there: making one is serialised
    feed.once()
    insert = (
        "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, value, "
        "unit, event_time, known_time) VALUES (%s, 1, 'final', 'p1', 'hr', 60, '/min', "
        "'2024-03-01T10:00Z', '2024-03-01T10:00Z')"
    )
    with (
        psycopg.connect(any_edition_dsn) as slow,
        psycopg.connect(any_edition_dsn) as fast,
    ):
        slow.execute(insert, ("e-slow-1",))
        fast.execute(insert, ("e-fast",))
        slow.execute(insert, ("e-slow-2",))
        fast.commit()
        assert feed.drain() == 1
        slow.commit()
    assert feed.drain() == 2
    assert log.ids == ["e00000", "e-fast", "e-slow-1", "e-slow-2"]


def test_a_row_that_was_rolled_back_never_goes_out(store: Store, database_dsn: str) -> None:
    log = Log()
    with psycopg.connect(database_dsn) as connection:
        connection.execute(
            "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, unit, "
            "event_time, known_time) VALUES ('e', 1, 'final', 'p1', 'hr', '', now(), now())"
        )
        assert feed_on(store, log).drain() == 0
        connection.rollback()
    assert feed_on(store, log).drain() == 0
    assert store.feed.backlog().rows == 0


def test_a_patients_history_goes_before_its_news_and_no_backlog_before_news(
    any_store: Store,
) -> None:
    """`new` has history and a result of now; `old` has much history only."""
    now_us = any_store.now_us()
    history = [event(n, "old") for n in range(50)] + [event(n, "new") for n in range(50, 60)]
    any_store.insert_events(history)
    any_store.insert_events([event(99, "new", known_us=now_us)])
    log = Log()
    feed = feed_on(any_store, log, AT_ONCE._replace(rows=20))
    assert feed.drain() == 61
    patients = [row.patient_id for row, _ in log.rows]
    assert patients == ["new"] * 11 + ["old"] * 50
    for patient in ("new", "old"):
        own = [row.known_time_us for row, _ in log.rows if row.patient_id == patient]
        assert own == sorted(own)


def test_years_of_one_patients_history_hold_up_no_other_patients_news(store: Store) -> None:
    now_us = store.now_us()
    store.insert_events([event(n, "long") for n in range(1_000)])
    store.insert_events([event(2_000, "long", now_us), event(2_001, "short", now_us + 1)])
    log = Log()
    feed = feed_on(store, log, AT_ONCE._replace(rows=100))
    feed.once()
    assert "short" in {row.patient_id for row, _ in log.rows}
    feed.drain()
    own = [row.known_time_us for row, _ in log.rows if row.patient_id == "long"]
    assert own == sorted(own)
    assert len(log.rows) == 1_002


def test_when_only_the_admitted_are_served_the_rest_waits_for_admission(any_store: Store) -> None:
    now_us = any_store.now_us()
    any_store.people.write_encounters([Encounter("v1", "in", now_us - 1)])
    any_store.insert_events([event(n, "in") for n in range(3)])
    any_store.insert_events([event(n, "out") for n in range(10, 13)])
    any_store.insert_events([event(20, "out", now_us)])
    log = Log()
    feed = feed_on(any_store, log, AT_ONCE._replace(admitted_only=True))
    assert feed.drain() == 3
    any_store.people.write_encounters([Encounter("v2", "out", now_us - 1)])
    assert feed.drain() == 4
    assert log.ids[3:] == ["e00010", "e00011", "e00012", "e00020"]


def test_an_admission_wakes_the_feed(store: Store, database_dsn: str) -> None:
    store.feed.heard(0.0)
    with Store.connect(database_dsn, QUICK) as other:
        other.people.write_encounters([Encounter("v1", "p1", T_US)])
    assert store.feed.heard(10.0)


def test_positions_are_forgotten_for_a_new_log(store: Store) -> None:
    store.insert_events([event(1), event(2, "p2")])
    log = Log()
    feed = feed_on(store, log)
    feed.drain()
    assert store.feed.again(["p2"]) == 1
    assert feed.drain() == 1
    assert log.ids == ["e00001", "e00002", "e00002"]
    assert store.feed.again() == 2


def run_until(store: Store, log: Log, stop: threading.Event) -> threading.Thread:
    spec = AT_ONCE._replace(poll_s=0.2)
    thread = threading.Thread(target=EventFeed(store, log, spec).run, args=(stop.is_set,))
    thread.start()
    return thread


def test_nothing_of_many_interleaved_writers_is_lost_or_doubled_while_lines_are_cut(
    any_store: Store, any_edition_dsn: str
) -> None:
    log, stop = Log(), threading.Event()

    def write(writer: int) -> None:
        with Store.connect(any_edition_dsn, QUICK) as own:
            for n in range(10):
                ids = range(writer * 100 + n * 10, writer * 100 + n * 10 + 10)
                own.insert_events([event(i, f"p{writer}") for i in ids])

    feed = run_until(any_store, log, stop)
    writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for writer in writers:
        writer.start()
    with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
        for _ in range(5):
            admin.execute(
                "SELECT pg_terminate_backend(pid), pg_sleep(0.05) FROM pg_stat_activity "
                "WHERE application_name = 'vigil' AND datname = current_database()"
            )
    for writer in writers:
        writer.join()
    waited = threading.Event()
    for _ in range(300):
        if len(log.rows) >= 400:
            break
        waited.wait(0.1)
    stop.set()
    feed.join()
    assert sorted(log.ids) == [f"e{n:05d}" for n in range(400)], "each once"
    feed_on(any_store, log).drain()
    found = marks(any_store)
    assert any_store.feed.backlog().rows == 0
    for offset, (row, append_us) in enumerate(log.rows):
        mark = found[row.event_id]
        assert mark is not None
        assert (mark.offset, mark.append_us) == (offset, append_us)


def test_a_running_feed_waits_out_the_broker_and_stops_for_a_missing_schema(
    store: Store, database_dsn: str
) -> None:
    store.insert_events([event(1)])
    log, stop, pauses = Log(), threading.Event(), list[float]()

    def away(*_: object) -> None:
        raise BrokerError("away")

    log.broken = away

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        log.broken = lambda *_: stop.set()

    feed = EventFeed(store, log, AT_ONCE, Clock(), pause)
    assert feed.run(stop.is_set) == 1
    assert pauses == [0.5]
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute("DROP TABLE event_feed CASCADE")
    with pytest.raises(StoreError, match="run `vigil init`"):
        feed.run(lambda: False)
