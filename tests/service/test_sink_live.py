"""The sink as a process: what the topics hold is in the database, once."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from service.config import Config
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import lag, read_topic
from streams.io.store import Store
from streams.topics import topic_name
from tests.fixtures_services import LiveWard, OwnService, Vigil, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.database, pytest.mark.slow]
SCORE = (
    b'{"patient_id":"p%d","scorer":"news2","model":"news2","start_us":%d,"end_us":%d,'
    b'"known_us":%d,"revision":0,"value":3.0}'
)


def counts(config: Config) -> dict[str, int]:
    with Store(config.database_dsn()) as store:
        return store.counts()


def waiting(config: Config) -> int:
    kafka = config.kafka
    group = f"{kafka.group}-sink"
    return sum(
        asyncio.run(lag(kafka.bootstrap, group, topic_name(short, kafka.prefix)))
        for short in ("features", "scores", "alerts")
    )


def send_scores(config: Config, first: int, count: int) -> None:
    async def send() -> None:
        topic = topic_name("scores", config.kafka.prefix)
        async with LogWriter(config.kafka.bootstrap) as writer:
            await writer.send_all(
                [
                    Message(topic, n % 4, n, b"p", SCORE % (n % 9, n, n + 60, n + 61))
                    for n in range(first, first + count)
                ]
            )

    asyncio.run(send())


def test_what_the_topics_hold_is_in_the_database_and_a_restart_changes_nothing(
    live_ward: LiveWard,
) -> None:
    config = live_ward.config
    wait_until(lambda: waiting(config) == 0, 30, "the sink is at the end")
    kafka = config.kafka
    for short in ("features", "scores", "alerts"):
        rows = asyncio.run(read_topic(kafka.bootstrap, topic_name(short, kafka.prefix)))
        assert counts(config)[short] == len({row.value for row in rows}) > 0

    code, took_s = live_ward.sink.stop(signal.SIGINT)
    assert code == 0
    assert took_s < 5
    before = counts(config)
    live_ward.sink = live_ward.vigil.start("sink")
    time.sleep(4)
    # The worker goes on living: only what was not there before may have come.
    wait_until(lambda: waiting(config) == 0, 30, "the sink is at the end again")
    after = counts(config)
    for short in ("features", "scores", "alerts"):
        rows = asyncio.run(read_topic(kafka.bootstrap, topic_name(short, kafka.prefix)))
        assert before[short] <= after[short] <= len({row.value for row in rows})
    assert live_ward.sink.said() == ""


def test_rows_read_again_from_the_beginning_are_not_written_again(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, database_dsn: str
) -> None:
    found = []
    for group in ("one", "two"):  # another group reads everything again
        config = vigil.configure(
            kafka={
                "bootstrap": kafka_bootstrap,
                "prefix": kafka_prefix,
                "partitions": 8,
                "group": f"{kafka_prefix}-{group}",
            },
            database={"dsn": database_dsn},
        )
        if group == "one":
            send_scores(config, 0, 500)
        sink = vigil.start("sink")
        wait_until(lambda config=config: waiting(config) == 0, 30, "everything read")
        assert sink.stop()[0] == 0
        found.append(counts(config)["scores"])
    assert found == [500, 500]


def test_a_missing_schema_is_one_line_that_says_init(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, empty_database_dsn: str
) -> None:
    vigil.configure(
        kafka={"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 8},
        database={"dsn": empty_database_dsn},
    )
    for command in (["sink"], ["events", "feed"]):
        done = vigil.run(*command, timeout_s=30)
        assert done.returncode == 4
        assert done.stderr.count("\n") == 1
        assert "vigil init" in done.stderr


def test_the_sink_waits_for_a_database_and_catches_up(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, private_database: OwnService
) -> None:
    config = vigil.configure(
        kafka={
            "bootstrap": kafka_bootstrap,
            "prefix": kafka_prefix,
            "partitions": 8,
            "group": kafka_prefix,
        },
        database={"dsn": private_database.address},
    )
    with Store(private_database.address) as store:
        store.migrate()
    private_database.act("down")
    send_scores(config, 0, 100)
    sink = vigil.start("sink")
    wait_until(lambda: "waiting for the database" in sink.said(), 20, "it says that it waits")
    private_database.act("up")
    wait_until(lambda: counts(config)["scores"] == 100, 30, "the first hundred")

    private_database.act("down")
    send_scores(config, 100, 100)
    wait_until(lambda: "sink waits with" in sink.said(), 30, "it says that it waits again")
    private_database.act("up")
    wait_until(lambda: counts(config)["scores"] == 200, 30, "the second hundred")
    assert sink.process.poll() is None
    assert sink.stop()[0] == 0
    assert len(sink.said().splitlines()) < 15
