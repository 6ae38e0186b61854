"""`vigil load`: the simulated load onto Kafka at its own pace, for throughput and endurance."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from service.config import Config
from service.load import Load, LoadSpec
from service.topics import require_topics
from streams.codec import encode
from streams.history import LogEntry
from streams.io.kafka_log import LogWriter, Message
from streams.topics import topic_name

SLICES = 16  # of a second, when gateways are not in step


class Sent(NamedTuple):
    """What was written; the broker has acknowledged all of it."""

    seconds: int
    records: int
    chunks: int
    size_bytes: int
    late_s: float  # most that a second's records were written late


def run(
    config: Config,
    patients: int,
    seconds: int,
    on_second: Callable[[int], None],
    *,
    spread: bool = False,
) -> Sent:
    """Write the load of so many patients for so many seconds of real time.

    Parameters
    ----------
    config : Config
        Broker, prefix, partitions.
    patients : int
        1..1000000.
    seconds : int
        How long; the first chunks leave after ten.
    on_second : callable
        Told each second that was written.
    spread : bool
        Whether a second's bundles leave one after the other over the second, as from gateways that
        are not in step; else all of them at its beginning.

    Raises
    ------
    ConfigError
        If the topics are missing or `patients` is out of its range.
    BrokerError
        If Kafka is away at the start.
    """
    require_topics(config)
    slices = SLICES if spread else 1
    return asyncio.run(_run(config, LoadShape(patients, seconds, slices), on_second))


class LoadShape(NamedTuple):
    """How many, how long, and in how many portions of a second."""

    patients: int
    seconds: int
    slices: int


async def _run(config: Config, shape: LoadShape, on_second: Callable[[int], None]) -> Sent:
    kafka = config.kafka
    topic = topic_name("in", kafka.prefix)
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000
    load = await asyncio.to_thread(Load, LoadSpec(shape.patients, start_us, kafka.partitions))
    records = chunks = size = 0
    late_s = 0.0
    async with LogWriter(kafka.broker) as writer:
        for second in range(shape.seconds):
            parts: list[list[LogEntry]] = [[] for _ in range(shape.slices)]
            for entry in load.second(second):
                parts[entry.partition * shape.slices // kafka.partitions].append(entry)
            for place, part in enumerate(parts):
                due_s = start_us / 1e6 + second + place / shape.slices
                await asyncio.sleep(max(0.0, due_s - time.time()))
                rows = [_message(topic, entry) for entry in part]
                await writer.send_all(rows)
                records += len(rows)
                size += sum(len(row.value or b"") for row in rows)
                chunks += sum(len(getattr(entry.record, "chunks", ())) for entry in part)
                if rows:  # while the waveforms are being made, nothing is due
                    late_s = max(late_s, time.time() - due_s)
            on_second(second)
    return Sent(shape.seconds, records, chunks, size, round(late_s, 3))


def _message(topic: str, entry: LogEntry) -> Message:
    value = encode(entry.record)
    return Message(topic, entry.partition, time.time_ns() // 1000, None, value)
