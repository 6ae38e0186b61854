"""Numbered migrations: once each, never edited, and every row of version 1 survives."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import psycopg
import pytest

from streams.errors import StoreError
from streams.io.migrate import SCHEMA_VERSION, Migration, migrate, migrations
from streams.io.store import Store
from tests.fixtures_database import EVER_US, QUICK, event

Rows = list[tuple[object, ...]]


def test_the_numbers_run_from_one_to_the_schema_version() -> None:
    assert [step.version for step in migrations()] == list(range(1, SCHEMA_VERSION + 1))
    assert len({step.name for step in migrations()}) == SCHEMA_VERSION


def test_a_checksum_does_not_depend_on_line_ends() -> None:
    unix = Migration(1, "a", "SELECT 1;\nSELECT 2;\n")
    assert unix.checksum == unix._replace(sql="SELECT 1;\r\nSELECT 2;\r\n").checksum
    assert unix.checksum != unix._replace(sql="SELECT 1;\nSELECT 3;\n").checksum


@pytest.fixture(params=["timescaledb", "postgresql"])
def connection(
    request: pytest.FixtureRequest, empty_database_dsn: str
) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A new database, with the extension where it is asked for and can be had."""
    with psycopg.connect(empty_database_dsn, autocommit=True) as opened:
        if request.param == "timescaledb":
            try:
                opened.execute("SET client_min_messages = error")
                opened.execute("CREATE EXTENSION timescaledb")
            except psycopg.Error:
                pytest.skip("this server has no TimescaleDB: the plain half of the test runs")
        yield opened


def ask(connection: psycopg.Connection[tuple[object, ...]], query: str) -> Rows:
    return connection.execute(query).fetchall()


def schema_of(connection: psycopg.Connection[tuple[object, ...]]) -> Rows:
    """Every table, column, index, constraint, trigger and function of the public schema."""
    return ask(
        connection,
        "SELECT 'c', table_name, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = 'public' "
        "UNION ALL SELECT 'i', tablename, indexname, indexdef, '', '' FROM pg_indexes "
        "WHERE schemaname = 'public' "
        "UNION ALL SELECT 'k', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace "
        "UNION ALL SELECT 't', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', '' "
        "FROM pg_trigger WHERE NOT tgisinternal "
        "UNION ALL SELECT 'f', proname, prosrc, '', '', '' FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'vigil%' ORDER BY 1, 2, 3, 4",
    )


