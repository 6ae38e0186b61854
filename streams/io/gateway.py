"""A gateway's side of the log: bundle many devices' chunks, keep them on disk, send in order.

Records cost more than bytes, so chunks of one partition share a record every `bundle_s`. What
`put` took and a bundle period has passed over is on disk before it is sent: Kafka may be away and
the process may be killed. Sent twice after a crash is harmless: samples are counted by the device.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.codec import admit, chunk_fault, encode
from streams.errors import ConfigError, SourceError
from streams.io.kafka_log import LogWriter, Message
from streams.io.spool import Entry, Spool
from streams.partition import PARTITIONS, partition_of
from streams.records import Chunk, ClinicalEvent, DeviceStatus, SignalBundle
from streams.topics import DEFAULT_PREFIX, topic_name

MAX_BUNDLE_BYTES: Final = 512 * 1024
SEND_RECORDS: Final = 500
SEND_BYTES: Final = 8 * 1024 * 1024
IDLE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """Where to send and how.

    Raises
    ------
    ConfigError
        If a number is out of its range.
    """

    bootstrap: str  # may be a `streams.io.broker.Broker`
    spool: Path
    prefix: str = DEFAULT_PREFIX
    partitions: int = PARTITIONS  # as at `vigil init`; a wrong count sends patients astray
    bundle_s: float = 0.5
    max_spool_bytes: int = 4 * 1024**3
    durable: bool = False  # wait for the disk at every bundle

    def __post_init__(self) -> None:
        if not 0.01 <= self.bundle_s <= 10:
            raise ConfigError(f"bundle_s: {self.bundle_s}, must be 0.01 to 10")
        if self.partitions < 1 or self.max_spool_bytes < 1:
            raise ConfigError("partitions and max_spool_bytes: must be above 0")


class Gateway:
    """Takes chunks, facts and device states from any task of one event loop.

    Examples
    --------
    >>> spec = GatewaySpec("127.0.0.1:29192", Path("/tmp/spool"))
    >>> async def play(chunks):
    ...     async with Gateway(spec) as gateway:
    ...         for chunk in chunks:
    ...             gateway.put(chunk)
    """

    def __init__(
        self, spec: GatewaySpec, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._spec, self._now_us = spec, now_us
        self._topic = topic_name("in", spec.prefix)
        self._spool = Spool(spec.spool, spec.max_spool_bytes, durable=spec.durable)
        self._writer = LogWriter(spec.bootstrap)  # connects by itself, and again
        self._open: dict[int, list[Chunk]] = {}
        self._size: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.sent = 0  # records the broker has acknowledged

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._bundle_on()),
            asyncio.create_task(self._send_on()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def put(self, record: Chunk | ClinicalEvent | DeviceStatus) -> None:
        """Take a record; a patient's records stay in the order they are put.

        Raises
        ------
        SourceError
            If the engine would refuse it; the message says why.
        SpoolFullError
            If Kafka has been away for longer than the disk lasts.
        """
        partition = partition_of(record.patient_id, self._spec.partitions)
        if isinstance(record, Chunk):
            fault = chunk_fault(record)
            if fault is not None:
                raise SourceError(f"chunk of {record.signal!r}: {fault[0]}: {fault[1]}")
            if self._size.get(partition, 0) + len(record.data) > MAX_BUNDLE_BYTES:
                self._close_bundles([partition])
            self._open.setdefault(partition, []).append(record)
            self._size[partition] = self._size.get(partition, 0) + len(record.data)
            return
        for refused in admit(record, 0, 0, 0).rejected:
            raise SourceError(f"{type(record).__name__}: {refused.reason}: {refused.detail}")
        self._close_bundles([partition])  # what came before it stays before it
        self._spool.append([Entry(partition, record.patient_id.encode(), encode(record))])

    def waiting_bytes(self) -> int:
        """Bytes on disk that the broker does not have yet; for a metric."""
        return self._spool.waiting_bytes()

    async def drain(self, timeout_s: float) -> bool:
        """Close the bundles and wait until the broker has everything; False when it has not."""
        self._close_bundles(list(self._open))
        deadline_s = time.monotonic() + timeout_s
        while self.waiting_bytes() and time.monotonic() < deadline_s:
            self._raise_failure()
            await asyncio.sleep(IDLE_S)
        return not self.waiting_bytes()

    async def close(self, timeout_s: float = 5.0) -> None:
        """Send what can be sent in time; the rest stays on disk for the next start."""
        try:
            await self.drain(timeout_s)
        finally:
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self._writer.close()
            self._spool.close()

    def _raise_failure(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()

    def _close_bundles(self, partitions: list[int]) -> None:
        bundles = [(p, chunks) for p in partitions if (chunks := self._open.get(p))]
        entries = [
            Entry(partition, _key(chunks), encode(SignalBundle(tuple(chunks))))
            for partition, chunks in bundles
        ]
        if entries:
            self._spool.append(entries)
        for partition, _ in bundles:
            del self._open[partition], self._size[partition]

    async def _bundle_on(self) -> None:
        while True:
            await asyncio.sleep(self._spec.bundle_s)
            self._close_bundles(list(self._open))

    async def _send_on(self) -> None:
        while True:
            entries, until = self._spool.read(SEND_RECORDS, SEND_BYTES)
            if not entries:
                await asyncio.sleep(IDLE_S)
                continue
            # The time of sending: before it nobody downstream could have known.
            now_us = self._now_us()
            await self._writer.send_all(
                [Message(self._topic, e.partition, now_us, e.key, e.value) for e in entries]
            )
            self._spool.forget(until)
            self.sent += len(entries)


def _key(chunks: list[Chunk]) -> bytes | None:
    """The patient, where a bundle is of one; the partition decides where it goes in any case."""
    patients = {chunk.patient_id for chunk in chunks}
    return patients.pop().encode() if len(patients) == 1 else None
