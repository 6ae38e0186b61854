"""The Faust worker: the only file that knows Faust. It carries records; `Worker` does the rest.

Faust 0.15.3 loses data in its defaults, so: manual acks held until state is stored, outputs through
an own idempotent producer that is awaited, no tables, no windows, no web server, and no exception
may leave the agent, because Faust would acknowledge the event that raised it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.io.broker import security_of
from streams.io.host_metrics import HostMetrics
from streams.io.input_log import RawRecord
from streams.io.kafka_log import append_us_of
from streams.io.worker import BEAT_S, FETCH_BYTES, LEAVE_S, REBALANCE_S, SESSION_S, Worker
from streams.io.worker_settings import WorkerSettings

FETCH_S = 1.2  # Faust's fetch lasts at most 1 s

log = logging.getLogger(__name__)


class FaustWorker(Worker):
    """Records by one Faust agent; an event is acknowledged when its partition is stored so far."""

    def __init__(self, settings: WorkerSettings, metrics: HostMetrics) -> None:
        super().__init__(settings, metrics)
        self._taken: dict[tuple[int, int], Any] = {}  # events of what waits, without their payload
        self._held: dict[int, list[Any]] = {}  # events to acknowledge
        self._came, self._room = asyncio.Event(), asyncio.Event()
        self._paused: set[int] = set()  # partitions that flood
        self._app = _app(settings)
        source = self._app.topic(self.topic, key_serializer="raw", value_serializer="raw")
        self._app.agent(source, name="vigil")(self._agent)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)

    async def join(self) -> None:
        """Start Faust."""
        self._forgive_lost_partitions()
        await self._app.start()

    def _forgive_lost_partitions(self) -> None:
        """Have the end of a partition that has just gone to somebody else be unknown.

        Measured: Faust asks for it while it hands on what it had fetched, aiokafka asserts that
        the partition is assigned, and all of Faust ends.
        """
        consumer = self._app.consumer
        asked = consumer.highwater

        def highwater(part: TP) -> int:
            try:
                return int(asked(part) or 0)
            except AssertionError:
                return 0

        consumer.highwater = highwater

    def failed(self) -> str | None:
        """Why Faust stopped by itself."""
        return f"Faust: {self._app.crash_reason!r}" if self._app.should_stop else None

    async def commit(self, done: Mapping[int, int]) -> None:
        """Acknowledge; Faust commits within half a second."""
        for partition, offset in done.items():
            held = self._held.get(partition, [])
            for event in held:
                if event.message.offset < offset:
                    event.ack()
            self._held[partition] = [e for e in held if e.message.offset >= offset]

    def end_of(self, partition: int) -> int | None:
        """Where the log ended at the last fetch."""
        return self._app.consumer.highwater(TP(self.topic, partition)) or None

    async def place(self) -> None:
        """Go back to the beginning where nothing is committed yet; elsewhere Faust does so itself.

        Measured: it drops what it has just fetched when a rebalance begins, and then goes back to
        the committed offsets; where there is none it goes back nowhere. The host skips doubles.
        """
        consumer = self._app.consumer
        for number in self.host.positions:
            part = TP(self.topic, number)
            if not consumer._committed_offset.get(part):
                try:
                    await consumer.seek(part, self.starts.get(number, 0))
                except KafkaError as error:  # somebody else's: the next assignment says so
                    log.info("partition %d is no longer ours: %r", number, error)

    def member_id(self) -> str:
        """What the group calls Faust's consumer."""
        coordinator = self._coordinator()
        return "" if coordinator is None else str(coordinator.member_id)

    async def leave(self) -> None:
        """Commit, then end aiokafka's part in the group: to stop all of Faust takes a second."""
        await self._app.consumer.commit()
        coordinator = self._coordinator()
        if coordinator is not None:
            closing = self._app.consumer._thread.call_thread(coordinator.close)
            with contextlib.suppress(TimeoutError):  # a rebalance is on: it ends without us
                await asyncio.wait_for(closing, LEAVE_S)

    async def close(self) -> None:
        """Stop Faust."""
        await self._app.stop()

    def _coordinator(self) -> Any:
        """Of Faust's aiokafka consumer, which lives in a thread of its own; None before it."""
        return getattr(self._app.consumer._thread._consumer, "_coordinator", None)

    async def rewind(self) -> None:
        """Go back to the committed offsets, as Faust itself does; doubles are skipped."""
        consumer = self._app.consumer
        consumer.stop_flow()
        try:
            await asyncio.sleep(FETCH_S)  # what is being fetched must not move the position again
            await consumer.perform_seek()
            await self.place()
        except KafkaError as error:
            log.warning("rewind: %r", error)
        finally:
            consumer.resume_flow()

    async def _agent(self, stream: Any) -> None:
        await self.guard(lambda: self._consume(stream))

    async def _consume(self, stream: Any) -> None:
        """Take what comes, also while something is fed: a flood is fed in portions between it."""
        feeding = asyncio.create_task(self.guard(self._feed))
        settings = self.settings
        try:
            batches = stream.noack_take(settings.take_records, within=settings.take_within_s)
            async for events in batches:
                for event in events:
                    self._take(event)
                self._came.set()
                self._hold_back()
                while self.is_full():
                    self._room.clear()
                    await self._room.wait()
        finally:
            feeding.cancel()

    def _take(self, event: Any) -> None:
        record = _raw(event.message)
        event.message.value = event.value = None  # kept only for its acknowledgement
        self._taken[record.partition, record.offset] = event
        self.waiting.add([record])

    def _hold_back(self) -> None:
        """Have Faust fetch nothing of partitions that flood."""
        consumer, flooding = self._app.consumer, self.waiting.flooding()
        for number in flooding:  # again: Faust resumes those whose own buffer is empty
            consumer.on_buffer_full(TP(self.topic, number))
        for number in self._paused - flooding:
            consumer.on_buffer_drop(TP(self.topic, number))
        self._paused = flooding

    async def _feed(self) -> None:
        """Feed portion by portion, not while a rebalance is on; to drop them would be to skip."""
        while True:
            await self._came.wait()
            await self.restored.wait()
            async with self.turn:
                if self.draining:
                    return
                if self.restored.is_set():
                    await self._feed_portion()

    async def _feed_portion(self) -> None:
        records = await self.feed_next()
        positions = self.host.positions
        for record in records:
            event = self._taken.pop((record.partition, record.offset), None)
            if event is not None and record.offset < positions.get(record.partition, 0):
                self._held.setdefault(record.partition, []).append(event)
        self._hold_back()
        self._room.set()
        if not self.waiting and not self.host.has_left:
            self._came.clear()

    async def _on_assigned(self, app: Any, assigned: Iterable[TP], **_: Any) -> None:
        self.assigned([part.partition for part in assigned if part.topic == self.topic])

    async def _on_revoked(self, app: Any, revoked: Iterable[TP], **_: Any) -> None:
        await self.revoked()
        self._held.clear()  # Faust delivers again what was not committed
        self._paused.clear()


def _raw(message: Any) -> RawRecord:
    timestamp_ms = round(message.timestamp * 1000) if message.timestamp else 0
    append_us = append_us_of(message.headers, timestamp_ms)
    return RawRecord(message.partition, message.offset, append_us, message.value or b"")


def _credentials(bootstrap: str) -> Any:
    """Faust's own words for how to be let in; None where everybody is."""
    security = security_of(bootstrap)
    context = security.context()
    if security.sasl:
        return faust.SASLCredentials(
            username=security.user,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context=context)


def _app(settings: WorkerSettings) -> Any:
    """Faust with the settings under which it loses nothing (see `docs/adr`)."""
    return faust.App(
        settings.group,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings.bootstrap),
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        datadir=settings.datadir,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=settings.buffered_records,
        stream_publish_on_commit=False,
        broker_max_poll_records=settings.buffered_records,
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=BEAT_S,
        broker_rebalance_timeout=REBALANCE_S,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_group_instance_id=settings.instance,
    )
