"""Single records of Kafka partitions by their offsets; whole stretches are `kafka_read`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.io.kafka_log import Stored
from streams.io.kafka_read import stored

PEEK_BYTES: Final = 1024 * 1024  # of a partition at once: a batch larger than this comes alone
PEEK_S: Final = 5.0


async def read_each(
    consumer: AIOKafkaConsumer, places: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Stored]:
    """The record at an offset of each partition, or the first one after it.

    Absent where the log ends before it, or nothing came for five seconds.
    """
    consumer.assign(list(places))
    ends = await consumer.end_offsets(list(places))
    for part, offset in places.items():
        consumer.seek(part, offset)
    left = {part for part, offset in places.items() if offset < ends[part]}
    found: dict[TopicPartition, Stored] = {}
    while left:
        batches = await consumer.getmany(*left, timeout_ms=round(1000 * PEEK_S), max_records=1)
        if not batches:
            break
        for part, records in batches.items():
            found[part] = stored(records[0])
            left.discard(part)
            consumer.pause(part)
    return found
