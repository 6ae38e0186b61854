"""A log of history onto Kafka as a gateway would write it, at its own pace or full speed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple

from streams.codec import encode
from streams.errors import ConfigError
from streams.history import LogEntry
from streams.io.kafka_log import LogWriter, Message
from streams.records import SignalBundle, Tick
from streams.topics import DEFAULT_PREFIX, topic_name

_BATCH_RECORDS = 500
_BATCH_BYTES = 8 * 1024 * 1024


class IngestReport(NamedTuple):
    """What was written. Every record counted here was acknowledged by the broker."""

    records: int
    ticks: int
    chunks: int
    size_bytes: int
    seconds: float


async def ingest(
    log: Iterable[LogEntry],
    writer: LogWriter,
    *,
    prefix: str = DEFAULT_PREFIX,
    speed: float | None = None,
) -> IngestReport:
    """Write a partitioned log to the input topic with its recorded append times.

    Parameters
    ----------
    log : iterable of LogEntry
        From `streams.history.partitioned_log`: routed, bundled, with ticks.
    writer : LogWriter
        Started.
    prefix : str
        Namespace of the topics.
    speed : float or None
        1 plays in real time, N N times as fast; None as fast as the broker takes it.

    Returns
    -------
    IngestReport
        Counts of what the broker has acknowledged.

    Raises
    ------
    ConfigError
        If `speed` is not positive.
    BrokerError
        If a record can never be written.
    """
    if speed is not None and not speed > 0:
        raise ConfigError(f"speed: {speed}, must be above 0")
    topic = topic_name("in", prefix)
    batch: list[Message] = []
    counts = [0, 0, 0, 0]  # records, ticks, chunks, bytes
    batch_bytes = 0
    began_s = time.monotonic()
    first_us: int | None = None
    for entry in log:
        if first_us is None:
            first_us = entry.append_us
        if speed is not None:
            due_s = began_s + (entry.append_us - first_us) / 1e6 / speed
            if due_s > time.monotonic():
                await writer.send_all(batch)
                batch, batch_bytes = [], 0
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        message = _message(topic, entry)
        _count(counts, entry, len(message.value or b""))
        batch.append(message)
        batch_bytes += len(message.value or b"")
        if len(batch) >= _BATCH_RECORDS or batch_bytes >= _BATCH_BYTES:
            await writer.send_all(batch)
            batch, batch_bytes = [], 0
    await writer.send_all(batch)
    records, ticks, chunks, size_bytes = counts
    return IngestReport(records, ticks, chunks, size_bytes, time.monotonic() - began_s)


def _message(topic: str, entry: LogEntry) -> Message:
    key: bytes | None = None
    if not isinstance(entry.record, Tick | SignalBundle):
        key = entry.record.patient_id.encode()
    elif isinstance(entry.record, SignalBundle):
        patients = {chunk.patient_id for chunk in entry.record.chunks}
        key = patients.pop().encode() if len(patients) == 1 else None
    return Message(topic, entry.partition, entry.append_us, key, encode(entry.record))


def _count(counts: list[int], entry: LogEntry, size_bytes: int) -> None:
    counts[0] += 1
    counts[3] += size_bytes
    if isinstance(entry.record, Tick):
        counts[1] += 1
    elif isinstance(entry.record, SignalBundle):
        counts[2] += len(entry.record.chunks)
