"""The database line and the store, on TimescaleDB and on plain PostgreSQL."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from streams.errors import ConfigError, StoreError
from streams.io.store import Store
from streams.io.store_rows import AlertRecord, FeatureRecord, Published, ScoreRecord
from streams.io.timescale import RefusedRows, RetrySpec
from streams.records import ClinicalEvent

BASE_US = 1_700_000_000_000_001  # odd, so that a float on the way would show
DAY_US = 86_400_000_000
EVER_US = 2**62
ONE_TRY = RetrySpec(attempts=1)


def event(number: int, patient_id: str = "p1", **changes: object) -> ClinicalEvent:
    fields: dict[str, object] = {
        "event_id": f"e{number:06d}",
        "version": 1,
        "status": "final",
        "patient_id": patient_id,
        "code": "hr",
        "value": 61.25,
        "unit": "/min",
        "text": "",
        "event_time_us": BASE_US + number * 1_000_003,
        "known_time_us": BASE_US + number * 1_000_003 + 60_000_001,
        "source": "ehr",
    }
    return ClinicalEvent(**{**fields, **changes})


def feature(number: int, record: bytes = b'{"values": {"ecg_hr_bpm": null}}') -> FeatureRecord:
    end_us = BASE_US + number * DAY_US
    return FeatureRecord("p1", "60s", end_us - 60_000_000, end_us, end_us + 1, 0, record)


def alert(number: int) -> AlertRecord:
    return AlertRecord("o1", number, "raised", "p1", "high", BASE_US, b'{"seq": 1}')


@pytest.mark.database
def test_migrating_again_changes_nothing(any_store: Store) -> None:
    any_store.insert_events([event(1)])
    edition = any_store.edition()
    assert any_store.migrate(extension=False) == edition
    assert any_store.schema_version() == 1
    assert any_store.counts() == {"clinical_events": 1, "features": 0, "scores": 0, "alerts": 0}


@pytest.mark.database
def test_two_migrations_at_once_both_succeed(empty_database_dsn: str) -> None:
    def migrate(_: int) -> str:
        with Store.connect(empty_database_dsn) as store:
            return store.migrate()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(migrate, range(4)))) == 1


@pytest.mark.database
def test_plain_postgresql_is_detected_on_a_server_that_has_timescale(
    empty_database_dsn: str,
) -> None:
    with Store.connect(empty_database_dsn) as store:
        assert store.migrate(extension=False) == "postgresql"
        assert store.edition() == "postgresql"


@pytest.mark.database
def test_time_tables_are_hypertables_where_the_extension_is(any_edition_dsn: str) -> None:
    with psycopg.connect(any_edition_dsn) as connection, Store.connect(any_edition_dsn) as store:
        kinds = connection.execute(
            "SELECT relname, relkind FROM pg_class WHERE relname IN "
            "('clinical_events', 'features', 'scores', 'alerts')"
        ).fetchall()
        over_time = "p" if store.edition() == "postgresql" else "r"
        assert {name: kind for name, kind in kinds if name != "alerts"} == dict.fromkeys(
            ("clinical_events", "features", "scores"), over_time
        )
        if over_time == "r":
            found = connection.execute(
                "SELECT hypertable_name FROM timescaledb_information.hypertables"
            ).fetchall()
            assert {row[0] for row in found} == {"clinical_events", "features", "scores"}


@pytest.mark.database
def test_a_newer_schema_is_refused(store: Store, database_dsn: str) -> None:
    with psycopg.connect(database_dsn) as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (99)")
    with pytest.raises(StoreError, match="schema version 99, this build knows 1") as caught:
        store.migrate()
    assert not caught.value.retriable


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
@pytest.mark.parametrize(
    "bad",
    [
        event(9, patient_id="nul\x00byte"),
        event(9, patient_id="\ud800"),
        event(9, event_id="x" * 10_000 + "".join(map(str, range(9_000)))),
        event(9, status="guessed"),
        event(9, value=float("nan")),
        event(9, value=float("-inf")),
        event(9, known_time_us=4_102_444_800_000_000),
        event(9, known_time_us=2**63 - 1 + 946_684_800_000_000),
        event(9, known_time_us=2**64),
        event(9, version=2**31),
    ],
    ids=[
        "nul",
        "surrogate",
        "10kB",
        "status",
        "nan",
        "inf",
        "2100",
        "infinity",
        "overflow",
        "version",
    ],
)
def test_a_row_the_schema_forbids_is_refused_and_named_by_no_value(
    store: Store, bad: ClinicalEvent
) -> None:
    with pytest.raises(RefusedRows) as caught:
        store.insert_events([event(1), bad])
    assert "clinical_events" in str(caught.value)
    assert "p1" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert store.counts()["clinical_events"] == 0
    assert store.insert_events([event(1)]) == 1


@pytest.mark.database
def test_known_time_is_never_null(database_dsn: str) -> None:
    with (
        psycopg.connect(database_dsn) as connection,
        pytest.raises(psycopg.errors.NotNullViolation),
    ):
        connection.execute(
            "INSERT INTO clinical_events (event_id, version, status, patient_id, code, event_time)"
            " VALUES ('e', 1, 'final', 'p', 'hr', now())"
        )


@pytest.mark.database
def test_unpublished_comes_in_known_order_until_marked(any_store: Store) -> None:
    late = event(1, known_time_us=BASE_US + DAY_US)
    early = event(2, known_time_us=BASE_US)
    any_store.insert_events([late, early])
    assert any_store.unpublished(10) == [early, late]
    assert any_store.unpublished(1) == [early]
    mark = Published("e000002", 1, early.event_time_us, 3, 7, BASE_US + 5)
    assert any_store.mark_published([mark]) == 1
    assert any_store.mark_published([mark._replace(offset=8)]) == 0
    assert any_store.unpublished(10) == [late]
    found = {s.event.event_id: s for s in any_store.stored_events(None, 0, EVER_US)}
    assert found["e000002"].published == mark
    assert found["e000001"].published is None


@pytest.mark.database
def test_effective_known_time_is_the_later_of_known_and_append(any_store: Store) -> None:
    """Known at 10; appended at 30, at 5, or not yet: usable from 30, 10 and 10."""
    known_us = BASE_US + 10
    events = [event(n, event_time_us=BASE_US, known_time_us=known_us) for n in range(3)]
    any_store.insert_events(events)
    any_store.mark_published(
        [
            Published("e000000", 1, BASE_US, 0, 2, BASE_US + 30),
            Published("e000001", 1, BASE_US, 0, 1, BASE_US + 5),
        ]
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


def _insert_until_in(store: Store, events: list[ClinicalEvent]) -> int:
    """Insert, again after every trouble that is said to pass; how often there was some."""
    for trouble in range(100):
        try:
            store.insert_events(events)
        except StoreError as fault:
            if not fault.retriable:
                raise
        else:
            return trouble
    return pytest.fail("the rows never went in")


@pytest.mark.database
def test_killed_connections_are_replaced_and_their_batches_repeated(
    any_store: Store, any_edition_dsn: str
) -> None:
    events = [event(n) for n in range(5_000)]
    killed = 0

    def kill() -> None:
        nonlocal killed
        with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
            while killed < 6:
                killed += admin.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name = 'vigil' AND datname = current_database() "
                    "AND backend_start < clock_timestamp() - interval '40 ms'"
                ).fetchone()[0]

    killer = threading.Thread(target=kill)
    killer.start()
    at = 0
    while killer.is_alive() or at < len(events):
        _insert_until_in(any_store, events[at % len(events) :][:100])
        at += 100
    killer.join()
    assert any_store.counts()["clinical_events"] == 5_000


@pytest.mark.database
def test_a_reader_whose_line_dies_says_so_instead_of_ending_early(
    store: Store, database_dsn: str
) -> None:
    store.insert_events([event(n) for n in range(10_000)])
    reading = store.events(None, 0, EVER_US)
    next(reading)
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'vigil' AND datname = current_database()"
        )
    with pytest.raises(StoreError, match="cannot read events") as caught:
        list(reading)
    assert caught.value.retriable


@pytest.mark.database
def test_a_deadlock_is_retried_until_the_rows_are_in(
    any_store: Store, any_edition_dsn: str
) -> None:
    """Another writer holds row 2 and then wants row 1, which the store inserted first."""
    one, two = alert(1), alert(2)
    insert = (
        "INSERT INTO alerts (occurrence_id, seq, phase, subject, priority, recorded_at, record) "
        "VALUES ('o1', %s, 'raised', 'p1', 'high', now(), '{}') ON CONFLICT DO NOTHING"
    )
    with psycopg.connect(any_edition_dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '10s'")  # so that the store is the victim
        other.execute(insert, (2,))
        writing = pool.submit(any_store.write_alerts, [one, two])
        with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
            _wait_until_blocked(admin)
        try:
            other.execute(insert, (1,))
            other.commit()
        except psycopg.errors.DeadlockDetected:
            other.rollback()
        writing.result(timeout=30)
    assert any_store.counts()["alerts"] == 2


def _wait_until_blocked(admin: psycopg.Connection[tuple[int]]) -> None:
    for _ in range(2_000):
        blocked = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND application_name = 'vigil' AND datname = current_database()"
        ).fetchone()
        if blocked is not None and blocked[0]:
            return
    pytest.fail("the store never waited for the other writer's lock")


@pytest.mark.database
def test_a_serialisation_failure_is_retried(database_dsn: str) -> None:
    """One row is changed by another transaction after the store's snapshot, once."""
    pauses: list[float] = []
    interfered = threading.Event()
    with Store(database_dsn, RetrySpec(attempts=3), pauses.append) as store:
        store.write_alerts([alert(1)])

        def work(connection: psycopg.Connection[tuple[object, ...]]) -> int:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                connection.execute("SELECT * FROM alerts").fetchall()
                if not interfered.is_set():
                    interfered.set()
                    with psycopg.connect(database_dsn) as other:
                        other.execute("UPDATE alerts SET phase = 'updated'")
                return connection.execute("UPDATE alerts SET phase = 'cleared'").rowcount

        assert store._line.run("update", work) == 1
    assert pauses == [0.1]


