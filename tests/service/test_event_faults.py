"""Databases, brokers and feeds that are killed: nothing of the facts is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from service.config import Config
from streams.codec import decode
from streams.errors import StoreError
from streams.io.kafka_read import read_topic
from streams.io.store import Store
from streams.io.timescale import RetrySpec
from streams.records import ClinicalEvent
from streams.topics import topic_name
from tests.fixtures_database import EVER_US, event
from tests.fixtures_services import OwnService, Vigil, free_ports, wait_until

pytestmark = [pytest.mark.database, pytest.mark.slow]

SHORT = RetrySpec(attempts=3, first_s=0.1, most_s=0.5)


@pytest.fixture(params=["chroot", "plain"])
def own_database(
    request: pytest.FixtureRequest, database_server: str, services_state: str
) -> Iterator[OwnService]:
    """A database of each edition that may be killed: no other test uses it."""
    (port,) = free_ports(1)
    environment = os.environ | {
        "VIGIL_PG_PORT": str(port),
        "VIGIL_PG_ENGINE": request.param,
        "VIGIL_SERVICES_STATE": services_state,
        "VIGIL_SERVICES_MODE": "native",
    }
    service = OwnService(f"postgresql://vigil@127.0.0.1:{port}/vigil", "timescale", environment)
    service.act("up")
    yield service
    service.act("down")


def kill(service: OwnService) -> None:
    """SIGKILL to the server's first process: no checkpoint, no goodbye."""
    record = Path(service.environment["VIGIL_SERVICES_STATE"]) / f"{service.name}.json"
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    service.act("up")


def until_in(store: Store, events: list[ClinicalEvent]) -> None:
    """Write, again after every trouble that passes, as `vigil events import` run again does."""
    while True:
        try:
            store.store_events(events)
        except StoreError as fault:
            if not fault.retriable:
                raise
            time.sleep(0.1)
        else:
            return


def test_a_database_killed_during_an_import_has_every_row_once_in_the_end(
    own_database: OwnService,
) -> None:
    """Counts and contents equal the source's; importing all of it again changes nothing."""
    rows = [event(n, f"p{n % 97}", value=float(n)) for n in range(60_000)]
    with Store(own_database.address, SHORT) as store:
        store.migrate()
        done = threading.Event()

        def strike() -> None:
            for _ in range(3):
                if done.wait(0.6):
                    return
                kill(own_database)

        striker = threading.Thread(target=strike)
        striker.start()
        at = 0
        while striker.is_alive() or at < len(rows):
            until_in(store, rows[at % len(rows) :][:2_500])
            at += 2_500
        done.set()
        striker.join()
        until_in(store, rows)
        assert store.counts()["clinical_events"] == len(rows)
        found = sorted(store.events(None, 0, EVER_US), key=lambda e: e.event_id)
        assert found == rows
        before = checksum(own_database.address)
        assert store.store_events(rows) == (0, ())
        assert checksum(own_database.address) == before
        assert store.feed.backlog().rows == len(rows)


def checksum(dsn: str) -> tuple[object, ...] | None:
    """Digest of every stored fact and of its place in the queue."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT md5(string_agg(md5(e::text || f::text), '' ORDER BY event_id, version)) "
            "FROM clinical_events e JOIN event_feed f USING (event_id, version)"
        ).fetchone()


class Source:
    """A thread that inserts events of many patients, a few at a time, through every trouble.

    Two thousand take it ten seconds at least: longer than the troubles of a test, so that whoever
    was started last has to carry some.
    """

    def __init__(self, dsn: str, count: int) -> None:
        self.rows = [event(n, f"p{n % 31}") for n in range(count)]
        self._thread = threading.Thread(target=self._run, args=(dsn,))
        self._thread.start()

    def _run(self, dsn: str) -> None:
        with Store(dsn, SHORT) as store:
            for at in range(0, len(self.rows), 10):
                until_in(store, self.rows[at : at + 10])
                time.sleep(0.05)

    def join(self) -> None:
        self._thread.join()


def on_log(config: Config) -> list[tuple[int, int, int, ClinicalEvent]]:
    topic = topic_name("in", config.kafka.prefix)
    found = []
    for row in asyncio.run(read_topic(config.kafka.bootstrap, topic)):
        record = decode(row.value, row.partition, row.offset, row.append_us).record
        if isinstance(record, ClinicalEvent):
            found.append((row.partition, row.offset, row.append_us, record))
    return found


@pytest.mark.broker
@pytest.mark.parametrize("trouble", ["feed killed", "database killed", "broker restarted"])
def test_every_event_is_on_the_log_once_and_marked_where_it_stands(
    vigil: Vigil,
    private_broker: OwnService,
    private_database: OwnService,
    trouble: str,
) -> None:
    config = vigil.configure(
        kafka={"bootstrap": private_broker.address, "prefix": "faults", "partitions": 8},
        database={"dsn": private_database.address},
    )
    assert vigil.run("init").returncode == 0
    feed = [vigil.start("events", "feed")]
    source = Source(private_database.address, 2_000)

    def feed_killed() -> None:
        feed[-1].process.kill()
        feed[-1].process.wait()
        feed.append(vigil.start("events", "feed"))

    strikes: dict[str, Callable[[], None]] = {
        "feed killed": feed_killed,
        "database killed": lambda: kill(private_database),
        "broker restarted": lambda: private_broker.act("restart"),
    }
    for pause_s in (3.0, 4.0):
        time.sleep(pause_s)
        strikes[trouble]()
    source.join()

    def all_marked() -> bool:
        with Store(private_database.address, SHORT) as store:
            return store.counts()["clinical_events"] == 2_000 and not store.feed.backlog().rows

    wait_until(all_marked, 150, "every event marked")
    assert feed[-1].stop()[0] == 0
    found = on_log(config)
    twice = {key: n for key, n in Counter(row[3].event_id for row in found).items() if n > 1}
    assert twice == {}
    assert sorted((row[3] for row in found), key=lambda e: e.event_id) == source.rows
    with Store(private_database.address, SHORT) as store:
        marks = store.feed.published([row.event_id for row in source.rows])
    for partition, offset, append_us, record in found:
        mark = marks[record.event_id, 1]
        assert (mark.partition, mark.offset, mark.append_us) == (partition, offset, append_us)
