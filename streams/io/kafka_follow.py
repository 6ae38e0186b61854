"""Follow topics without a group from any position: a time, offsets, the beginning or the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import BrokerError
from streams.io.kafka_log import Stored, start_client, stop_client
from streams.io.kafka_read import open_consumer, partitions_of_topic, stored

POLL_MS = 250

Start = str | int | Mapping[int, int]  # earliest or latest; µs UTC; partition to offset


class Follower:
    """Reads everything from a position on: `poll` again and again.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    topics : sequence of str
        Full names.
    start : str, int or mapping
        "earliest", "latest", an append time in µs (the first record at or after it, in whole
        milliseconds), or offsets by partition: then only those partitions are read.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str], start: Start) -> None:
        self._bootstrap, self._topics, self._start = bootstrap, topics, start
        self._consumer = open_consumer(bootstrap)

    async def __aenter__(self) -> Self:
        await start_client(self._consumer, self._bootstrap)
        try:
            await self._place()
        except (BrokerError, KafkaError) as error:  # nobody calls __aexit__ for a failed entry
            await stop_client(self._consumer)
            if isinstance(error, BrokerError):
                raise
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot seek: {error!r}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await stop_client(self._consumer)

    async def poll(self, timeout_ms: int = POLL_MS) -> list[Stored]:
        """What came since the last poll, in order per partition.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        try:
            batches = await self._consumer.getmany(timeout_ms=timeout_ms)
        except KafkaError as error:
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot read: {error!r}") from error
        return [stored(record) for records in batches.values() for record in records]

    async def _place(self) -> None:
        """Take the partitions and stand where reading begins."""
        parts = [
            part
            for topic in self._topics
            for part in await partitions_of_topic(self._consumer, topic)
        ]
        start = self._start
        if isinstance(start, Mapping):
            parts = [part for part in parts if part.partition in start]
        self._consumer.assign(parts)
        if isinstance(start, Mapping):
            for part in parts:
                self._consumer.seek(part, start[part.partition])
        elif isinstance(start, int):
            await self._seek_time(parts, start // 1000)
        elif start == "earliest":
            await self._consumer.seek_to_beginning(*parts)
        else:
            await self._consumer.seek_to_end(*parts)

    async def _seek_time(self, parts: list[TopicPartition], at_ms: int) -> None:
        # The end is asked for first: what comes between the two questions must not be skipped.
        ends = await self._consumer.end_offsets(parts)
        found = await self._consumer.offsets_for_times(dict.fromkeys(parts, at_ms))
        for part in parts:
            place = found.get(part)
            self._consumer.seek(part, ends[part] if place is None else place.offset)
