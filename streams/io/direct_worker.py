"""The direct worker: one `getmany` loop on aiokafka, behind the same host as the Faust worker.

Cheaper per record, and the way out should Faust change. Both may share a group's topics, never a
group: they assign partitions by different rules.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError

from streams.errors import BrokerError
from streams.io.broker import client_options
from streams.io.host_metrics import HostMetrics
from streams.io.input_log import RawRecord
from streams.io.kafka_log import append_us_of, start_client, stop_client
from streams.io.worker import BEAT_S, FETCH_BYTES, LEAVE_S, REBALANCE_S, SESSION_S, Worker
from streams.io.worker_settings import WorkerSettings
from streams.portions import ENOUGH_BYTES

WAIT_MS: Final = 250  # for the first record of a batch
# Not polled for so long, it leaves its group: restoring must fit, and a stuck engine is told of by
# the age of its frontier long before.
POLL_MS: Final = 1_800_000
_DELAY_S, _LAST_DELAY_S = 0.2, 5.0

log = logging.getLogger(__name__)


class DirectWorker(Worker):
    """Records by `getmany`, offsets by `commit`, positions always those of the host."""

    def __init__(self, settings: WorkerSettings, metrics: HostMetrics) -> None:
        super().__init__(settings, metrics)
        self._committed: dict[int, int] = {}
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap,
            **client_options(settings.bootstrap),
            group_id=settings.group,
            group_instance_id=settings.instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # the host refuses to jump, so a reset cannot hide
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=round(1000 * SESSION_S),
            heartbeat_interval_ms=round(1000 * BEAT_S),
            rebalance_timeout_ms=round(1000 * REBALANCE_S),
            max_poll_interval_ms=POLL_MS,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=settings.buffer_bytes,
        )

    async def join(self) -> None:
        """Subscribe, then carry records until the end."""
        self._consumer.subscribe([self.topic], listener=_Listener(self, self.topic))
        await start_client(self._consumer, self.settings.bootstrap)
        delay_s = _DELAY_S
        while not self.draining:
            await self.restored.wait()
            try:
                batch = await self._batch()
            except ConsumerStoppedError:
                return
            except KafkaError as error:
                if not error.retriable:
                    raise BrokerError(f"{self.topic} cannot be read: {error!r}") from error
                log.warning("reading %s: %r; again in %.1f s", self.topic, error, delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _LAST_DELAY_S)
                continue
            delay_s = _DELAY_S
            if batch or self.waiting or self.host.has_left:
                await self._process(batch)

    def failed(self) -> str | None:
        """Nothing ends it by itself: its duties are guarded."""
        return None

    async def commit(self, done: Mapping[int, int]) -> None:
        """Commit what moved; a rebalance may refuse it, then the next owner repeats it."""
        own = {part.partition for part in self._consumer.assignment() if part.topic == self.topic}
        moved = {
            number: offset
            for number, offset in done.items()
            if number in own and self._committed.get(number) != offset
        }
        if not moved:
            return
        try:
            await self._consumer.commit(
                {TopicPartition(self.topic, number): offset for number, offset in moved.items()}
            )
        except KafkaError as error:
            log.warning("offsets were not committed: %r", error)
        else:
            self._committed |= moved

    def end_of(self, partition: int) -> int | None:
        """Where the log ended at the last fetch."""
        part = TopicPartition(self.topic, partition)
        if part not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.highwater(part)
        return end

    async def place(self) -> None:
        """Seek to what the host expects; records read ahead from elsewhere are forgotten."""
        self._committed.clear()
        self.waiting.clear()
        for partition, offset in self.host.positions.items():
            try:
                self._consumer.seek(TopicPartition(self.topic, partition), offset)
            except IllegalStateError:  # moved on to somebody else: the next assignment says so
                log.info("partition %d is no longer ours", partition)

    def member_id(self) -> str:
        """What the group calls this consumer."""
        coordinator = self._consumer._coordinator
        return "" if coordinator is None else str(coordinator.member_id)

    async def leave(self) -> None:
        """Stop: everything is committed, and a named member does not take itself out."""
        await stop_client(self._consumer, LEAVE_S)

    async def close(self) -> None:
        """Nothing is left."""

    async def _batch(self) -> list[Any]:
        """Records of all partitions; the first ones wait a little for company, if they are few."""
        settings, take = self.settings, self.settings.take_records
        flooding = self.waiting.flooding() if self.waiting else set()
        others = [p for p in self._consumer.assignment() if p.partition not in flooding]
        if self.is_full() or (flooding and not others):
            return []
        wanted = others if flooding else []  # none named: all of them
        busy = bool(self.waiting) or self.host.has_left
        rows = await self._polled(0 if busy else WAIT_MS, take, wanted)
        until_s = time.monotonic() + settings.take_within_s
        while rows and not busy and len(rows) < take:
            left_ms = round(1000 * (until_s - time.monotonic()))
            if left_ms <= 0 or sum(len(row.value or b"") for row in rows) >= ENOUGH_BYTES:
                break
            rows += await self._polled(left_ms, take - len(rows), wanted)
        return rows

    async def _polled(self, wait_ms: int, most: int, wanted: Sequence[Any]) -> list[Any]:
        """What has been read by now; if that is nothing, what comes first."""
        found = await self._consumer.getmany(*wanted, timeout_ms=wait_ms, max_records=most)
        return [row for records in found.values() for row in records]

    async def _process(self, batch: Sequence[Any]) -> None:
        async with self.turn:
            # A rebalance in between: `place` seeks once state is there, and these come again.
            if self.draining or not self.restored.is_set():
                self.waiting.clear()
                return
            self.waiting.add(map(_raw, batch))
            await self.feed_next()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes on what the group decides."""

    def __init__(self, worker: Worker, topic: str) -> None:
        self._worker = worker
        self._topic = topic

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._worker.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._worker.assigned([part.partition for part in assigned if part.topic == self._topic])


def _raw(row: Any) -> RawRecord:
    return RawRecord(
        row.partition, row.offset, append_us_of(row.headers, row.timestamp), row.value or b""
    )
