"""`vigil events feed`: new rows of the database onto the patients' logs."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

from service.config import Config
from service.event_store import feed_once, run_feed
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message
from streams.io.store import Store
from streams.partition import partition_of
from streams.records import ClinicalEvent
from streams.topics import topic_name


class _Publisher:
    """Writes events to the log from a thread that has no event loop of its own."""

    def __init__(self, config: Config, writer: LogWriter, loop: asyncio.AbstractEventLoop) -> None:
        self._topic = topic_name("in", config.kafka.prefix)
        self._partitions = config.kafka.partitions
        self._writer = writer
        self._loop = loop

    def __call__(self, event: ClinicalEvent) -> tuple[int, int, int]:
        """Publish one event and wait for the broker: (append_us, partition, offset)."""
        partition = partition_of(event.patient_id, self._partitions)
        append_us = time.time_ns() // 1000
        key = event.patient_id.encode()
        message = Message(self._topic, partition, append_us, key, encode(event))
        sent = asyncio.run_coroutine_threadsafe(self._writer.send_all([message]), self._loop)
        offsets = sent.result()
        return append_us, partition, offsets[0]


def run(config: Config, *, once: bool) -> int:
    """Feed until SIGTERM or SIGINT, or only what waits now; how many events were published.

    Raises
    ------
    StoreError, BrokerError
        If the database or Kafka cannot be used at the start.
    """
    return asyncio.run(_run(config, once=once))


async def _run(config: Config, *, once: bool) -> int:
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with LogWriter(config.kafka.bootstrap) as writer:
        publish = _Publisher(config, writer, loop)
        return await asyncio.to_thread(_feed, config, publish, stopping, once)


def _feed(config: Config, publish: _Publisher, stopping: threading.Event, once: bool) -> int:
    with Store.connect(config.database_dsn()) as store:
        if not once:
            return run_feed(store, publish, stopping.is_set)
        total = count = feed_once(store, publish)
        while count and not stopping.is_set():
            count = feed_once(store, publish)
            total += count
        return total