@pytest.mark.database
def test_every_file_may_run_twice_and_changes_nothing_the_second_time(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    connection.execute("SET client_min_messages = warning")
    for step in migrations():
        connection.execute(step.sql.encode())
        before = schema_of(connection)
        connection.execute(step.sql.encode())
        assert schema_of(connection) == before, step.name


@pytest.mark.database
def test_an_edited_migration_is_refused_loudly(empty_database_dsn: str) -> None:
    with Store.connect(empty_database_dsn, QUICK) as store:
        store.migrate()
    edited = [*migrations()]
    edited[1] = edited[1]._replace(sql=edited[1].sql + "\nSELECT 1;")
    with (
        psycopg.connect(empty_database_dsn, autocommit=True) as opened,
        pytest.raises(StoreError, match=r"migration 0002_event_feed\.sql is not the one") as caught,
    ):
        migrate(opened, steps=edited)
    assert not caught.value.retriable


@pytest.mark.database
def test_a_migration_that_fails_leaves_the_schema_as_it_was(empty_database_dsn: str) -> None:
    with Store.connect(empty_database_dsn, QUICK) as store:
        store.migrate()
    broken = Migration(SCHEMA_VERSION + 1, "broken", "CREATE TABLE half (); SELECT 1 / 0;")
    with psycopg.connect(empty_database_dsn, autocommit=True) as opened:
        before = schema_of(opened)
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate(opened, steps=[*migrations(), broken])
        assert schema_of(opened) == before
    with Store.connect(empty_database_dsn, QUICK) as store:
        assert store.schema_version() == SCHEMA_VERSION


def version_1(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """The schema as 0.1.0 made it, with facts: two on the log, two not, one id twice."""
    schema = resources.files("streams.io").joinpath("migrations", "0001_spine.sql")
    connection.execute(schema.read_text("utf-8").encode())
    insert = (
        "INSERT INTO clinical_events (event_id, version, status, patient_id, code, value, unit, "
        "text, event_time, known_time, source, published_append_us, published_partition, "
        "published_offset) VALUES "
    )
    connection.execute(
        insert
        + """
        ('e1', 1, 'final', 'p1', 'hr', 61.25, '/min', '', '2024-03-01 10:00:00.000001Z',
            '2024-03-01 10:01Z', 'ehr', 1709287300000001, 3, 17),
        ('e1', 2, 'corrected', 'p1', 'hr', 71.25, '/min', '', '2024-03-01 10:00:00.000001Z',
            '2024-03-01 11:01Z', 'ehr', 1709297300000001, 3, 18),
        ('e2', 1, 'final', 'p2', 'note', NULL, '', 'ünïcode "x"', '2023-01-01 10:00Z',
            '2024-03-01 10:01Z', 'ehr', NULL, NULL, NULL),
        ('e3', 1, 'cancelled', 'p2', 'lactate', NULL, '', '', '2024-02-01 10:00Z',
            '2024-03-02 10:01Z', 'lab', NULL, NULL, NULL),
        ('twice', 1, 'final', 'p3', 'hr', 1, '/min', '', '2024-03-01 10:00Z',
            '2024-03-01 10:01Z', 'ehr', NULL, NULL, NULL),
        ('twice', 1, 'final', 'p3', 'hr', 2, '/min', '', '2024-03-01 11:00Z',
            '2024-03-01 11:01Z', 'ehr', 1709297300000002, 4, 1)
        """
    )
    connection.execute(
        "INSERT INTO features (patient_id, window_name, start_time, end_time, known_time, revision,"
        " record) VALUES ('p1', '60s', '2024-03-01Z', '2024-03-01 00:01Z', '2024-03-01 00:01Z', 0,"
        " '{\"a\": 1}')"
    )
    connection.execute(
        "INSERT INTO scores (patient_id, scorer, model, start_time, end_time, known_time, revision,"
        " value, record) VALUES ('p1', 'news2', 'news2/1', '2024-03-01Z', '2024-03-01 00:01Z', "
        "'2024-03-01 00:01Z', 0, 5, '{}')"
    )
    connection.execute(
        "INSERT INTO alerts (occurrence_id, seq, phase, subject, priority, recorded_at, record) "
        "VALUES ('o1', 1, 'raised', 'p1', 'high', '2024-03-01Z', '{}')"
    )


@pytest.mark.database
def test_version_1_becomes_the_new_layout_without_losing_a_row(
    connection: psycopg.Connection[tuple[object, ...]], empty_database_dsn: str
) -> None:
    version_1(connection)
    outputs = {
        table: ask(connection, f"SELECT t::text FROM {table} t ORDER BY 1")
        for table in ("features", "scores", "alerts")
    }
    with Store.connect(empty_database_dsn, QUICK) as store:
        assert store.schema_version() == 1
        store.migrate(extension=False)
        assert store.schema_version() == SCHEMA_VERSION
        found = list(store.stored_events(None, 0, EVER_US))
        waiting = [row.event_id for row in store.feed.waiting(10)]
        kept = store.quarantine.rows()
        assert store.insert_events([event(1)]) == 1
    stored = {(row.event.event_id, row.event.version): row for row in found}
    assert set(stored) == {("e1", 1), ("e1", 2), ("e2", 1), ("e3", 1), ("twice", 1)}
    first = stored["e1", 1]
    assert (first.event.value, first.event.code) == (61.25, "hr")
    assert first.event.event_time_us == 1_709_287_200_000_001
    assert first.published is not None
    assert (first.published.partition, first.published.offset) == (3, 17)
    assert first.effective_known_us == 1_709_287_300_000_001
    assert stored["e2", 1].event.text == 'ünïcode "x"'
    assert stored["twice", 1].event.value == 2, "the one that is on the log"
    assert waiting == ["e2", "e3"]
    assert [(row.reason, row.coding) for row in kept] == [("conflict", "hr")]
    assert b'"value": 1' in kept[0].original
    for table, rows in outputs.items():
        assert ask(connection, f"SELECT t::text FROM {table} t ORDER BY 1") == rows
    checksums = dict(ask(connection, "SELECT version, checksum FROM schema_version"))
    assert checksums == {step.version: step.checksum for step in migrations()}


@pytest.mark.database
def test_an_upgraded_schema_is_the_schema_of_a_new_database(
    connection: psycopg.Connection[tuple[object, ...]],
    empty_database_dsn: str,
    database_server: str,
) -> None:
    version_1(connection)
    with Store.connect(empty_database_dsn, QUICK) as store:
        edition = store.migrate(extension=False)
    upgraded = schema_of(connection)
    name = f"{psycopg.conninfo.conninfo_to_dict(empty_database_dsn)['dbname']}_new"
    with psycopg.connect(database_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            dsn = psycopg.conninfo.make_conninfo(database_server, dbname=name)
            with Store.connect(dsn, QUICK) as store:
                assert store.migrate(extension=edition != "postgresql") == edition
            with psycopg.connect(dsn) as fresh:
                assert schema_of(fresh) == upgraded
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
