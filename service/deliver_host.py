"""`vigil deliver`: from the configuration to a running courier, with receipts and figures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from alerts.alert import AlertEvent, AlertRecord
from service import logs
from service.config import Config
from service.delivery import Courier
from service.delivery_log import DeliveryLog
from service.emitters.registry import open_emitter
from service.receipts import receipt_of, receipt_value
from service.topics import require_topics
from streams.errors import ConfigError
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from streams.io.kafka_tracked import TrackedConsumer
from streams.partition import partition_of
from streams.topics import topic_name

MAX_RECEIPTS: Final = 10_000  # waiting for the broker; more are told at the next event
_RECORD: Final = msgspec.json.Decoder(AlertRecord)

log = logging.getLogger(__name__)


def run(config: Config, name: str) -> None:
    """Deliver to one target until SIGTERM or SIGINT.

    Parameters
    ----------
    config : Config
        With a table `deliver.NAME`.
    name : str
        Of that table: names the group, the notification log and the consumer in receipts.

    Raises
    ------
    ConfigError
        If there is no such table, its secret cannot be read, topics are missing, or another
        process writes its notification log.
    BrokerError
        If Kafka is away at the start.
    """
    if name not in config.deliver:
        known = ", ".join(config.deliver) or "none is configured"
        raise ConfigError(f"no table [deliver.{name}]: {known}")
    require_topics(config)
    journal = DeliveryLog(log_path(config, name), name)
    try:
        asyncio.run(_run(config, name, journal))
    finally:
        journal.close()


def log_path(config: Config, name: str) -> Path:
    """Where the notification log of an emitter is."""
    return Path(config.audit_dir) / f"delivery-{name}.jsonl"


def serve(port: int, registry: CollectorRegistry) -> None:
    """Serve /metrics on loopback; nothing for a negative port.

    Raises
    ------
    ConfigError
        If the port is taken.
    """
    if port >= 0:
        try:
            start_http_server(port, "127.0.0.1", registry)
        except OSError as error:
            raise ConfigError(f"cannot serve metrics on port {port} ({error})") from error


async def _run(config: Config, name: str, journal: DeliveryLog) -> None:
    spec, kafka = config.deliver[name], config.kafka
    stopping = threading.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    emitter = open_emitter(name, spec)
    if emitter.mapper.repeat_s:
        wanted = spec.selection()
        records = await latest_states(config)
        emitter.mapper.seed(record for record in records if wanted.may_want(record))
    topics = [topic_name("alerts", kafka.prefix)]
    group = f"{kafka.group}-deliver-{name}"
    async with (
        LogWriter(kafka.broker) as writer,
        TrackedConsumer(kafka.broker, group, topics, spec.start) as consumer,
    ):
        logs.hear_clients()
        told = Figures(CollectorRegistry(), name)
        serve(spec.metrics_port, told.registry)
        receipts = Receipts(config, name, writer) if spec.receipts else None
        told.receipts = receipts
        confirming = asyncio.create_task(receipts.run()) if receipts else None
        try:
            await Courier(emitter, spec, journal, told).run(consumer, stopping.is_set)
        finally:
            if confirming is not None and receipts is not None:
                await receipts.end(confirming)


async def latest_states(config: Config) -> list[AlertRecord]:
    """The last state of every alert: compaction may not have come by yet.

    Raises
    ------
    BrokerError
        If Kafka does not answer.
    """
    topic = topic_name("alert-state", config.kafka.prefix)
    rows = await read_topic(config.kafka.broker, topic)
    latest = {row.key: row.value for row in rows}
    return [_RECORD.decode(value) for value in latest.values() if value]


class Receipts:
    """Writes receipts behind the courier's back: they never hold an alert up."""

    def __init__(self, config: Config, consumer: str, writer: LogWriter) -> None:
        self._topic = topic_name("receipts", config.kafka.prefix)
        self._partitions = config.kafka.partitions
        self._consumer, self._writer = consumer, writer
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(MAX_RECEIPTS)

    def put(self, event: AlertEvent, at_us: int) -> None:
        """Confirm an event; dropped when too many wait, as the next one confirms it too."""
        receipt = receipt_of(event, self._consumer, at_us)
        partition = partition_of(event.subject, self._partitions)
        key = event.subject.encode()
        message = Message(self._topic, partition, at_us, key, receipt_value(receipt))
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(message)

    async def run(self) -> None:
        """Write what comes, in order, until None."""
        while (message := await self._queue.get()) is not None:
            batch = [message]
            while not self._queue.empty():
                more = self._queue.get_nowait()
                if more is None:
                    await self._writer.send_all(batch)
                    return
                batch.append(more)
            await self._writer.send_all(batch)

    async def end(self, task: asyncio.Task[None], timeout_s: float = 2.0) -> None:
        """Write what waits, in bounded time."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(task, timeout_s)


class Figures:
    """What a courier reports, as Prometheus series; hands receipts on."""

    def __init__(self, registry: CollectorRegistry, emitter: str) -> None:
        self.receipts: Receipts | None = None
        self.registry = registry
        self._attempts = Counter(
            "vigil_deliveries",
            "Attempts to deliver, by how they ended; given_up counts events.",
            ["emitter", "result"],
            registry=registry,
        )
        self._waiting = Gauge(
            "vigil_delivery_waiting_events",
            "Events taken from the log and not delivered yet.",
            ["emitter"],
            registry=registry,
        ).labels(emitter)
        self._oldest = Gauge(
            "vigil_delivery_oldest_seconds",
            "How long the oldest of them waits.",
            ["emitter"],
            registry=registry,
        ).labels(emitter)
        self._emitter = emitter

    def attempted(self, result: str) -> None:
        """Count an attempt."""
        self._attempts.labels(self._emitter, result).inc()

    def delivered(self, event: AlertEvent, at_us: int) -> None:
        """Confirm an event."""
        if self.receipts is not None:
            self.receipts.put(event, at_us)

    def waiting(self, events: int, oldest_us: int | None) -> None:
        """Show what waits."""
        self._waiting.set(events)
        age_s = 0.0 if oldest_us is None else time.time() - oldest_us / 1e6
        self._oldest.set(max(age_s, 0.0))
