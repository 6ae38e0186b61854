"""What every Kafka host does around the engine, whichever library brings the records.

Order of a checkpoint: outputs acknowledged, then state, then the caller commits; a crash between
any two repeats work and skips none. How records arrive and are committed is the runner's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

from streams.codec import decode, encode
from streams.errors import SnapshotMismatch, VigilError
from streams.io.host_metrics import HostMetrics, SilentMetrics, counted
from streams.io.input_log import InputLog, RawRecord
from streams.io.kafka_log import LogWriter, Message
from streams.io.outbox import Outbox, Published
from streams.io.state_store import PatientState, StateStore, read_ahead
from streams.portions import passes, portions
from streams.processor import Fault, Processor
from streams.quarantine import quarantine_order
from streams.records import LogRecord
from streams.topics import topic_name

T = TypeVar("T")
log = logging.getLogger(__name__)


def _as_it_is(order: Any) -> Any:
    """Sign nothing."""
    return order


class Connections(NamedTuple):
    """What a host is connected to."""

    writer: LogWriter  # started
    states: StateStore  # where snapshots live
    source: InputLog  # where restored patients' samples are read again
    sign: Callable[[Any], Any] = _as_it_is  # what this process says on the input topic
    published: Published | None = None  # None: what is repeated is published again


class Host:
    """Owns partitions, feeds the engine in one thread, publishes, checkpoints.

    Invariant: a record is fed only when it is the next of its partition. What was already fed is
    skipped, and what comes too early is left for redelivery, so neither a rebalance nor a
    stale buffer can skip or reorder a patient's log.

    Parameters
    ----------
    processor : Processor
        The engine; only ever called from this host's one worker thread.
    connected : Connections
        To the broker.
    prefix : str
        Namespace of the topics.
    metrics : HostMetrics
        Where figures go.
    """

    def __init__(
        self,
        processor: Processor,
        connected: Connections,
        prefix: str,
        metrics: HostMetrics | None = None,
    ) -> None:
        self._processor = processor
        writer, self._states, self._source, self._sign, published = connected
        self._input = topic_name("in", prefix)
        self._metrics: HostMetrics = metrics or SilentMetrics()
        self._outbox = Outbox(writer, prefix, self._metrics, published)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._next: dict[int, int] = {}
        self._loading: set[int] = set()  # handed to the engine, not yet whole
        self._early: dict[int, float] = {}
        self._dirty: set[int] = set()
        self._unstored: dict[int, list[tuple[str, int, bytes]]] = {}
        self._epoch = 0
        self._left: dict[int, int] = {}  # where the engine put something off
        self._done: dict[int, int] = {}  # offset below which everything is published and stored

    @property
    def positions(self) -> dict[int, int]:
        """Next offset of every owned partition."""
        return dict(self._next)

    @property
    def has_left(self) -> bool:
        """Whether something was put off, for `catch_up`."""
        return bool(self._left)

    def early(self, longer_than_s: float) -> dict[int, int]:
        """Partitions that have waited so long for their next offset, with that offset."""
        now_s = time.monotonic()
        return {
            partition: self._next[partition]
            for partition, since_s in self._early.items()
            if now_s - since_s > longer_than_s
        }

    async def restore(self, starts: Mapping[int, int], *, doubt: bool = False) -> list[int]:
        """Take partitions over: load every patient's state, then expect these offsets.

        What is in memory and not behind its offset stays as it is: state is a function of the log,
        whoever had the partition meanwhile. `doubt`: somebody may have, and said what is to come.
        Returns the partitions that were loaded.

        Raises
        ------
        BrokerError
            If the broker is away.
        SnapshotMismatch
            If a state is of another version, contradicts its frontier, or rests on samples that
            the log no longer holds.
        """
        fresh = {part: at for part, at in starts.items() if self._next.get(part, -1) < at}
        asked = {part: max(at, self._next.get(part, at)) for part, at in starts.items()}
        await self._outbox.listen(asked if doubt else fresh)
        if fresh:
            self._loading |= fresh.keys()
            await self._restore_states(fresh)
            self._loading -= fresh.keys()
            self._next |= fresh
            self._done |= fresh
        for partition in starts:
            self._early.pop(partition, None)
            # A partition that never moves must age from here, not be absent from the figures.
            self._metrics.frontier(partition, _now_us())
        return sorted(fresh)

    async def _restore_states(self, starts: Mapping[int, int]) -> None:
        """Load every patient of these partitions, whole."""
        async with aclosing(read_ahead(self._states, sorted(starts))) as groups:
            async for restored in groups:
                self._epoch = max(self._epoch, time.time_ns(), restored.epoch + 1)
                self._metrics.stale(restored.stale)
                await self._load_group(restored.states)

    async def _load_group(self, states: Mapping[int, Sequence[PatientState]]) -> None:
        wanted: dict[int, tuple[int, int]] = {}
        for partition, rows in states.items():
            replay = await self._run(self._load, partition, rows)
            if replay is not None:
                wanted[partition] = replay
        if wanted:
            async for records in self._source.read(wanted):
                await self._run(self._refill, records)
        for partition in states:
            await self._run(self._processor.complete, partition)

    async def process(self, records: Iterable[RawRecord]) -> None:
        """Feed what is due and publish what it causes; returns when the broker has it.

        Raises
        ------
        BrokerError
            If an output can never be written.
        """
        for portion in portions(list(records)):
            for part in passes(portion):
                due = [record for record in part if self._is_next(record)]
                if due:
                    self._dirty.update(record.partition for record in due)
                    await self._feed_and_publish(due)
        await self._outbox.publish()

    async def catch_up(self) -> None:
        """Do a little of what `process` put off: hours of a patient that came at once.

        Raises
        ------
        BrokerError
            If an output can never be written.
        """
        if self._left:
            await self._feed_and_publish([])
            await self._outbox.publish()

    async def _feed_and_publish(self, due: Sequence[RawRecord]) -> None:
        """Feed these records; meanwhile the broker takes what those before them caused."""
        fed, written = await asyncio.gather(
            self._run(self._feed, due), self._outbox.publish(), return_exceptions=True
        )
        if isinstance(written, BaseException):
            raise written
        if isinstance(fed, Exception) and not isinstance(fed, VigilError):
            await self._isolate(due, fed)  # one patient's data must not end the ward
        elif isinstance(fed, BaseException):
            raise fed

    async def _isolate(self, due: Sequence[RawRecord], error: Exception) -> None:
        """The engine raised: take out whose records do it, and go on with everybody else.

        State is as it was before these records twice: to find out, and to go on. The error is
        raised again when no patient's own records raise it.
        """
        log.error("the engine raised %s; looking for whose records do it", type(error).__name__)
        starts = {r.partition: r.offset for r in reversed(due)}
        for number, offset in self._left.items():  # it may have raised only now
            starts[number] = min(offset, starts.get(number, offset))
        records = await self._since(starts, due)
        await self._back_to(starts)
        decoded = [_decoded(record) for record in records]
        found = await self._run(self._processor.suspects, decoded)
        if not found:
            raise error
        await self._back_to(starts)
        for (_, patient_id), fault in found.items():
            self._processor.quarantine(patient_id, fault)
        await self._run(self._feed, records)
        self._outbox.order(
            self._order(number, patient_id, fault, records[-1].append_us)
            for (number, patient_id), fault in found.items()
        )
        log.error("%d patients are no longer watched", len(found))
        self._metrics.quarantined(len(found))

    async def _since(
        self, starts: Mapping[int, int], due: Sequence[RawRecord]
    ) -> Sequence[RawRecord]:
        """What was fed from these offsets on."""
        if not self._left:
            return due
        stretches = {number: (start, self._next[number]) for number, start in starts.items()}
        return [row async for rows in self._source.read(stretches) for row in rows]

    async def _back_to(self, starts: Mapping[int, int]) -> None:
        """State as it was before these offsets: what is stored, and what came since."""
        await self._restore_states({number: self._done.get(number, 0) for number in starts})
        since = {
            number: (self._done[number], start)
            for number, start in starts.items()
            if self._done[number] < start
        }
        if since:
            async for records in self._source.read(since):
                again = [_decoded(record) for record in records]
                await self._run(self._processor.feed, again)  # its outputs are out already

    def _order(self, number: int, patient_id: str, fault: Fault, now_us: int) -> Message:
        """The record that takes a patient out in every later run too."""
        order = self._sign(quarantine_order(patient_id, fault))
        return Message(self._input, number, now_us, patient_id.encode(), encode(order))

    async def checkpoint(
        self, share: float = 1.0, only: Collection[int] | None = None
    ) -> dict[int, int]:
        """Store the state of patients that changed; returns what may now be committed.

        Parameters
        ----------
        share : float
            Of each partition's patients at least so many, those that changed longest ago first:
            the work of a checkpoint is spread over several.
        only : collection of int, optional
            These partitions, the others another time: nothing is fed while state is stored.

        Returns
        -------
        dict of int to int
            Per partition of these that is owned, the offset below which everything is published
            and stored.
        """
        await self._run(_nothing)  # a `process` that was cancelled may still feed
        await self._outbox.publish()
        asked = self._next.keys() if only is None else self._next.keys() & only
        for partition in sorted(self._dirty & asked):
            stale = self._states.stale(partition)
            snapshots = await self._run(self._processor.snapshots, partition, share, stale)
            self._unstored.setdefault(partition, []).extend(snapshots)
        writes = [self._write_states(partition) for partition in self._unstored]
        for written in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(written, BaseException):
                raise written
        done = {partition: await self._run(self._stored, partition) for partition in sorted(asked)}
        self._done |= done
        return done

    async def _write_states(self, partition: int) -> None:
        """Store what waits of one; of several at once, because each waits for the broker."""
        snapshots = self._unstored[partition]
        await self._states.write(partition, self._epoch, _now_us(), snapshots)
        self._metrics.snapshots(len(snapshots), sum(len(row[2]) for row in snapshots))
        del self._unstored[partition]

    def _stored(self, partition: int) -> int:
        """Offset below which everything of a partition is published and stored."""
        due = self._next[partition]
        unstored = self._processor.unstored(partition)
        if unstored is None:
            self._dirty.discard(partition)
            return due
        return min(unstored, due)

    async def keep(self, partitions: Iterable[int]) -> None:
        """Forget all partitions but these."""
        await self.drop((self._next.keys() | self._loading) - set(partitions))

    async def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions; their state is with the next owner."""
        for partition in partitions:
            if partition in self._next or partition in self._loading:
                await self._run(self._processor.drop, partition)
            self._next.pop(partition, None)
            self._left.pop(partition, None)
            self._loading.discard(partition)
            self._early.pop(partition, None)
            self._unstored.pop(partition, None)
            self._outbox.forget(partition)
            self._dirty.discard(partition)
            self._metrics.dropped(partition)

    def close(self) -> None:
        """Let the engine's thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _is_next(self, record: RawRecord) -> bool:
        due = self._next.get(record.partition)
        if due is None or record.offset < due:
            return False
        if record.offset > due:
            self._early.setdefault(record.partition, time.monotonic())
            return False
        self._early.pop(record.partition, None)
        self._next[record.partition] = due + 1
        return True

    def _load(self, partition: int, rows: Sequence[PatientState]) -> tuple[int, int] | None:
        """Load a partition's patients; the offsets of what they must read again."""
        self._processor.drop(partition)
        needs: list[tuple[int, int]] = []
        for row in rows:
            frontier, replay = self._processor.restore(partition, row.patient_id, row.state)
            if frontier != row.frontier:
                raise SnapshotMismatch(
                    f"state on partition {partition}: its frontier is {frontier}, "
                    f"the record says {row.frontier}"
                )
            if replay < frontier:
                needs.append((replay, frontier))
        if not needs:
            return None
        return min(start for start, _ in needs), max(stop for _, stop in needs)

    def _refill(self, records: Sequence[RawRecord]) -> None:
        self._processor.refill([_decoded(record) for record in records])

    def _feed(self, records: Sequence[RawRecord]) -> None:
        """Decode and feed; runs in the engine's thread."""
        began_s = time.perf_counter()
        decoded = [_decoded(record) for record in records]
        work = self._processor
        self._outbox.add((work.feed_soon(decoded) if decoded else work.catch_up()).messages)
        self._left = dict(work.left())
        self._metrics.fed(counted(decoded), time.perf_counter() - began_s)
        for record in {record.partition: record for record in decoded}.values():
            self._metrics.frontier(record.partition, record.append_us)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)


def _decoded(record: RawRecord) -> LogRecord:
    return decode(record.value, record.partition, record.offset, record.append_us)


def _now_us() -> int:
    return time.time_ns() // 1000


def _nothing() -> None:
    """What the engine's thread reaches only after all that was queued before."""
