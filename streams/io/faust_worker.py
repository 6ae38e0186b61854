"""The Faust worker: the only file that knows Faust. It carries records; `Host` does the rest.

Faust 0.15.3 loses data in its defaults, so: manual acks held until state is stored, outputs through
an own idempotent producer that is awaited, no tables, no windows, no web server, and no exception
may leave the agent, because Faust would acknowledge the event that raised it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.codec import encode
from streams.errors import BrokerError, ConfigError, VigilError
from streams.io.broker import security_of
from streams.io.host import Connections, Host, RawRecord
from streams.io.host_metrics import HostMetrics, SilentMetrics
from streams.io.input_log import KafkaInput
from streams.io.kafka_admin import check_topics
from streams.io.kafka_log import LogWriter, Message, append_us_of
from streams.io.kafka_read import spans
from streams.io.state_store import StateStore
from streams.processor import Processor
from streams.records import Tick
from streams.topics import DEFAULT_PREFIX, topic_name

DRAIN_S = 4.5  # a supervisor's SIGKILL commonly follows SIGTERM after 10 s
WATCH_S = 1.0
REWIND_S = 3.0  # Faust redelivers after a rebalance by itself; later we ask again
FETCH_S = 1.2  # Faust's fetch lasts at most 1 s
MAX_REWINDS = 6  # without any progress; then a restart may help
LOST_S = 60.0  # for one partition, while others go on
FATAL_EXIT = 70  # EX_SOFTWARE: the supervisor restarts us from the replay point

log = logging.getLogger(__name__)


def _as_it_is(tick: Tick) -> Tick:
    return tick


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker joins its group. Two workers of a group differ in `instance`."""

    bootstrap: str
    prefix: str = DEFAULT_PREFIX
    group: str = "vigil"
    instance: str = field(default_factory=socket.gethostname)  # the same after a restart
    ticks: Literal["wall", "recorded"] = "wall"
    tick_s: float = 5.0
    checkpoint_s: float = 5.0
    snapshot_s: float = 30.0  # every patient's state is stored this often
    take_records: int = 256
    take_within_s: float = 0.1
    buffer_bytes: int = 64 * 1024 * 1024  # of records read ahead
    record_bytes: int = 128 * 1024  # what one record is expected to weigh
    datadir: str | None = None
    sign: Callable[[Tick], Tick] = _as_it_is  # see `streams.signing`

    def __post_init__(self) -> None:
        if self.ticks not in ("wall", "recorded"):
            raise ConfigError(f"ticks: {self.ticks!r}, must be 'wall' or 'recorded'")
        if min(self.tick_s, self.checkpoint_s, self.snapshot_s, self.take_within_s) <= 0:
            raise ConfigError("tick_s, checkpoint_s, snapshot_s and take_within_s: must be above 0")
        if not self.group or not self.instance:
            raise ConfigError("group and instance: must not be empty")

    @property
    def share(self) -> float:
        """Of the patients, how many are stored at one checkpoint."""
        return min(1.0, self.checkpoint_s / self.snapshot_s)

    @property
    def buffered_records(self) -> int:
        """Faust's buffers count records; ours are limited by weight."""
        return max(16, self.buffer_bytes // self.record_bytes)


def run_worker(
    settings: WorkerSettings,
    processor_factory: Callable[[], Processor],
    metrics: HostMetrics | None = None,
) -> int:
    """Run one worker until SIGTERM or SIGINT; the process's main thread.

    Parameters
    ----------
    settings : WorkerSettings
        Where and how to join.
    processor_factory : callable
        Makes the engine; called once.
    metrics : HostMetrics, optional
        Where figures go.

    Returns
    -------
    int
        Exit status: 0 after a drain, `FATAL_EXIT` when Faust or the engine failed and a restart
        is needed. Nothing acknowledged is lost in either case.

    Raises
    ------
    ConfigError
        If a topic is missing or wrong.
    BrokerError
        If Kafka does not answer at the start.
    """
    faults = check_topics(settings.bootstrap, settings.prefix)
    if faults:
        raise ConfigError("; ".join(faults))
    return asyncio.run(_Worker(settings, metrics or SilentMetrics()).run(processor_factory))


class _Worker:
    """One worker's life. Every step that touches the host holds `_turn`."""

    def __init__(self, settings: WorkerSettings, metrics: HostMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topic = topic_name("in", settings.prefix)
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._draining = False
        self._restored = asyncio.Event()
        self._restoring: asyncio.Task[None] | None = None
        self._held: dict[int, list[Any]] = {}  # events to acknowledge, without their payload
        self._progress_s = time.monotonic()
        self._rewinds = 0

    async def run(self, processor_factory: Callable[[], Processor]) -> int:
        settings = self._settings
        self._writer = LogWriter(settings.bootstrap)
        await self._writer.start()
        states = StateStore(settings.bootstrap, topic_name("state", settings.prefix), self._writer)
        source = KafkaInput(settings.bootstrap, self._topic)
        connected = Connections(self._writer, states, source, settings.sign)
        self._host = Host(processor_factory(), connected, settings.prefix, self._metrics)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._app = _app(settings)
        self._app.agent(
            self._app.topic(self._topic, key_serializer="raw", value_serializer="raw"),
            name="vigil",
        )(self._agent)
        self._app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        started = asyncio.create_task(self._guard(self._app.start))
        tasks = [asyncio.create_task(self._guard(work)) for work in self._duties()]
        while not (self._stopping.is_set() or self._app.should_stop):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=0.2)
        return await self._end([started, *tasks])

    def _duties(self) -> list[Callable[[], Any]]:
        duties: list[Callable[[], Any]] = [self._checkpoints, self._watch]
        if self._settings.ticks == "wall":
            duties.append(self._ticks)
        return duties

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> int:
        """Drain in bounded time; what is not drained is redelivered to the next owner."""
        failed = self._app.should_stop
        self._metrics.ready(False)
        if failed:
            log.error("Faust stopped by itself: %r", self._app.crash_reason)
            os._exit(FATAL_EXIT)
        try:
            async with asyncio.timeout(DRAIN_S):
                async with self._turn:
                    self._draining = True
                    await self._store_and_ack()
                await self._app.consumer.commit()
                for task in tasks[1:]:
                    task.cancel()
                await self._app.stop()
                await self._writer.close(timeout_s=0.5)
        except TimeoutError:
            log.warning("not drained within %.1f s; the rest is redelivered", DRAIN_S)
            os._exit(0)
        return 0

    async def _guard(self, work: Callable[[], Any]) -> None:
        """Run a duty; whatever it raises ends the process, because Faust would carry on."""
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except VigilError as error:
            log.critical("worker stops: %s", error)
            os._exit(FATAL_EXIT)
        except Exception:
            log.critical("worker stops: a bug outside any patient", exc_info=True)
            os._exit(FATAL_EXIT)

    async def _agent(self, stream: Any) -> None:
        await self._guard(lambda: self._consume(stream))

    async def _consume(self, stream: Any) -> None:
        settings = self._settings
        batches = stream.noack_take(settings.take_records, within=settings.take_within_s)
        async for events in batches:
            await self._restored.wait()
            async with self._turn:
                if self._draining:
                    continue
                await self._process(events)

    async def _process(self, events: Sequence[Any]) -> None:
        records = [_raw(event.message) for event in events]
        before = self._host.positions
        await self._host.process(records)
        positions = self._host.positions
        if positions != before:
            self._progress_s, self._rewinds = time.monotonic(), 0
        for event, record in zip(events, records, strict=True):
            if record.offset < positions.get(record.partition, 0):
                event.message.value = None  # held only for its acknowledgement
                event.value = None
                self._held.setdefault(record.partition, []).append(event)

    async def _watch(self) -> None:
        """Notice records that Faust skipped and ask for them again.

        Measured: after a worker slept past its session, Faust rebalances twice at once and goes
        on hundreds of records too late. The host refuses to jump; somebody has to rewind.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            if self._turn.locked() or self._draining or not self._restored.is_set():
                continue
            idle_s = time.monotonic() - self._progress_s
            if not (self._host.early(REWIND_S) or (idle_s > REWIND_S and self._behind())):
                continue
            if self._rewinds >= MAX_REWINDS or self._host.early(LOST_S):
                raise BrokerError(f"records of {self._topic} do not arrive; restart to look again")
            self._rewinds += 1
            await self._rewind()

    def _behind(self) -> bool:
        consumer = self._app.consumer
        return any(
            (consumer.highwater(TP(self._topic, partition)) or 0) > position
            for partition, position in self._host.positions.items()
        )

    async def _rewind(self) -> None:
        """Go back to the committed offsets, as Faust itself does; doubles are skipped."""
        log.warning("asking again from the committed offsets")
        consumer = self._app.consumer
        consumer.stop_flow()
        try:
            await asyncio.sleep(FETCH_S)  # what is being fetched must not move the position again
            await consumer.perform_seek()
        except KafkaError as error:
            log.warning("rewind: %r", error)
        finally:
            consumer.resume_flow()
        self._progress_s = time.monotonic()

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(self._settings.checkpoint_s)
            async with self._turn:
                if not self._draining:
                    await self._store_and_ack(self._settings.share)

    async def _store_and_ack(self, share: float = 1.0) -> None:
        """Outputs are out; store state, then acknowledge. Never in another order."""
        for partition, offset in (await self._host.checkpoint(share)).items():
            held = self._held.get(partition, [])
            for event in held:
                if event.message.offset < offset:
                    event.ack()
            self._held[partition] = [e for e in held if e.message.offset >= offset]
            end = self._app.consumer.highwater(TP(self._topic, partition))
            if end is not None:
                self._metrics.lag(partition, max(0, end - offset))

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick_s)
            now_us = time.time_ns() // 1000
            value = encode(self._settings.sign(Tick(now_us)))
            await self._writer.send_all(
                [
                    Message(self._topic, partition, now_us, None, value)
                    for partition in sorted(self._host.positions)
                ]
            )

    async def _on_assigned(self, app: Any, assigned: Iterable[TP], **_: Any) -> None:
        partitions = sorted(part.partition for part in assigned if part.topic == self._topic)
        self._restored.clear()
        self._metrics.ready(False)
        self._restoring = asyncio.create_task(self._guard(lambda: self._restore(partitions)))

    async def _restore(self, partitions: Sequence[int]) -> None:
        """Load what other owners left, trying again for as long as the broker is away."""
        delay_s = 0.2
        while True:
            try:
                async with self._turn:
                    starts = await self._replay_points(partitions)
                    await self._host.restore(starts)
            except BrokerError as error:
                if not error.retriable:
                    raise
                log.warning("restore: %s; again in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, 5.0)
            else:
                break
        self._restored.set()
        self._metrics.ready(bool(self._host.positions))  # without partitions nobody is watched
        log.info("restored %d partitions", len(partitions))

    async def _replay_points(self, partitions: Sequence[int]) -> dict[int, int]:
        if not partitions:
            return {}
        settings = self._settings
        found = await spans(settings.bootstrap, settings.group, self._topic, partitions)
        return {
            partition: span.checked(self._topic, partition) for partition, span in found.items()
        }

    async def _on_revoked(self, app: Any, revoked: Iterable[TP], **_: Any) -> None:
        """Store what is done, then forget; in bounded time, the group is waiting."""
        self._restored.clear()
        if self._restoring is not None:
            self._restoring.cancel()
        partitions = [part.partition for part in revoked if part.topic == self._topic]
        async with self._turn:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._host.checkpoint()
            except TimeoutError:
                log.warning("revoked before state was stored; the next owner repeats it")
            for partition in partitions:
                self._held.pop(partition, None)
            await self._host.drop(partitions)


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
        datadir=settings.datadir or tempfile.mkdtemp(prefix="vigil-faust-"),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=settings.buffered_records,
        stream_publish_on_commit=False,
        broker_max_poll_records=settings.buffered_records,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=15.0,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        consumer_group_instance_id=settings.instance,
    )
