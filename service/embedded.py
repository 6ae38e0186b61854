"""The engine in this process, on an in-memory log: replay, demo and tests. No services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from streams.codec import admit
from streams.history import LogEntry
from streams.processor import Outputs, Processor
from streams.records import LogRecord

BATCH = 4096  # records per feed; results do not depend on it


def numbered(entries: Iterable[LogEntry]) -> Iterator[LogRecord]:
    """Log records with the offsets a broker would have given them, checked as decoding checks."""
    offsets: dict[int, int] = {}
    for partition, append_us, record in entries:
        offset = offsets.get(partition, 0)
        offsets[partition] = offset + 1
        yield admit(record, partition, offset, append_us)


def run(
    processor: Processor, records: Iterable[LogRecord], batch: int = BATCH
) -> Iterator[Outputs]:
    """Feed everything in order and yield what came out of each batch."""
    remaining = iter(records)
    while part := list(islice(remaining, batch)):
        yield processor.feed(part)
