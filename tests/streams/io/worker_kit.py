"""What tests of whole workers share: a log of chunks, what it must give, waiting for its end."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator

import msgspec

from streams.codec import decode, encode
from streams.history import LogEntry
from streams.io.ingest import ingest
from streams.io.kafka_log import LogWriter
from streams.io.kafka_read import Stored, lag, read_topic
from streams.processor import Processor
from streams.records import Chunk

PARTITIONS = 8
BASE_US = 1_500_000_000_000_000
StartWorker = Callable[..., subprocess.Popen[bytes]]


def chunks(count: int) -> Iterator[tuple[int, Chunk]]:
    for index in range(count):
        at_us = BASE_US + index * 50_000
        data = bytes([index % 256, index // 256 % 256]) * 20
        yield (
            at_us + index % 7,
            Chunk(
                f"p{index % 13}",
                "d",
                "ecg",
                index,
                index * 20,
                at_us,
                400.0,
                "mV",
                1.0,
                0.0,
                0,
                data,
            ),
        )


def undisturbed(toy: Processor, log: list[LogEntry]) -> dict[int, list[bytes]]:
    """Outputs per partition of one pass without Kafka."""
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    found: dict[int, list[bytes]] = {partition: [] for partition in range(PARTITIONS)}
    for entry in log:
        row = decode(
            encode(entry.record), entry.partition, offsets[entry.partition], entry.append_us
        )
        offsets[entry.partition] += 1
        for output in toy.feed([row]).messages:
            if output.topic == "features":
                found[entry.partition].append(output.value)
    return found


def once_each(rows: list[Stored]) -> dict[int, list[bytes]]:
    """Values per partition in order of first appearance; a doubled id must be the same value."""
    found: dict[int, dict[tuple[str, int], bytes]] = {part: {} for part in range(PARTITIONS)}
    for row in rows:
        patient, count, *_ = msgspec.json.decode(row.value)
        known = found[row.partition].setdefault((patient, count), row.value)
        assert known == row.value
    return {partition: list(values.values()) for partition, values in found.items()}


async def drained(bootstrap: str, prefix: str, limit_s: float = 60.0) -> None:
    until_s = time.monotonic() + limit_s
    while left := await lag(bootstrap, prefix, f"{prefix}.in.v1"):
        assert time.monotonic() < until_s, f"{left} records are still not committed"
        await asyncio.sleep(0.2)


async def played(
    bootstrap: str, prefix: str, log: list[LogEntry], speed: float | None = None
) -> None:
    async with LogWriter(bootstrap) as writer:
        await ingest(log, writer, prefix=prefix, speed=speed)


async def published(bootstrap: str, prefix: str) -> list[Stored]:
    """All outputs, repeated ones among them."""
    return await read_topic(bootstrap, f"{prefix}.features.v1")


async def said(bootstrap: str, prefix: str) -> int:
    """How many outputs there are, repeated ones among them."""
    return len(await published(bootstrap, prefix))
