"""`vigil sink`: the output topics into the database, as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal

from service.config import Config
from service.sink import Message, Sink, run_sink
from streams.io.kafka_group import GroupConsumer
from streams.io.store import Store
from streams.records import Reason
from streams.topics import topic_name

SINK_TOPICS = ("features", "scores", "alerts")

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Write until SIGTERM or SIGINT.

    Raises
    ------
    StoreError
        If the database cannot be used at the start, or refuses for good.
    BrokerError
        If Kafka is away at the start.
    """
    with Store.connect(config.database_dsn()) as store:
        store.migrate()
        asyncio.run(_run(config, store))


async def _run(config: Config, store: Store) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    kafka = config.kafka
    topics = [topic_name(short, kafka.prefix) for short in SINK_TOPICS]
    sink = Sink(store, _refused)
    async with GroupConsumer(kafka.bootstrap, f"{kafka.group}-sink", topics) as consumer:
        await run_sink(_Polled(consumer), sink, stopping.is_set)


class _Polled:
    """The group consumer in the sink's words."""

    def __init__(self, consumer: GroupConsumer) -> None:
        self._consumer = consumer

    async def poll(self) -> list[Message]:
        return [
            Message(row.topic, row.partition, row.offset, row.headers, row.value)
            for row in await self._consumer.poll()
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
