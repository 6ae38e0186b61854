"""`vigil events feed`: new rows of the database onto the patients' logs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import signal
import threading
import time
from collections.abc import Callable

from service import logs
from service.config import Config
from service.event_store import feed_once, run_feed
from service.topics import require_topics
from streams.codec import encode
from streams.errors import BrokerError, StoreError
from streams.io.kafka_log import LogWriter, Message
from streams.io.store import Store
from streams.partition import partition_of
from streams.records import ClinicalEvent
from streams.topics import topic_name

WAIT_S = 0.2  # between looks at whether to stop
RETRY_S = 2.0  # between attempts to reach a database that is away at the start

log = logging.getLogger(__name__)


class Publisher:
    """Writes events to the log from a thread that has no event loop of its own."""

    def __init__(
        self,
        config: Config,
        writer: LogWriter,
        loop: asyncio.AbstractEventLoop,
        stopping: threading.Event,
    ) -> None:
        self._topic = topic_name("in", config.kafka.prefix)
        self._partitions = config.kafka.partitions
        self._writer = writer
        self._loop = loop
        self._stopping = stopping

    def __call__(self, event: ClinicalEvent) -> tuple[int, int, int]:
        """Publish one event; (partition, offset, append_us) once the broker has it.

        Raises
        ------
        BrokerError
            If the feed is stopped while the broker is away: the event stays unpublished, or is
            published again after the restart, which the engine does not mind.
        """
        partition = partition_of(event.patient_id, self._partitions)
        append_us = time.time_ns() // 1000
        key = event.patient_id.encode()
        message = Message(self._topic, partition, append_us, key, encode(event))
        sent = asyncio.run_coroutine_threadsafe(self._writer.send_all([message]), self._loop)
        while True:
            try:
                return partition, sent.result(WAIT_S)[0], append_us
            except concurrent.futures.TimeoutError:
                if self._stopping.is_set():
                    sent.cancel()
                    raise BrokerError("stopped before the broker had an event") from None


def run(config: Config, *, once: bool) -> int:
    """Feed until SIGTERM or SIGINT, or only what waits now; how many events were published.

    Raises
    ------
    ConfigError
        If the topics are missing or differ from the configuration.
    BrokerError
        If Kafka cannot be used at the start.
    StoreError
        If the database cannot be used at the start with `once`, or refuses for good.
    """
    require_topics(config)
    return asyncio.run(_run(config, once=once))


async def _run(config: Config, *, once: bool) -> int:
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # Facts are few and each is awaited: a batch that waits for company only costs time.
    async with LogWriter(config.kafka.bootstrap, linger_ms=0) as writer:
        if not once:
            logs.hear_clients()
        publish = Publisher(config, writer, loop, stopping)
        return await asyncio.to_thread(_feed, config, publish, stopping, once)


def _feed(config: Config, publish: Publisher, stopping: threading.Event, once: bool) -> int:
    with Store(config.database_dsn(), sleep=sleeping(stopping)) as store:
        if not once:
            wait_for_schema(store, stopping)
            return run_feed(store, publish, stopping.is_set, sleep=sleeping(stopping))
        total = count = feed_once(store, publish)
        while count and not stopping.is_set():
            count = feed_once(store, publish)
            total += count
        return total


def wait_for_schema(store: Store, stopping: threading.Event) -> None:
    """Return when the database answers and has its schema, or when told to stop.

    Raises
    ------
    StoreError
        If waiting will not help: no schema, or the login is refused.
    """
    told = False
    while not stopping.is_set():
        try:
            store.schema_version()
        except StoreError as fault:
            if not fault.retriable:
                raise
            if not told:
                log.warning("waiting for the database: %s", fault)
                told = True
            stopping.wait(RETRY_S)
        else:
            if told:
                log.warning("the database answers")
            return


def sleeping(stopping: threading.Event) -> Callable[[float], None]:
    """A sleep that a stop cuts short."""

    def sleep(seconds: float) -> None:
        stopping.wait(seconds)

    return sleep
