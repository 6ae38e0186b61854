"""The event feed on a real database and a real log."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import psycopg
import pytest

from service.config import Config
from streams.codec import decode
from streams.io.kafka_read import read_topic
from streams.io.store import Store
from streams.partition import partition_of
from streams.records import ClinicalEvent
from streams.topics import topic_name
from tests.fixtures_services import OwnService, Vigil, wait_until
from tests.service import live_kit

pytestmark = [pytest.mark.broker, pytest.mark.database]
NOWHERE = "postgresql://vigil:canary-password@127.0.0.1:1/vigil"


def on_log(config: Config) -> list[tuple[int, int, int, ClinicalEvent]]:
    name = topic_name("in", config.kafka.prefix)
    found = []
    for row in asyncio.run(read_topic(config.kafka.bootstrap, name)):
        record = decode(row.value, row.partition, row.offset, row.append_us).record
        if isinstance(record, ClinicalEvent):
            found.append((row.partition, row.offset, row.append_us, record))
    return found


def configured(vigil: Vigil, bootstrap: str, prefix: str, dsn: str) -> Config:
    return vigil.configure(
        kafka={"bootstrap": bootstrap, "prefix": prefix, "partitions": 8}, database={"dsn": dsn}
    )


def test_what_is_stored_is_published_once_and_marked_where_it_stands(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, database_dsn: str, tmp_path: Path
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix, database_dsn)
    csv = live_kit.sick_events(tmp_path, "p1")
    assert vigil.json("events", "import", str(csv))["inserted"] == 3
    assert vigil.json("events", "import", str(csv))["present"] == 3
    assert vigil.json("events", "feed", "--once") == {"published": 3}
    assert vigil.json("events", "feed", "--once") == {"published": 0}

    rows = on_log(config)
    assert {row[0] for row in rows} == {partition_of("p1", 8)}
    with Store(database_dsn) as store:
        stored = {row.event.event_id: row for row in store.stored_events(None, 0, 2**62)}
    assert len(stored) == len(rows) == 3
    for partition, offset, append_us, event in rows:
        mark = stored[event.event_id].published
        assert mark is not None
        assert (mark.partition, mark.offset, mark.append_us) == (partition, offset, append_us)
        assert stored[event.event_id].effective_known_us == append_us


def test_bad_rows_are_told_with_their_line_and_the_others_go_in(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, database_dsn: str
) -> None:
    configured(vigil, kafka_bootstrap, kafka_prefix, database_dsn)
    (vigil.folder / "e.csv").write_text(
        live_kit.HEADER + "\n"
        "p1,2020-01-01T00:00Z,2020-01-01T00:00Z,sbp,120,mmHg,,ehr\n"
        "p1,2020-01-01T00:00Z,2020-01-01T00:00Z,sbp,120,bushel,,ehr\n"
        "p1,2020-01-01T00:00Z,,lactate,3,mmol/L,,lab\n",
        "utf-8",
    )
    done = vigil.run("events", "import", "e.csv")
    assert done.returncode == 1
    assert "1 new" in done.stdout
    first, second, waiting = done.stderr.splitlines()
    assert first.startswith("refused: e.csv: line 3: unit: ")
    assert second.startswith("refused: e.csv: line 4: known_time: ")
    assert waiting.startswith("1 facts wait for a meaning: vigil events quarantine")
    assert len(vigil.json("events", "list", "--patient", "p1")) == 1
    assert vigil.json("events", "list", "--patient", "p2") == []
    with psycopg.connect(database_dsn) as connection:
        noted = connection.execute(
            "SELECT action, patient_id, detail->>'limit' FROM access_log ORDER BY seq"
        ).fetchall()
    assert noted == [("events.list", "p1", "100"), ("events.list", "p2", "100")]


def test_a_changed_row_is_told_and_not_written(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, database_dsn: str
) -> None:
    configured(vigil, kafka_bootstrap, kafka_prefix, database_dsn)
    for value, code in (("120", 0), ("90", 1)):
        (vigil.folder / "e.csv").write_text(
            f"{live_kit.HEADER}\np1,2020-01-01T00:00Z,2020-01-01T00:00Z,sbp,{value},mmHg,,ehr\n",
            "utf-8",
        )
        done = vigil.run("events", "import", "e.csv")
        assert done.returncode == code
    assert "a correction needs a higher version" in done.stderr
    (kept,) = vigil.json("events", "list")
    assert kept["value"] == 120.0


@pytest.mark.slow
def test_the_feed_follows_new_rows_and_ends_on_ctrl_c(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, database_dsn: str, tmp_path: Path
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix, database_dsn)
    feed = vigil.start("events", "feed")
    time.sleep(3)
    vigil.json("events", "import", str(live_kit.sick_events(tmp_path, "p1")))
    wait_until(lambda: len(on_log(config)) == 3, 20, "three events on the log")
    code, took_s = feed.stop(signal.SIGINT)
    assert (code, feed.said()) == (0, "3 events published\n")
    assert took_s < 5


def test_a_database_that_is_away_ends_a_single_feed_with_exit_4(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    configured(vigil, kafka_bootstrap, kafka_prefix, NOWHERE)
    began_s = time.monotonic()
    for command in (("events", "feed", "--once"), ("events", "list"), ("init",)):
        done = vigil.run(*command, timeout_s=15)
        assert done.returncode == 4
        assert done.stderr.count("\n") == 1
        assert "127.0.0.1:1/vigil" in done.stderr
        assert "canary-password" not in done.stderr
    assert time.monotonic() - began_s < 45


@pytest.mark.slow
def test_a_feed_that_waits_for_its_database_ends_on_ctrl_c(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    configured(vigil, kafka_bootstrap, kafka_prefix, NOWHERE)
    feed = vigil.start("events", "feed")
    wait_until(lambda: "waiting for the database" in feed.said(), 20, "it says that it waits")
    code, took_s = feed.stop(signal.SIGINT)
    assert code == 0
    assert took_s < 5
    assert "canary-password" not in feed.said()


@pytest.mark.slow
def test_the_feed_waits_for_a_database_at_the_start_and_during_the_run(
    vigil: Vigil,
    kafka_bootstrap: str,
    kafka_prefix: str,
    private_database: OwnService,
    tmp_path: Path,
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix, private_database.address)
    assert vigil.run("init").returncode == 0
    private_database.act("down")
    feed = vigil.start("events", "feed")
    wait_until(lambda: "waiting for the database" in feed.said(), 20, "it says that it waits")
    private_database.act("up")
    vigil.json("events", "import", str(live_kit.sick_events(tmp_path, "p1")))
    wait_until(lambda: len(on_log(config)) == 3, 30, "the first patient's events")

    private_database.act("down")
    wait_until(lambda: "event feed waits" in feed.said(), 30, "it says that it waits again")
    private_database.act("up")
    vigil.json("events", "import", str(live_kit.sick_events(tmp_path, "p2")))
    wait_until(lambda: len({row[3].event_id for row in on_log(config)}) == 6, 30, "the second's")
    assert feed.process.poll() is None
    assert len(feed.err.read_text("utf-8").splitlines()) < 12
    assert feed.stop()[0] == 0
