"""Least rights in the database: each role can do its work and nothing beside it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import conninfo

from service.event_feed import EventFeed, FeedSpec
from streams.errors import StoreError
from streams.io.store import Store
from streams.io.store_access import Access
from streams.io.store_people import DeviceLink, Encounter
from streams.io.store_quarantine import QuarantineRecord, Selection
from streams.io.store_rows import EXTENSION_SQL, ScoreRecord
from tests.fixtures_database import BASE_US, DAY_US, QUICK, alert, event, feature
from tests.fixtures_services import wait_until
from tests.service.feed_kit import Log

pytestmark = pytest.mark.database

Login = Callable[[str], str]
TABLES = (
    "clinical_events",
    "features",
    "scores",
    "alerts",
    "event_feed",
    "feed_state",
    "event_quarantine",
    "patients",
    "encounters",
    "devices",
    "device_links",
    "retention",
    "monitored",
    "access_log",
)


@pytest.fixture
def login(any_edition_dsn: str) -> Iterator[Login]:
    """Address of the database for a new login that has one role."""
    made: list[str] = []

    def make(role: str) -> str:
        name = f"vigil_test_{role}_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN IN ROLE vigil_{role}")
        made.append(name)
        return conninfo.make_conninfo(any_edition_dsn, user=name)

    yield make
    with psycopg.connect(any_edition_dsn, autocommit=True) as admin:
        for name in made:
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


def denied(dsn: str, *statements: str) -> None:
    for statement in statements:
        with (
            psycopg.connect(dsn, autocommit=True) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_a_writer_does_everything_that_importer_feed_and_sink_do(login: Login) -> None:
    with Store.connect(login("writer"), QUICK) as store:
        assert store.insert_events([event(n) for n in range(40)]) == 40
        assert store.store_events([event(1, value=2.0)]).changed == ("e000001",)
        log = Log()
        assert EventFeed(store, log, FeedSpec(settle_s=0.0)).drain() == 40
        assert store.feed.again(["p1"]) == 40
        assert store.write_features([feature(n) for n in range(3)]) == 3
        assert store.write_scores([ScoreRecord("p1", "n", "m", 1, BASE_US, BASE_US, 0, 5.0, b"{}")])
        assert store.write_alerts([alert(1)]) == 1
        store.people.write_encounters([Encounter("v1", "p1", BASE_US)])
        store.people.write_encounters([Encounter("v1", "p1", BASE_US, BASE_US + 1)])
        store.people.link([DeviceLink("d1", "p1", BASE_US, encounter_id="v1")])
        assert store.people.unlink("d1", BASE_US + 5)
        assert store.quarantine.add([QuarantineRecord("k", "bad_unit", b"{}")]) == 1
        assert store.quarantine.map(Selection(), "hr", "/min", "who") == 1
        assert store.upkeep() == {}
        assert len(list(store.events(None, 0, 2**62))) == 40


def test_a_writer_rewrites_no_fact_drops_nothing_and_makes_no_table(login: Login) -> None:
    dsn = login("writer")
    with Store.connect(dsn, QUICK) as store:
        store.insert_events([event(1)])
    denied(
        dsn,
        "UPDATE clinical_events SET value = 1",
        "DELETE FROM clinical_events",
        "TRUNCATE clinical_events",
        "UPDATE event_feed SET patient_id = 'x'",
        "DELETE FROM event_feed",
        "DELETE FROM alerts",
        "UPDATE device_links SET patient_id = 'x'",
        "UPDATE retention SET keep = interval '1 second'",
        "INSERT INTO access_log (actor, action) VALUES ('a', 'b')",
        "SELECT * FROM access_log",
        "DROP TABLE alerts",
        "ALTER TABLE clinical_events DISABLE TRIGGER vigil_events",
        "CREATE TABLE mine (a int)",
    )
    with Store.connect(dsn, QUICK) as store, pytest.raises(StoreError):
        store.drop_before("clinical_events", BASE_US + 900 * DAY_US)


def test_a_reader_asks_the_functions_and_reaches_no_table_and_no_chunk(
    login: Login, any_edition_dsn: str
) -> None:
    with Store.connect(any_edition_dsn, QUICK) as store:
        store.insert_events([event(1), event(2, "p2")])
        store.write_features([feature(1)])
        store.write_alerts([alert(1)])
    reader = login("reader")
    with psycopg.connect(reader) as connection:

        def ask(query: str) -> list[tuple[object, ...]]:
            return connection.execute(query).fetchall()

        assert ask("SELECT event_id FROM vigil_known('2099-01-01Z', '{p1}')") == [("e000001",)]
        assert ask("SELECT value FROM vigil_in_force('2099-01-01Z', '2099-01-01Z', '{p2}')") == [
            (61.25,)
        ]
        ever = "'2000-01-01Z', '2099-01-01Z'"
        assert len(ask(f"SELECT * FROM vigil_features('{{p1}}', '{{60s}}', {ever})")) == 1
        assert ask(f"SELECT * FROM vigil_scores('{{p1}}', '{{news2}}', {ever})") == []
        assert len(ask(f"SELECT * FROM vigil_alerts('{{p1}}', {ever})")) == 1
    denied(reader, *(f"SELECT * FROM {table}" for table in TABLES))
    denied(reader, *(f"SELECT * FROM {chunk}" for chunk in chunks(any_edition_dsn)))
    denied(
        reader,
        "SELECT vigil_upkeep()",
        "SELECT vigil_make_partitions('features', 'end_time', 'day', '{2024-01-01Z}')",
        "INSERT INTO clinical_events (event_id) VALUES ('x')",
    )


def chunks(dsn: str) -> list[str]:
    """Every chunk or partition that holds rows of facts and features, by its full name."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent IN ('clinical_events'::regclass, 'features'::regclass)"
        ).fetchall()
    assert len(found) >= 2
    return [str(row[0]) for row in found]


