"""A group member that commits exactly what is done, however long that takes.

`streams.io.kafka_group` commits whole polls; here some events of a poll may be done long before
others, and a member may wait for hours on its target without losing its partitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from streams.errors import BrokerError
from streams.io.broker import client_options
from streams.io.kafka_log import REQUEST_TIMEOUT_MS, Stored, start_client, stop_client
from streams.io.kafka_read import stored
from streams.topics import MAX_MESSAGE_BYTES

POLL_MS = 250
POLL_RECORDS = 500
PATIENCE_MS = 7 * 86_400_000  # between polls; a dead process is noticed by its missing heartbeats


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class TrackedConsumer:
    """One member of a group.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    group : str
        Members of it share the topics.
    topics : sequence of str
        Full names.
    start : str
        Where a partition without a commit begins: "latest" or "earliest". The beginning is
        committed at once, so that a crash before the first event loses nothing.
    """

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], start: str) -> None:
        self._bootstrap = bootstrap
        self._consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap,
            **client_options(bootstrap),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset=start,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            max_poll_interval_ms=PATIENCE_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        self._anchored: set[TopicPartition] = set()

    async def __aenter__(self) -> Self:
        await start_client(self._consumer, self._bootstrap)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await stop_client(self._consumer)

    def owned(self) -> frozenset[Place]:
        """The partitions this member has now."""
        return frozenset(Place(part.topic, part.partition) for part in self._consumer.assignment())

    async def poll(self) -> list[Stored]:
        """New messages, in order per partition; waits a quarter of a second at most.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        try:
            await self._anchor()
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except KafkaError as error:
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot read: {error!r}") from error
        return [stored(record) for records in batches.values() for record in records]

    async def commit(self, done: Mapping[Place, int]) -> None:
        """Commit the next offset to read of each partition that is still ours.

        Raises
        ------
        BrokerError
            If the group moved the partitions meanwhile, or the broker is away; the records come
            again.
        """
        owned = self._consumer.assignment()
        offsets = {
            part: offset for place, offset in done.items() if (part := _part(place)) in owned
        }
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, KafkaError) as error:
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot commit: {error!r}") from error

    async def _anchor(self) -> None:
        """Fix where a group begins that has not committed yet."""
        owned = self._consumer.assignment()
        self._anchored &= owned
        fresh = owned - self._anchored
        starts = {
            part: await self._consumer.position(part)
            for part in fresh
            if await self._consumer.committed(part) is None
        }
        if starts:
            await self._consumer.commit(starts)
        self._anchored |= fresh


def _part(place: Place) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)
