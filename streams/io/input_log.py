"""The input topic for a host that restores patients: what holds the samples they need again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, Protocol

from streams.io.kafka_read import read_stretches


class RawRecord(NamedTuple):
    """One record as it came off the log."""

    partition: int
    offset: int
    append_us: int
    value: bytes


class InputLog(Protocol):
    """The input topic, for what restored patients must read again."""

    def read(self, wanted: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[RawRecord]]:
        """Records `[start, stop)` of partitions, in portions, in offset order per partition."""
        ...


class KafkaInput:
    """Reads stretches of the input topic without a group.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    topic : str
        Full name of the input topic.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic

    async def read(self, wanted: Mapping[int, tuple[int, int]]) -> AsyncIterator[list[RawRecord]]:
        """Records `[start, stop)` of partitions, in portions, in offset order per partition.

        Raises
        ------
        BrokerError
            If the broker is away, or (not retriable) the log no longer begins that early.
        """
        async for records in read_stretches(self._bootstrap, self._topic, wanted):
            yield [
                RawRecord(row.partition, row.offset, row.append_us, row.value) for row in records
            ]