def test_no_server_gives_a_retriable_error_that_says_where() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = bound.getsockname()[1]
        dsn = f"postgresql://vigil:geheim@127.0.0.1:{port}/ward"
        with pytest.raises(StoreError, match=rf"127\.0\.0\.1:{port}/ward: cannot connect") as c:
            Store.connect(dsn, RetrySpec(attempts=2, first_s=0.01))
    assert c.value.retriable
    assert "geheim" not in str(c.value)


def test_the_pauses_between_attempts_double_up_to_a_limit() -> None:
    pauses: list[float] = []
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dsn = f"host=127.0.0.1 port={bound.getsockname()[1]} dbname=x"
        with pytest.raises(StoreError):
            Store(dsn, RetrySpec(5, 0.5, 2.0), pauses.append).counts()
    assert pauses == [0.5, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "dsn", ["postgresql://u:geheim@h/db?nonsense=1", "host=h geheim", "http://u:geheim@h/db"]
)
def test_an_address_that_cannot_be_read_is_not_quoted(dsn: str) -> None:
    with pytest.raises(ConfigError, match="database address cannot be read") as caught:
        Store.connect(dsn)
    assert "geheim" not in str(caught.value)


@pytest.mark.database
def test_a_missing_database_is_final_and_says_its_name(database_server: str) -> None:
    dsn = psycopg.conninfo.make_conninfo(database_server, dbname="no_such_ward")
    with pytest.raises(StoreError, match='database "no_such_ward" does not exist') as caught:
        Store.connect(dsn)
    assert not caught.value.retriable


@pytest.mark.database
def test_a_missing_schema_says_what_to_run(empty_database_dsn: str) -> None:
    with Store.connect(empty_database_dsn) as store:
        for call in (store.counts, lambda: store.insert_events([event(1)]), store.unpublished):
            with pytest.raises(StoreError, match="run `vigil init`") as caught:
                call(1) if call == store.unpublished else call()
            assert not caught.value.retriable


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
    store.wait_for_events(0.0)  # starts to listen
    assert not store.wait_for_events(0.01)
    with Store.connect(database_dsn) as other:
        other.insert_events([event(1)])
    assert store.wait_for_events(10.0)


def test_psycopg_is_imported_in_one_module_only() -> None:
    root = Path(__file__).resolve().parents[3]
    importers = {
        path.relative_to(root).as_posix()
        for package in ("streams", "features", "models", "alerts", "service")
        for path in (root / package).rglob("*.py")
        if "import psycopg" in path.read_text(encoding="utf-8")
        or "from psycopg" in path.read_text(encoding="utf-8")
    }
    assert importers == {"streams/io/timescale.py"}