def test_a_chunk_that_is_made_after_the_roles_is_as_closed_as_the_others(
    login: Login, any_edition_dsn: str
) -> None:
    reader, writer = login("reader"), login("writer")
    before = set()
    with Store.connect(writer, QUICK) as store:
        store.insert_events([event(1)])
        before |= set(chunks_of(any_edition_dsn))
        store.insert_events([event(2, event_time_us=BASE_US + 400 * DAY_US)])
    new = set(chunks_of(any_edition_dsn)) - before
    assert new
    denied(reader, *(f"SELECT * FROM {chunk}" for chunk in sorted(new)))
    denied(writer, *(f"DELETE FROM {chunk}" for chunk in sorted(new)))


def chunks_of(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [
            str(row[0])
            for row in connection.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits "
                "WHERE inhparent = 'clinical_events'::regclass"
            )
        ]


def test_a_reader_cannot_bend_the_functions_to_tables_of_its_own(
    login: Login, any_edition_dsn: str
) -> None:
    """A temporary table of the same name must not be what the owner's function reads."""
    with Store.connect(any_edition_dsn, QUICK) as store:
        store.insert_events([event(1)])
    with psycopg.connect(login("reader")) as connection:
        connection.execute("CREATE TEMP TABLE clinical_events (event_id text)")
        connection.execute("CREATE TEMP TABLE event_feed (event_id text)")
        found = connection.execute("SELECT event_id FROM vigil_known('2099-01-01Z')").fetchall()
    assert found == [("e000001",)]


def test_an_auditor_adds_rows_and_sees_none(login: Login) -> None:
    dsn = login("audit")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO access_log (actor, action, patient_id) VALUES ('nurse', 'view', 'p1')"
        )
    denied(
        dsn,
        "SELECT * FROM access_log",
        "UPDATE access_log SET actor = 'x'",
        "DELETE FROM access_log",
        "INSERT INTO access_log (actor, action, hash) VALUES ('a', 'b', 'c')",
        "INSERT INTO access_log (actor, action, at) VALUES ('a', 'b', now())",
        "SELECT * FROM clinical_events",
        "SELECT vigil_known(now())",
    )


