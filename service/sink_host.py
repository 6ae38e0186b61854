"""`vigil sink`: the output topics into the database, as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading

from service import logs
from service.config import Config
from service.feed import sleeping, wait_for_schema
from service.sink import Message, Sink, run_sink
from service.topics import require_topics
from streams.errors import BrokerError, StoreError
from streams.io.kafka_group import GroupConsumer
from streams.io.store import Store
from streams.records import Reason
from streams.topics import topic_name

UPKEEP_S = 3600.0  # between looks at what is older than it is kept
SINK_TOPICS = ("features", "scores", "alerts")

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write until SIGTERM or SIGINT; waits for a database that is away, at the start too.

    Raises
    ------
    ConfigError
        If the topics are missing or differ from the configuration.
    StoreError
        If the database has no schema, or refuses for good.
    BrokerError
        If Kafka is away at the start.
    """
    require_topics(config)
    stopping = threading.Event()
    asyncio.run(_run(config, stopping))


async def _run(config: Config, stopping: threading.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    kafka = config.kafka
    topics = [topic_name(short, kafka.prefix) for short in SINK_TOPICS]
    with Store(config.database_dsn(), sleep=sleeping(stopping)) as store:
        await asyncio.to_thread(wait_for_schema, store, stopping)
        sink = Sink(store, _refused)
        async with GroupConsumer(kafka.broker, f"{kafka.group}-sink", topics) as consumer:
            logs.hear_clients()
            tidying = asyncio.create_task(_tidy(config, stopping))
            try:
                await run_sink(_Polled(consumer), sink, stopping.is_set)
            finally:
                tidying.cancel()


async def _tidy(config: Config, stopping: threading.Event) -> None:
    """Drop what is old, now and then, on a connection of its own: no row waits for it."""
    while True:
        try:
            dropped = await asyncio.to_thread(_drop_old, config, stopping)
            for table, count in dropped.items():
                if count:
                    log.warning("dropped what is older than it is kept: %s %d", table, count)
        except StoreError as fault:
            log.warning("upkeep waits: %s", fault)
        await asyncio.sleep(UPKEEP_S)


def _drop_old(config: Config, stopping: threading.Event) -> dict[str, int]:
    with Store(config.database_dsn(), sleep=sleeping(stopping)) as store:
        return store.upkeep()


class _Polled:
    """The group consumer in the sink's words; a broker that is away is waited for."""

    def __init__(self, consumer: GroupConsumer) -> None:
        self._consumer = consumer

    async def poll(self) -> list[Message]:
        try:
            rows = await self._consumer.poll()
        except BrokerError as fault:
            if not fault.retriable:
                raise
            log.warning("sink waits: %s", fault)
            await asyncio.sleep(1.0)
            return []
        return [
            Message(row.topic, row.partition, row.offset, row.headers, row.value) for row in rows
        ]

    async def commit(self) -> None:
        await self._consumer.commit()


def _refused(message: Message, reason: Reason, detail: str) -> None:
    log.warning(
        "refused %s partition %d offset %d: %s",
        message.topic,
        message.partition,
        message.offset,
        reason.value,
    )
