"""The database line: schema, errors, retry; on TimescaleDB and plain PostgreSQL."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from streams.errors import ConfigError, StoreError
from streams.io.migrate import SCHEMA_VERSION
from streams.io.store import Store
from streams.io.timescale import RefusedRows, RetrySpec
from streams.records import ClinicalEvent
from tests.fixtures_database import EVER_US, alert, event


@pytest.mark.database
def test_migrating_again_changes_nothing(any_store: Store) -> None:
    any_store.insert_events([event(1)])
    edition = any_store.edition()
    assert any_store.migrate(extension=False) == edition
    assert any_store.schema_version() == SCHEMA_VERSION
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
    with pytest.raises(
        StoreError, match=f"schema version 99, this build knows {SCHEMA_VERSION}"
    ) as caught:
        store.migrate()
    assert not caught.value.retriable


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
        for call in (
            store.counts,
            lambda: store.insert_events([event(1)]),
            lambda: store.feed.waiting(1),
        ):
            with pytest.raises(StoreError, match="run `vigil init`") as caught:
                call()
            assert not caught.value.retriable


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
