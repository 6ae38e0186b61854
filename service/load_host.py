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
from streams.io.kafka_log import LogWriter, Message
from streams.records import SignalBundle
from streams.topics import topic_name


class Sent(NamedTuple):
    """What was written; the broker has acknowledged all of it."""

    seconds: int
    records: int
    chunks: int
    size_bytes: int
    late_s: float  # most that a second's records were written late


def run(config: Config, patients: int, seconds: int, on_second: Callable[[int], None]) -> Sent:
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

    Raises
    ------
    ConfigError
        If the topics are missing or `patients` is out of its range.
    BrokerError
        If Kafka is away at the start.
    """
    require_topics(config)
    return asyncio.run(_run(config, patients, seconds, on_second))


async def _run(
    config: Config, patients: int, seconds: int, on_second: Callable[[int], None]
) -> Sent:
    kafka = config.kafka
    topic = topic_name("in", kafka.prefix)
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000
    load = await asyncio.to_thread(Load, LoadSpec(patients, start_us, kafka.partitions))
    records = chunks = size = 0
    late_s = 0.0
    async with LogWriter(kafka.broker) as writer:
        for second in range(seconds):
            due_s = start_us / 1e6 + second
            await asyncio.sleep(max(0.0, due_s - time.time()))
            rows = []
            for entry in load.second(second):
                assert isinstance(entry.record, SignalBundle)
                value = encode(entry.record)
                now_us = time.time_ns() // 1000
                rows.append(Message(topic, entry.partition, now_us, None, value))
                chunks += len(entry.record.chunks)
                size += len(value)
            await writer.send_all(rows)
            records += len(rows)
            if rows:  # while the waveforms are being made, nothing is due
                late_s = max(late_s, time.time() - due_s)
            on_second(second)
    return Sent(seconds, records, chunks, size, round(late_s, 3))
