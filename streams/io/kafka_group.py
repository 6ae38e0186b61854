"""A consumer group member for sinks: poll, then commit what was polled. Never on the alert path."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from streams.errors import BrokerError
from streams.io.broker import client_options
from streams.io.kafka_log import REQUEST_TIMEOUT_MS, Stored, start_client, stop_client
from streams.io.kafka_read import stored
from streams.topics import MAX_MESSAGE_BYTES

POLL_MS = 500
POLL_RECORDS = 2000


class GroupConsumer:
    """Members of `group` share the topics; an offset is committed only by `commit`."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap,
            **client_options(bootstrap),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        self._next: dict[TopicPartition, int] = {}

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

    async def poll(self) -> list[Stored]:
        """Messages since the last poll, in order per partition; waits at most half a second."""
        try:
            batches = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        except KafkaError as error:
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot read: {error!r}") from error
        for part, records in batches.items():
            self._next[part] = records[-1].offset + 1
        return [stored(record) for records in batches.values() for record in records]

    async def commit(self) -> None:
        """Commit everything polled so far.

        Raises
        ------
        BrokerError
            If the group moved the partitions meanwhile, or the broker is away; the records come
            again, which an idempotent sink does not mind.
        """
        owned = self._consumer.assignment()
        offsets = {part: at for part, at in self._next.items() if part in owned}
        self._next.clear()
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, KafkaError) as error:
            raise BrokerError(f"Kafka at {self._bootstrap}: cannot commit: {error!r}") from error
