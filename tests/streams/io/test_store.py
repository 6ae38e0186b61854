"""The store: what is written comes back, once; on TimescaleDB and plain PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_rows import Published, ScoreRecord
from tests.fixtures_database import BASE_US, DAY_US, EVER_US, alert, event, feature


@pytest.mark.database
def test_events_come_back_equal_to_the_microsecond(any_store: Store) -> None:
    events = [
        event(1),
        event(2, value=None, text='note "quoted", ünïcode\nsecond line\t\\N'),
        event(3, event_time_us=946_684_800_000_000, known_time_us=4_102_444_799_999_999),
        event(4, status="cancelled", version=7),
    ]
    assert any_store.insert_events(events) == 4
    found = list(any_store.events(None, 0, EVER_US))
    assert sorted(found, key=lambda e: e.event_id) == events


@pytest.mark.database
def test_ten_thousand_events_inserted_twice_are_stored_once(any_store: Store) -> None:
    events = [event(n, f"p{n % 37}") for n in range(10_000)]
    assert any_store.insert_events(events) == 10_000
    assert any_store.insert_events(events) == 0
    assert any_store.counts()["clinical_events"] == 10_000


@pytest.mark.database
def test_writers_of_the_same_events_at_once_store_each_once(
    any_store: Store, any_edition_dsn: str
) -> None:
    """Some with another time under the same id: the first stays, nobody fails."""

    def write(writer: int) -> int:
        moved = [event(n, event_time_us=event(n + 7 * writer).event_time_us) for n in range(50)]
        rows = [*moved, *(event(n) for n in range(50, 1_500))]
        with Store.connect(any_edition_dsn) as own:
            return sum(own.insert_events(rows[at : at + 100]) for at in range(0, 1_500, 100))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 1_500
    assert any_store.counts()["clinical_events"] == 1_500
    assert any_store.feed.backlog().rows == 1_500
    assert len(list(any_store.events(None, 0, EVER_US))) == 1_500


@pytest.mark.database
def test_of_equal_keys_in_one_batch_the_first_row_wins(any_store: Store) -> None:
    assert any_store.insert_events([event(1, value=1.0), event(1, value=2.0)]) == 1
    assert [e.value for e in any_store.events(None, 0, EVER_US)] == [1.0]


@pytest.mark.database
def test_changed_names_only_events_with_other_content(any_store: Store) -> None:
    any_store.insert_events([event(1), event(2), event(3, value=None, text="a")])
    again = [event(1), event(2, value=62.0), event(3, value=None, text="a"), event(4)]
    assert any_store.changed(again) == {"e000002"}
    assert any_store.changed([]) == set()


@pytest.mark.database
def test_outputs_are_written_once_by_their_keys(any_store: Store) -> None:
    features = [feature(n) for n in range(3)]
    score = ScoreRecord("p1", "news2", "news2/1", 1, BASE_US, BASE_US, 0, 5.0, b"{}")
    scores = [score, score._replace(model="news2/2"), score._replace(value=None, revision=1)]
    alerts = [alert(n) for n in range(4)]
    written = (3, 3, 4)
    for expected in (written, (0, 0, 0)):
        assert any_store.write_features(features) == expected[0]
        assert any_store.write_scores(scores) == expected[1]
        assert any_store.write_alerts(alerts) == expected[2]
    assert any_store.write_alerts([]) == 0


@pytest.mark.database
def test_json_records_can_be_queried(store: Store, database_dsn: str) -> None:
    store.write_features([feature(0, '{"values": {"ecg_hr_bpm": 61.5, "µ": "°C"}}'.encode())])
    with psycopg.connect(database_dsn) as connection:
        found = connection.execute(
            "SELECT (record->'values'->>'ecg_hr_bpm')::float8, record->'values'->>'µ', "
            "(extract(epoch FROM end_time) * 1000000)::int8 FROM features"
        ).fetchone()
    assert found == (61.5, "°C", BASE_US)


@pytest.mark.database
def test_known_time_is_never_null(database_dsn: str) -> None:
    with (
        psycopg.connect(database_dsn) as connection,
        pytest.raises(psycopg.errors.NotNullViolation),
    ):
        connection.execute(
            "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, "
            "event_time) VALUES ('e', 1, 'final', 'p', 'hr', now())"
        )


@pytest.mark.database
def test_effective_known_time_is_the_later_of_known_and_append(any_store: Store) -> None:
    """Known at 10; appended at 30, at 5, or not yet: usable from 30, 10 and 10."""
    known_us = BASE_US + 10
    events = [event(n, event_time_us=BASE_US, known_time_us=known_us) for n in range(3)]
    any_store.insert_events(events)
    any_store.feed.mark(
        0,
        [
            Published("e000000", 1, BASE_US, 0, 2, BASE_US + 30),
            Published("e000001", 1, BASE_US, 0, 1, BASE_US + 5),
        ],
        done=True,
    )
    found = list(any_store.stored_events(None, 0, EVER_US))
    assert [(s.event.event_id, s.effective_known_us - BASE_US) for s in found] == [
        ("e000001", 10),
        ("e000002", 10),
        ("e000000", 30),
    ]
    inside = any_store.stored_events(None, BASE_US + 10, BASE_US + 30)
    assert [s.event.event_id for s in inside] == ["e000001", "e000002"]


@pytest.mark.database
def test_events_are_given_only_for_the_patients_asked_for(any_store: Store) -> None:
    any_store.insert_events([event(n, f"p{n}") for n in range(5)])
    found = any_store.events(["p1", "p3", "nobody"], 0, EVER_US)
    assert [e.patient_id for e in found] == ["p1", "p3"]
    assert list(any_store.events([], 0, EVER_US)) == []


@pytest.mark.database
def test_reading_goes_on_while_the_same_store_writes(any_store: Store) -> None:
    any_store.insert_events([event(n) for n in range(5_000)])
    reading = any_store.events(None, 0, EVER_US)
    first = next(reading)
    assert any_store.insert_events([event(9_999)]) == 1
    assert len([first, *reading]) == 5_000  # one snapshot: the new row is not in it


@pytest.mark.database
def test_old_chunks_and_partitions_are_dropped_whole(any_store: Store) -> None:
    any_store.write_features([feature(n) for n in range(5)])  # one a day
    assert any_store.drop_before("features", BASE_US + 2 * DAY_US) == 2
    assert any_store.counts()["features"] == 3
    with pytest.raises(ConfigError, match="no table over time is called 'alerts'"):
        any_store.drop_before("alerts", BASE_US)


@pytest.mark.database
def test_plain_postgresql_gets_partitions_on_demand_and_loses_no_row(
    empty_database_dsn: str,
) -> None:
    with Store.connect(empty_database_dsn) as store:
        store.migrate(extension=False)
        store.write_features([feature(n) for n in range(3)])
        store.write_features([feature(n) for n in range(100, 300)])  # too many days at once
        store.write_features([feature(n) for n in range(200, 210)])  # rows are in the default
        store.write_features([feature(n)._replace(window="300s") for n in range(200, 210)])
        assert store.counts()["features"] == 3 + 200 + 10
    with psycopg.connect(empty_database_dsn) as connection:
        parts = connection.execute(
            "SELECT relname, (SELECT count(*) FROM features WHERE tableoid = c.oid) "
            "FROM pg_class c JOIN pg_inherits ON inhrelid = c.oid "
            "WHERE inhparent = 'features'::regclass ORDER BY relname"
        ).fetchall()
    assert parts == [
        ("features_20231114", 1),
        ("features_20231115", 1),
        ("features_20231116", 1),
        ("features_default", 210),
    ]


@pytest.mark.database
def test_writers_that_need_the_same_partition_at_once_all_succeed(
    empty_database_dsn: str,
) -> None:
    with Store.connect(empty_database_dsn) as store:
        store.migrate(extension=False)

    def write(writer: int) -> int:
        rows = [feature(n)._replace(patient_id=f"p{writer}") for n in range(20)]
        with Store.connect(empty_database_dsn) as own:
            return sum(own.write_features([row]) for row in rows)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 80


@pytest.mark.database
def test_waiting_ends_when_another_session_inserts(store: Store, database_dsn: str) -> None:
    store.feed.heard(0.0)  # starts to listen
    assert not store.feed.heard(0.01)
    with Store.connect(database_dsn) as other:
        other.insert_events([event(1)])
    assert store.feed.heard(10.0)
