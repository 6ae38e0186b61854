"""Reading Kafka without a group: a topic to its end, a range, a lag, or for ever.

Writing is `streams.io.kafka_log`; the group that processes the input is the worker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import BrokerError
from streams.io.broker import client_options
from streams.io.kafka_log import (
    REQUEST_TIMEOUT_MS,
    Stored,
    append_us_of,
    start_client,
    stop_client,
)
from streams.topics import MAX_MESSAGE_BYTES

_Kept = TypeVar("_Kept")


def open_consumer(
    bootstrap: str, group: str | None = None, fetch_bytes: int = MAX_MESSAGE_BYTES
) -> AIOKafkaConsumer:
    """A consumer that joins no group, commits nothing and takes our largest messages."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        **client_options(bootstrap),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=200,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )


def stored(record: Any) -> Stored:
    """What aiokafka read, in our words."""
    return Stored(
        record.topic,
        record.partition,
        record.offset,
        append_us_of(record.headers, record.timestamp),
        record.key,
        record.value or b"",
        tuple(record.headers),
    )


async def read_range(
    consumer: AIOKafkaConsumer,
    partitions: Iterable[TopicPartition],
    since: Mapping[TopicPartition, int] | None = None,
) -> AsyncIterator[Stored]:
    """Everything in these partitions up to their present ends, by partition in offset order.

    `since`: first offsets to read, instead of the beginnings.

    Raises
    ------
    BrokerError
        If nothing arrives for 30 s although the end is not reached.
    """
    wanted = list(partitions)
    consumer.assign(wanted)
    ends = await consumer.end_offsets(wanted)
    starts = since if since is not None else await consumer.beginning_offsets(wanted)
    left = {part for part in wanted if ends[part] > starts[part]}
    for part in wanted:
        consumer.seek(part, starts[part])
    loop = asyncio.get_running_loop()
    heard_s = loop.time()
    while left:
        batches = await consumer.getmany(*left, timeout_ms=500)
        for part, records in batches.items():
            for record in records:
                if record.offset < ends[part]:
                    yield stored(record)
            heard_s = loop.time()
        for part in list(left):
            if await consumer.position(part) >= ends[part]:
                left.discard(part)
        if left and loop.time() - heard_s > 30.0:
            raise BrokerError(f"nothing read for 30 s from {sorted(left)}: is the broker ill?")


