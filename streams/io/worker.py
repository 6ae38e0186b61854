"""One worker's life around its host, whichever library carries the records.

Here: draining, ticks, checkpoints, restoring and handing over. How records arrive and how offsets
are committed is the carrier's (`faust_worker`, `direct_worker`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from streams.codec import encode
from streams.errors import BrokerError, VigilError
from streams.io.host import Connections, Host
from streams.io.host_metrics import HostMetrics
from streams.io.input_log import KafkaInput, RawRecord
from streams.io.kafka_admin import take_out
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import spans
from streams.io.published import PublishedAlerts
from streams.io.state_store import StateStore
from streams.io.worker_settings import WorkerSettings
from streams.portions import Waiting
from streams.processor import Processor
from streams.records import Tick
from streams.topics import topic_name

SESSION_S = 10.0  # a worker that does not beat for so long has lost its partitions
BEAT_S = 1.0  # also how soon the others hear of a rebalance
REBALANCE_S = 15.0
DRAIN_S = 4.5  # a supervisor's SIGKILL commonly follows SIGTERM after 10 s
LEAVE_S = 1.0  # for a carrier to stop beating: a rebalance may be on
GOODBYE_S = 3.0  # for the group, after a drain that took too long
REVOKE_S = 1.5  # the group stands still meanwhile; what is not stored is repeated
WATCH_S = 1.0
REWIND_S = 3.0  # a carrier redelivers after a rebalance by itself; later we ask again
MAX_REWINDS = 6  # without any progress; then a restart may help
LOST_S = 60.0  # for one partition, while others go on
MUTE_S, GONE_S = 20.0, 120.0  # a partition brings none of our own ticks: ask again, give up
FATAL_EXIT = 70  # EX_SOFTWARE: the supervisor restarts us from the replay point
SLICES = 16  # of the partitions, checkpointed one after the other: scores wait for one only
FETCH_BYTES = 4 * 1024 * 1024  # of one partition at once
BATCHES = 16  # taken off the log and waiting to be fed, at most

log = logging.getLogger(__name__)


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
        self._keeps_place = not settings.leave_on_stop
        self.restored = asyncio.Event()
        self._restoring: asyncio.Task[None] | None = None
        self.starts: dict[int, int] = {}  # where the owned partitions are to be read from
        self._progress_s = self._awake_s = time.monotonic()
        self._rewinds = 0
        self._asked_s = 0.0
        self._unheard: Counter[int] = Counter()  # ticks of ours, by partition, since it moved
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
    def member_id(self) -> str:
        """What the group calls this process; empty outside it."""

    @abstractmethod
    async def leave(self) -> None:
        """Commit what waits and stop beating: the group is not asked to be let in again."""

    @abstractmethod
    async def close(self) -> None:
        """Let the carrier end, after `leave`."""

    async def run(self, writer: LogWriter, processor_factory: Callable[[], Processor]) -> int:
        """Live until SIGTERM, SIGINT, SIGHUP or a failure; the exit status. `writer` is started."""
        settings = self.settings
        self.writer = writer
        self.host = Host(processor_factory(), self._connections(), settings.prefix, self.metrics)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._comes_back)
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

    def _comes_back(self) -> None:
        """Stop, to be started again at once: the place in the group is kept."""
        self._keeps_place = True
        self.stopping.set()

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> int:
        """Drain in bounded time; what is not drained is redelivered to the next owner."""
        self.metrics.ready(False)
        failure = self.failed()
        if failure is not None:
            log.error("the worker ends: %s", failure)
            os._exit(FATAL_EXIT)
        member = self.member_id()  # which closing forgets
        if self._restoring is not None:
            self._restoring.cancel()  # what is not whole yet has nothing to store
        try:
            async with asyncio.timeout(DRAIN_S):
                async with self.turn:
                    self.draining = True
                    await self.store()
                for task in tasks[1:]:
                    task.cancel()
                await self.leave()
                await self._say_goodbye(member)
                await self.close()
                await self.writer.close(timeout_s=0.5)
        except TimeoutError:
            log.warning("not drained within %.1f s; the rest is redelivered", DRAIN_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._say_goodbye(member)
            os._exit(0)
        return 0

    async def _say_goodbye(self, member: str) -> None:
        """Have the others take over now: a named member that only stops is waited for.

        Its session runs on (`SESSION_S`), so that who comes back under the name finds its place.
        """
        if self._keeps_place or not member:
            return
        settings = self.settings
        try:
            await asyncio.to_thread(take_out, settings.bootstrap, settings.group, member)
        except VigilError as error:
            log.warning("the group waits for this worker's session to end: %s", error)

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
        """Feed what comes first of what waits; the rest later, after what comes meanwhile.

        When nothing waits, a little of what was put off is done.
        """
        if self.stood_still():
            return []
        before = self.host.positions
        records = self.waiting.next()
        await self.host.process(records)
        if not self.waiting:
            await self.host.catch_up()
        moved = [n for n, offset in self.host.positions.items() if offset != before.get(n)]
        if moved:
            self.moved()
        for number in moved:
            self._unheard.pop(number, None)
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
        self.metrics.assigned()
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
                    self.starts = await self._replay_points(partitions)
                    self.stood_still()
                    loaded = await self.host.restore(self.starts, doubt=self._doubt)
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
        self._unheard.clear()
        self._doubt = False
        gc.collect(
            1
        )  # clients that have read are cycles of megabytes, and it looks rarely by itself
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
        on hundreds of records too late. The host refuses to jump; somebody has to rewind. And a
        partition may bring nothing at all while others go on: our own ticks prove it.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            self.stood_still()
            if self.turn.locked() or self.draining or not self.restored.is_set():
                continue
            if not self._misses_records():
                continue
            if self._rewinds >= MAX_REWINDS or self.host.early(LOST_S) or self._mute(GONE_S):
                raise BrokerError(f"records of {self.topic} do not arrive; restart to look again")
            self._rewinds += 1
            log.warning("asking again for records that were skipped")
            await self.rewind()
            self._progress_s = self._asked_s = time.monotonic()

    def _misses_records(self) -> bool:
        """Whether what the log has does not come."""
        now_s = time.monotonic()
        if self.host.early(REWIND_S) or (now_s - self._progress_s > REWIND_S and self._behind()):
            return True
        return now_s - self._asked_s > MUTE_S and self._mute(MUTE_S)

    async def rewind(self) -> None:
        """Ask again for what the host expects."""
        await self.place()

    def _mute(self, seconds: float) -> bool:
        """Whether a partition of ours brought none of its ticks for so long, nor anything else."""
        waits, tick_s = self.waiting.partitions(), self.settings.tick_s
        return any(
            count * tick_s >= seconds and number in self.host.positions and number not in waits
            for number, count in self._unheard.items()
        )

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
            own = sorted(self.host.positions)
            await self.writer.send_all(
                [Message(self.topic, number, now_us, None, value) for number in own]
            )
            self._unheard.update(own)
