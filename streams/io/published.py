"""Which alert events are on their topic already, for a worker that is about to repeat work.

Ids of alerts are digests, so a repeated event is harmless; not sending it again saves every
subscriber from seeing it twice. Bounded: what cannot be found within `MOST` records is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import BrokerError
from streams.io.kafka_log import start_client, stop_client
from streams.io.kafka_peek import PEEK_BYTES, read_each
from streams.io.kafka_read import open_consumer, read_range

MOST: Final = 2_000  # newest alert events of a partition that are looked at
# An alert bears the append time of its patient's newest record; producers' clocks differ.
EARLIER_MS: Final = 60_000


class PublishedAlerts:
    """Reads the end of the alerts topic.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    source, alerts : str
        Full names of the input topic and of the topic of alerts.
    """

    def __init__(self, bootstrap: str, source: str, alerts: str) -> None:
        self._bootstrap = bootstrap
        self._source = source
        self._alerts = alerts

    async def since(self, starts: Mapping[int, int]) -> dict[int, set[bytes]]:
        """By partition the ids of alert events that records from these offsets on may cause.

        Those whose append time is not over a minute before that of the record at the offset, at
        most the newest `MOST` of a partition. Nothing to repeat: nothing is read.

        Raises
        ------
        BrokerError
            If the broker is away.
        """
        found: dict[int, set[bytes]] = {partition: set() for partition in starts}
        try:
            times_ms = await self._times_ms(starts)
            if times_ms:
                await self._collect(times_ms, found)
        except KafkaError as error:
            raise BrokerError(f"cannot read {self._alerts}: {error!r}") from error
        return found

    async def _times_ms(self, starts: Mapping[int, int]) -> dict[int, int]:
        """Append time of the record at each offset; absent where the log ends there."""
        consumer = open_consumer(self._bootstrap, fetch_bytes=PEEK_BYTES)
        await start_client(consumer, self._bootstrap)
        try:
            parts = {TopicPartition(self._source, number): at for number, at in starts.items()}
            found = await read_each(consumer, parts)
        finally:
            await stop_client(consumer)
        return {part.partition: row.append_us // 1000 for part, row in found.items()}

    async def _collect(self, times_ms: Mapping[int, int], found: dict[int, set[bytes]]) -> None:
        consumer = open_consumer(self._bootstrap)
        await start_client(consumer, self._bootstrap)
        try:
            parts = {
                TopicPartition(self._alerts, number): max(0, at_ms - EARLIER_MS)
                for number, at_ms in times_ms.items()
            }
            consumer.assign(list(parts))
            ends = await consumer.end_offsets(list(parts))
            firsts = await consumer.offsets_for_times(parts)
            starts = {
                part: max(at.offset, ends[part] - MOST)
                for part, at in firsts.items()
                if at is not None
            }
            if not starts:
                return
            async for row in read_range(consumer, starts, starts):
                found[row.partition].add(event_id(row.headers))
        finally:
            await stop_client(consumer)


def event_id(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """The CloudEvents id among the headers of an alert event; empty for another record."""
    return next((value for name, value in headers if name == "ce_id"), b"")