async def read_stretches(
    bootstrap: str, topic: str, wanted: Mapping[int, tuple[int, int]]
) -> AsyncIterator[list[Stored]]:
    """Records `[start, stop)` of some partitions, in portions, in offset order per partition.

    Raises
    ------
    BrokerError
        If the broker is away, or (not retriable) the log no longer begins that early.
    """
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    try:
        parts = {TopicPartition(topic, number): span for number, span in wanted.items()}
        consumer.assign(list(parts))
        begins = await consumer.beginning_offsets(list(parts))
        ends = await consumer.end_offsets(list(parts))
        for part, (start, stop) in parts.items():
            if begins[part] > start or ends[part] < stop:
                raise _forgotten(part, (start, stop), (begins[part], ends[part]))
            consumer.seek(part, start)
        left = {part for part, (start, stop) in parts.items() if start < stop}
        while left:
            batches = await asyncio.wait_for(consumer.getmany(*left, timeout_ms=5_000), 30.0)
            if not batches:
                raise BrokerError(f"nothing read from {topic}: is the broker ill?")
            for part, records in batches.items():
                stop = parts[part][1]
                yield [stored(record) for record in records if record.offset < stop]
                if await consumer.position(part) >= stop:
                    left.discard(part)
                    consumer.pause(part)
    except (KafkaError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read {topic}: {error!r}") from error
    finally:
        await stop_client(consumer)


async def read_places(
    bootstrap: str, topic: str, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Bytes of single records by (partition, offset); those the log no longer has are absent.

    Raises
    ------
    BrokerError
        If the broker is away or a record that is there does not come.
    """
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    found: dict[tuple[int, int], bytes] = {}
    try:
        wanted = sorted(places)
        parts = sorted({TopicPartition(topic, number) for number, _ in wanted})
        begins = await consumer.beginning_offsets(parts)
        ends = await consumer.end_offsets(parts)
        for number, offset in wanted:
            part = TopicPartition(topic, number)
            if begins[part] <= offset < ends[part]:
                consumer.assign([part])
                consumer.seek(part, offset)
                record = await asyncio.wait_for(consumer.getone(part), 30.0)
                if record.offset == offset:  # else compacted, or the mark of a transaction
                    found[number, offset] = record.value or b""
    except (KafkaError, TimeoutError) as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read {topic}: {error!r}") from error
    finally:
        await stop_client(consumer)
    return found


def _forgotten(part: TopicPartition, span: tuple[int, int], held: tuple[int, int]) -> BrokerError:
    error = BrokerError(
        f"{part.topic} partition {part.partition}: stored engine state needs records "
        f"[{span[0]}, {span[1]}), the log holds [{held[0]}, {held[1]}): lengthen the retention or "
        "restore the log; start from a topic prefix of its own to go on without that state"
    )
    error.retriable = False
    return error


async def read_topic(bootstrap: str, topic: str) -> list[Stored]:
    """Every record of a topic up to its present end, by (partition, offset).

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    """
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    try:
        parts = await partitions_of_topic(consumer, topic)
        rows = [row async for row in read_range(consumer, parts)]
    except KafkaError as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read {topic}: {error!r}") from error
    finally:
        await stop_client(consumer)
    return sorted(rows, key=lambda row: (row.partition, row.offset))


async def read_since(
    bootstrap: str, topic: str, since_us: int, keep: Callable[[Stored], _Kept | None]
) -> list[_Kept]:
    """What `keep` makes of the records whose append time is `since_us` or later, None left out.

    Up to the topic's present end, by (partition, offset). Only what is kept is held.

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    """
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    kept: list[tuple[tuple[int, int], _Kept]] = []
    try:
        parts = await partitions_of_topic(consumer, topic)
        found = await consumer.offsets_for_times(dict.fromkeys(parts, since_us // 1000))
        starts = {part: at.offset for part, at in found.items() if at is not None}
        async for row in read_range(consumer, starts, starts):
            made = keep(row) if row.append_us >= since_us else None
            if made is not None:
                kept.append(((row.partition, row.offset), made))
    except KafkaError as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read {topic}: {error!r}") from error
    finally:
        await stop_client(consumer)
    return [made for _, made in sorted(kept, key=lambda item: item[0])]


async def read_between(
    bootstrap: str, topic: str, from_us: int, to_us: int
) -> AsyncIterator[Stored]:
    """Records of a topic with append time in `[from_us, to_us)`, by partition in offset order.

    The broker finds the start by its own timestamps, which are in whole milliseconds.

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    """
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    try:
        parts = await partitions_of_topic(consumer, topic)
        found = await consumer.offsets_for_times(dict.fromkeys(parts, max(0, from_us) // 1000))
        starts = {part: at.offset for part, at in found.items() if at is not None}
        async for row in read_range(consumer, starts, starts):
            if from_us <= row.append_us < to_us:
                yield row
    except KafkaError as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read {topic}: {error!r}") from error
    finally:
        await stop_client(consumer)


async def partitions_of_topic(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """The partitions of a topic, ascending.

    Raises
    ------
    BrokerError
        If the topic does not exist.
    """
    for _ in range(20):  # a topic that was just created takes a moment to be known
        # The public `partitions_for_topic` only knows topics already subscribed to.
        cluster = await consumer._client.fetch_all_metadata()
        numbers = cluster.partitions_for_topic(topic)
        if numbers:
            return [TopicPartition(topic, number) for number in sorted(numbers)]
        await asyncio.sleep(0.1)
    raise BrokerError(f"topic {topic} does not exist (run vigil init)")


class Span(NamedTuple):
    """Where a partition stands: what the log holds and what the group has committed."""

    start: int
    end: int
    committed: int | None

    @property
    def replay_point(self) -> int:
        """First offset the group has not committed."""
        return self.start if self.committed is None else self.committed

    def checked(self, topic: str, partition: int) -> int:
        """The replay point, if the log still has it: a silent reset would lose records.

        Raises
        ------
        BrokerError
            Not retriable, if the committed offset lies outside the log.
        """
        if not self.start <= self.replay_point <= self.end:
            error = BrokerError(
                f"{topic} partition {partition}: committed offset {self.replay_point} is outside "
                f"the log [{self.start}, {self.end}]: records were deleted unread or the topic "
                "was recreated; reset the group on purpose to go on"
            )
            error.retriable = False
            raise error
        return self.replay_point


async def spans(
    bootstrap: str, group: str, topic: str, partitions: Iterable[int] | None = None
) -> dict[int, Span]:
    """Log start, log end and committed offset of a group, per partition.

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    """
    consumer = open_consumer(bootstrap, group)
    await start_client(consumer, bootstrap)
    try:
        parts = await partitions_of_topic(consumer, topic)
        if partitions is not None:
            wanted = set(partitions)
            parts = [part for part in parts if part.partition in wanted]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        starts = await consumer.beginning_offsets(parts)
        return {
            part.partition: Span(starts[part], ends[part], await consumer.committed(part))
            for part in parts
        }
    except KafkaError as error:
        raise BrokerError(f"Kafka at {bootstrap}: cannot read offsets: {error!r}") from error
    finally:
        await stop_client(consumer)


async def lag(bootstrap: str, group: str, topic: str) -> int:
    """Records of a topic that a consumer group has not committed yet.

    Raises
    ------
    BrokerError
        If the broker is away or the topic does not exist.
    """
    found = await spans(bootstrap, group, topic)
    return sum(span.end - span.replay_point for span in found.values())


class LogReader:
    """Follows topics for ever without a group: `async for stored in reader`.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    topics : sequence of str
        Full names.
    start : str
        "earliest" or "latest".
    """

    def __init__(self, bootstrap: str, topics: Sequence[str], start: str = "latest") -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._start = start
        self._consumer = open_consumer(bootstrap)

    async def __aenter__(self) -> Self:
        await start_client(self._consumer, self._bootstrap)
        try:
            parts = [
                part
                for topic in self._topics
                for part in await partitions_of_topic(self._consumer, topic)
            ]
        except BrokerError:  # nobody calls __aexit__ for an entry that failed
            await stop_client(self._consumer)
            raise
        self._consumer.assign(parts)
        seek: Callable[..., Any] = self._consumer.seek_to_beginning
        if self._start == "latest":
            seek = self._consumer.seek_to_end
        await seek(*parts)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await stop_client(self._consumer)

    def __aiter__(self) -> AsyncIterator[Stored]:
        return self._follow()

    async def _follow(self) -> AsyncIterator[Stored]:
        async for record in self._consumer:
            yield stored(record)
