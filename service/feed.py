"""`vigil events feed`: new rows of the database onto the patients' logs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from service import logs
from service.config import Config
from service.event_feed import PUBLISH_S, EventFeed, FeedSpec
from service.topics import require_topics
from streams.codec import decode, encode
from streams.errors import BrokerError, StoreError
from streams.io.kafka_log import LogWriter, Message, Stored
from streams.io.kafka_read import read_since
from streams.io.store import Store
from streams.io.store_rows import Published
from streams.partition import partition_of
from streams.records import ClinicalEvent
from streams.topics import topic_name

WAIT_S = 0.2  # between looks at whether to stop
RETRY_S = 2.0  # between attempts to reach a database that is away at the start

# How the codec begins every clinical event: the search for one decodes no signals.
EVENT_PREFIX: Final = encode(ClinicalEvent("", 0, "", "", "", None, "", "", 0, 0, ""))[:8]
_T = TypeVar("_T")

log = logging.getLogger(__name__)


class KafkaLog:
    """The patients' log for a thread that has no event loop of its own."""

    def __init__(
        self,
        config: Config,
        writer: LogWriter,
        loop: asyncio.AbstractEventLoop,
        stopping: threading.Event,
    ) -> None:
        self._kafka = config.kafka
        self._topic = topic_name("in", config.kafka.prefix)
        self._writer = writer
        self._loop = loop
        self._stopping = stopping

    def publish(self, events: Sequence[ClinicalEvent], append_us: int) -> list[tuple[int, int]]:
        """Append events to their patients' partitions; see `service.event_feed.Log`.

        Raises
        ------
        BrokerError
            The broker has not confirmed them all, or the feed is stopped meanwhile.
        """
        partitions = [partition_of(event.patient_id, self._kafka.partitions) for event in events]
        messages = [
            Message(self._topic, partition, append_us, event.patient_id.encode(), encode(event))
            for event, partition in zip(events, partitions, strict=True)
        ]
        sent = asyncio.run_coroutine_threadsafe(
            self._writer.send_once(messages, PUBLISH_S), self._loop
        )
        offsets = self._result(sent)
        return list(zip(partitions, offsets, strict=True))

    def find(self, since_us: int) -> list[Published]:
        """Clinical events appended since then; see `service.event_feed.Log`."""
        reading = read_since(self._kafka.broker, self._topic, since_us, _published)
        return self._result(asyncio.run_coroutine_threadsafe(reading, self._loop))

    def _result(self, future: concurrent.futures.Future[_T]) -> _T:
        while True:
            try:
                return future.result(WAIT_S)
            except concurrent.futures.TimeoutError:
                if self._stopping.is_set() and not future.done():
                    future.cancel()
                    raise BrokerError("stopped before the broker had answered") from None


def _published(row: Stored) -> Published | None:
    """Place of a record, if it is a clinical event."""
    if not row.value.startswith(EVENT_PREFIX):
        return None
    record = decode(row.value, row.partition, row.offset, row.append_us).record
    if not isinstance(record, ClinicalEvent):
        return None
    key = (record.event_id, record.version, record.event_time_us)
    return Published(*key, row.partition, row.offset, row.append_us)


def run(config: Config, *, once: bool, again: Sequence[str] | None = None) -> int:
    """Feed until SIGTERM or SIGINT, or only what waits now; how many events were published.

    Parameters
    ----------
    config : Config
        `feed.patients` says whose events.
    once : bool
        End when nothing waits.
    again : sequence of str or None
        Patients whose events are published anew first, for a log that has lost them; an empty
        one means everybody's.

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
    return asyncio.run(_run(config, once=once, again=again))


async def _run(config: Config, *, once: bool, again: Sequence[str] | None) -> int:
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with LogWriter(config.kafka.broker, linger_ms=0) as writer:
        if not once:
            logs.hear_clients()
        log = KafkaLog(config, writer, loop, stopping)
        return await asyncio.to_thread(_feed, config, log, stopping, once, again)


def _feed(
    config: Config,
    log: KafkaLog,
    stopping: threading.Event,
    once: bool,
    again: Sequence[str] | None,
) -> int:
    sleep = sleeping(stopping)
    with Store(config.database_dsn(), sleep=sleep) as store:
        if not once:
            wait_for_schema(store, stopping)
        if again is not None and not stopping.is_set():
            store.feed.again(again or None)
        spec = FeedSpec(admitted_only=config.feed.patients == "admitted")
        feed = EventFeed(store, log, spec, sleep=sleep)
        return feed.drain(stopping.is_set) if once else feed.run(stopping.is_set)


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