def test_the_access_log_refuses_change_and_tells_when_its_chain_is_broken(
    any_edition_dsn: str,
) -> None:
    with psycopg.connect(any_edition_dsn, autocommit=True) as owner:

        def fault() -> object:
            row = owner.execute("SELECT vigil_access_log_fault()").fetchone()
            return row[0] if row else "?"

        for n in range(5):
            owner.execute("INSERT INTO access_log (actor, action) VALUES ('a', %s)", (f"act{n}",))
        assert fault() is None
        for change in (
            "UPDATE access_log SET actor = 'b'",
            "DELETE FROM access_log",
            "TRUNCATE access_log",
        ):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
                owner.execute(change)
        owner.execute("ALTER TABLE access_log DISABLE TRIGGER vigil_append_only")
        rows = owner.execute("SELECT seq FROM access_log ORDER BY seq").fetchall()
        owner.execute("UPDATE access_log SET actor = 'b' WHERE seq = %s", (rows[2][0],))
        assert fault() == rows[2][0]
        owner.execute("UPDATE access_log SET actor = 'a' WHERE seq = %s", (rows[2][0],))
        assert fault() is None
        owner.execute("DELETE FROM access_log WHERE seq = %s", (rows[1][0],))
        assert fault() == rows[2][0]


@pytest.mark.parametrize("extension", [True, False])
def test_a_login_without_rights_to_roles_owns_everything_and_works(
    empty_database_dsn: str, extension: bool
) -> None:
    name = f"vigil_test_plain_{uuid.uuid4().hex[:8]}"
    database = conninfo.conninfo_to_dict(empty_database_dsn)["dbname"]
    with psycopg.connect(empty_database_dsn, autocommit=True) as admin:
        if extension and admin.execute(EXTENSION_SQL).fetchone() != (True,):
            pytest.skip("this server has no TimescaleDB: the plain half of the test runs")
        if extension:
            admin.execute("SET client_min_messages = error")
            admin.execute("CREATE EXTENSION timescaledb")
        admin.execute(f"CREATE ROLE {name} LOGIN")
        admin.execute(f"ALTER DATABASE {database} OWNER TO {name}")
        try:
            with Store(conninfo.make_conninfo(empty_database_dsn, user=name), QUICK) as store:
                store.migrate()
                store.migrate()
                assert store.owner() == name
                assert store.insert_events([event(1)]) == 1
                assert len(list(store.known_at(BASE_US + DAY_US))) == 1
                assert store.drop_before("clinical_events", BASE_US + 900 * DAY_US) == 1
        finally:
            # Its session's temporary objects vanish a moment after it is closed.
            asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s"
            wait_until(lambda: admin.execute(asked, (name,)).fetchone() == (0,), 20, "it left")
            admin.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
            admin.execute(f"DROP OWNED BY {name}")
            admin.execute(f"DROP ROLE {name}")


def test_a_login_with_the_migrate_role_runs_init_on_what_another_made(
    login: Login, any_edition_dsn: str
) -> None:
    with psycopg.connect(any_edition_dsn) as admin:
        owners = admin.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [("vigil_migrate",)]
    with Store.connect(login("migrate"), QUICK) as store:
        store.migrate()
        assert store.insert_events([event(1)]) == 1
        assert store.drop_before("clinical_events", BASE_US + 900 * DAY_US) == 1


def test_who_reads_by_the_command_line_is_in_the_access_log(
    any_edition_dsn: str, login: Login
) -> None:
    """A login without the right to note it is refused, before anything is read."""
    who = Access("kim", "events.list", "clinical_events", "vigil on ward-7")
    with psycopg.connect(any_edition_dsn, autocommit=True) as owner:
        reader = login("reader")
        with Store(reader, QUICK) as store, pytest.raises(StoreError, match="vigil_audit"):
            store.access.note(who, ["p1"], {})
        name = conninfo.conninfo_to_dict(reader)["user"]
        owner.execute(f"GRANT vigil_audit TO {name}")
        with Store(reader, QUICK) as store:
            store.access.note(who, ["p1", "p'2"], {"limit": 5})
            store.access.note(who, [], {})
        rows = owner.execute(
            "SELECT actor, action, patient_id, object, client, detail FROM access_log ORDER BY seq"
        ).fetchall()
        told = [("kim", "events.list", "clinical_events", "vigil on ward-7")] * 3
        assert [(r[0], r[1], r[3], r[4]) for r in rows] == told
        assert [(r[2], r[5]) for r in rows] == [
            ("p1", {"limit": 5}),
            ("p'2", {"limit": 5}),
            ("", {}),
        ]
        assert owner.execute("SELECT vigil_access_log_fault()").fetchone() == (None,)
