"""One worker's life around its host, whichever library carries the records.

Here: the settings, starting and draining, ticks, checkpoints, restoring and handing over. How
records arrive and how offsets are committed is the carrier's (`faust_worker`, `direct_worker`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from streams.codec import encode
from streams.errors import BrokerError, ConfigError, VigilError
from streams.io.host import Connections, Host, RawRecord
from streams.io.host_metrics import HostMetrics, SilentMetrics
from streams.io.input_log import KafkaInput
from streams.io.kafka_admin import check_topics
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import spans
from streams.io.published import PublishedAlerts
from streams.io.state_store import StateStore
from streams.portions import Waiting
from streams.processor import Processor
from streams.records import Tick
from streams.topics import DEFAULT_PREFIX, topic_name

SESSION_S = 10.0  # a worker that does not beat for so long has lost its partitions
BEAT_S = 1.0  # also how soon the others hear of a rebalance
REBALANCE_S = 15.0
DRAIN_S = 4.5  # a supervisor's SIGKILL commonly follows SIGTERM after 10 s
REVOKE_S = 1.5  # the group stands still meanwhile; what is not stored is repeated
WATCH_S = 1.0
REWIND_S = 3.0  # a carrier redelivers after a rebalance by itself; later we ask again
MAX_REWINDS = 6  # without any progress; then a restart may help
LOST_S = 60.0  # for one partition, while others go on
FATAL_EXIT = 70  # EX_SOFTWARE: the supervisor restarts us from the replay point
SLICES = 16  # of the partitions, checkpointed one after the other: scores wait for one only
FETCH_BYTES = 4 * 1024 * 1024  # of one partition at once
BATCHES = 16  # taken off the log and waiting to be fed, at most

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
    snapshot_s: float = 60.0  # every patient's state is stored this often
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


def run(
    carrier: Callable[[WorkerSettings, HostMetrics], Worker],
    settings: WorkerSettings,
    processor_factory: Callable[[], Processor],
    metrics: HostMetrics | None = None,
) -> int:
    """Run one worker until SIGTERM or SIGINT; the process's main thread.

    Parameters
    ----------
    carrier, processor_factory : callable
        Make the worker, in its event loop, and the engine; each called once.
    settings : WorkerSettings
        Where and how to join.
    metrics : HostMetrics, optional
        Where figures go.

    Returns
    -------
    int
        0 after a drain, `FATAL_EXIT` when a restart is needed; nothing acknowledged is lost.

    Raises
    ------
    ConfigError
        If a topic is missing or wrong.
    BrokerError
        If Kafka does not answer at the start, or lets this user not into the group.
    """
    faults = check_topics(settings.bootstrap, settings.prefix)
    if faults:
        raise ConfigError("; ".join(faults))

    async def live() -> int:
        # Faust asks for ever, in silence, to be let into a group that is not its user's.
        await spans(settings.bootstrap, settings.group, topic_name("in", settings.prefix), [0])
        writer = LogWriter(settings.bootstrap)
        await writer.start()
        return await carrier(settings, metrics or SilentMetrics()).run(writer, processor_factory)

    return asyncio.run(live())


class Worker(ABC):
    """One worker. Every step that touches the host holds `turn`.

    Parameters
    ----------
    settings : WorkerSettings
        Where and how to join.
    metrics : HostMetrics
        Where figures go.
    """

    def __init__(self, settings: WorkerSettings, metrics: HostMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.topic = topic_name("in", settings.prefix)
        self.waiting: Waiting[RawRecord] = Waiting(FETCH_BYTES, settings.take_records)
        self.turn = asyncio.Lock()
        self.stopping = asyncio.Event()
        self.draining = False
        self.restored = asyncio.Event()
        self._restoring: asyncio.Task[None] | None = None
        self._progress_s = self._awake_s = time.monotonic()
        self._rewinds = 0
        self._doubt = False  # others may have had what is ours

    @abstractmethod
    async def join(self) -> None:
        """Join the group and begin to carry records."""

    @abstractmethod
    def failed(self) -> str | None:
        """Why the carrier ended by itself; None while it runs."""

    @abstractmethod
    async def commit(self, done: Mapping[int, int]) -> None:
        """Let the group know that everything below these offsets is published and stored."""

    @abstractmethod
    def end_of(self, partition: int) -> int | None:
        """Where the log ended when it was last looked at; None before."""

    @abstractmethod
    async def place(self) -> None:
        """Have the next record of every partition be the one the host expects."""

    @abstractmethod
    async def leave(self) -> None:
        """Commit what waits and stop carrying."""

    async def run(self, writer: LogWriter, processor_factory: Callable[[], Processor]) -> int:
        """Live until SIGTERM, SIGINT or a failure; the exit status. `writer` is started."""
        settings = self.settings
        self.writer = writer
        self.host = Host(processor_factory(), self._connections(), settings.prefix, self.metrics)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        duties = [self.join, self._checkpoints, self._watch]
        if settings.ticks == "wall":
            duties.append(self._ticks)
        tasks = [asyncio.create_task(self.guard(duty)) for duty in duties]
        while not self.stopping.is_set() and self.failed() is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), timeout=0.2)
        return await self._end(tasks)

    def _connections(self) -> Connections:
        bootstrap, prefix = self.settings.bootstrap, self.settings.prefix
        states = StateStore(bootstrap, topic_name("state", prefix), self.writer)
        alerts = PublishedAlerts(bootstrap, self.topic, topic_name("alerts", prefix))
        source = KafkaInput(bootstrap, self.topic)
        return Connections(self.writer, states, source, self.settings.sign, alerts)

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> int:
        """Drain in bounded time; what is not drained is redelivered to the next owner."""
        self.metrics.ready(False)
        failure = self.failed()
        if failure is not None:
            log.error("the worker ends: %s", failure)
            os._exit(FATAL_EXIT)
        try:
            async with asyncio.timeout(DRAIN_S):
                async with self.turn:
                    self.draining = True
                    await self.store()
                for task in tasks[1:]:
                    task.cancel()
                await self.leave()
                await self.writer.close(timeout_s=0.5)
        except TimeoutError:
            log.warning("not drained within %.1f s; the rest is redelivered", DRAIN_S)
            os._exit(0)
        return 0

    async def guard(self, work: Callable[[], Any]) -> None:
        """Run a duty; whatever it raises ends the process, because the carrier would carry on."""
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

    def is_full(self) -> bool:
        """Whether as much waits to be fed as may."""
        most = BATCHES * self.settings.take_records
        return len(self.waiting) >= most or self.waiting.weight > self.settings.buffer_bytes

    async def feed_next(self) -> list[RawRecord]:
        """Feed what comes first of what waits; the rest later, after what comes meanwhile."""
        if self.stood_still():
            return []
        before = self.host.positions
        records = self.waiting.next()
        await self.host.process(records)
        if self.host.positions != before:
            self.moved()
        return records

    def stood_still(self) -> bool:
        """Whether the process was stopped past its session; then it looks where others are first.

        The group tells it later: what others said meanwhile would be said again.
        """
        now_s = time.monotonic()
        still_s, self._awake_s = now_s - self._awake_s, now_s
        if still_s <= SESSION_S:
            return False
        self._doubt = True
        if not self.restored.is_set():
            return False  # it looks already
        log.warning("stood still for %.0f s; looking how far others are", still_s)
        self.assigned(sorted(self.host.positions))
        return True

    def moved(self) -> None:
        """The host took a record that was due."""
        self._progress_s, self._rewinds = time.monotonic(), 0

    async def store(self, share: float = 1.0, only: Collection[int] | None = None) -> None:
        """Outputs are out; store state, then commit. Never in another order."""
        done = await self.host.checkpoint(share, only)
        await self.commit(done)
        for partition, offset in done.items():
            end = self.end_of(partition)
            if end is not None:
                self.metrics.lag(partition, max(0, end - offset))

    def assigned(self, partitions: Sequence[int]) -> None:
        """Restore these partitions in the background: the group does not wait for it."""
        self.restored.clear()
        self.metrics.ready(False)
        if self._restoring is not None:
            self._restoring.cancel()
        self._restoring = asyncio.create_task(self.guard(lambda: self._restore(sorted(partitions))))

    async def revoked(self) -> None:
        """Store what is done, in bounded time: the group is waiting.

        What is owned stays in memory until the next assignment says what is owned then.
        """
        self.restored.clear()
        if self._restoring is not None:
            self._restoring.cancel()
        async with self.turn:
            try:
                async with asyncio.timeout(REVOKE_S):
                    await self.store()
            except TimeoutError:
                log.warning("revoked before all state was stored; its next owner repeats it")

    async def _restore(self, partitions: Sequence[int]) -> None:
        """Load what other owners left, trying again for as long as the broker is away."""
        delay_s, began_s, loaded = 0.2, time.monotonic(), list[int]()
        while True:
            try:
                async with self.turn:
                    await self.host.keep(partitions)
                    starts = await self._replay_points(partitions)
                    self.stood_still()
                    loaded = await self.host.restore(starts, doubt=self._doubt)
                    await self.place()
            except BrokerError as error:
                if not error.retriable:
                    raise
                log.warning("restore: %s; again in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, 5.0)
            else:
                break
        self.moved()
        self._doubt = False
        self.restored.set()
        self.metrics.ready(bool(self.host.positions))  # without partitions nobody is watched
        took_s = time.monotonic() - began_s
        log.info("restored %d of %d partitions in %.1f s", len(loaded), len(partitions), took_s)

    async def _replay_points(self, partitions: Sequence[int]) -> dict[int, int]:
        if not partitions:
            return {}
        settings = self.settings
        found = await spans(settings.bootstrap, settings.group, self.topic, partitions)
        return {partition: span.checked(self.topic, partition) for partition, span in found.items()}

    async def _checkpoints(self) -> None:
        """A few partitions at a time: scores wait for as long as states are being packed."""
        for part in itertools.cycle(range(SLICES)):
            await asyncio.sleep(self.settings.checkpoint_s / SLICES)
            async with self.turn:
                if not self.draining and self.restored.is_set():
                    own = sorted(self.host.positions)[part::SLICES]
                    await self.store(self.settings.share, own)

    async def _watch(self) -> None:
        """Notice records that the carrier skipped and ask for them again.

        Measured: after a worker slept past its session, Faust rebalances twice at once and goes
        on hundreds of records too late. The host refuses to jump; somebody has to rewind.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            self.stood_still()
            if self.turn.locked() or self.draining or not self.restored.is_set():
                continue
            idle_s = time.monotonic() - self._progress_s
            if not (self.host.early(REWIND_S) or (idle_s > REWIND_S and self._behind())):
                continue
            if self._rewinds >= MAX_REWINDS or self.host.early(LOST_S):
                raise BrokerError(f"records of {self.topic} do not arrive; restart to look again")
            self._rewinds += 1
            log.warning("asking again for records that were skipped")
            await self.rewind()
            self._progress_s = time.monotonic()

    async def rewind(self) -> None:
        """Ask again for what the host expects."""
        await self.place()

    def _behind(self) -> bool:
        positions = self.host.positions
        return any((self.end_of(number) or 0) > offset for number, offset in positions.items())

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(self.settings.tick_s)
            if not self.restored.is_set():
                continue
            now_us = time.time_ns() // 1000
            value = encode(self.settings.sign(Tick(now_us)))
            await self.writer.send_all(
                [
                    Message(self.topic, partition, now_us, None, value)
                    for partition in sorted(self.host.positions)
                ]
            )
