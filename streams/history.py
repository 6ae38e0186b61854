"""Recorded history as the partitioned log it would have been: routing, bundles and ticks.

One pure generator feeds the embedded replay and `vigil ingest`, so both see, per partition, the
same sequence of (append time, record). Reading files is not here (`streams.io.files`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

from streams.errors import ConfigError, SourceError
from streams.partition import PARTITIONS, partition_of
from streams.records import ANYONE, AlertCommand, Chunk, Record, SignalBundle, Tick

MAX_BUNDLE_BYTES = 1_048_576  # of samples: far below what a topic accepts
MAX_GAP_TICKS = 17_280  # one day of 5 s ticks; a longer silence is skipped to its end

Timed = tuple[int, Record | Chunk]


class LogEntry(NamedTuple):
    """One record of the log before it has an offset."""

    partition: int
    append_us: int
    record: Record


@dataclass(frozen=True, slots=True)
class HistorySpec:
    """How history becomes a log. The same spec gives the same log, record for record."""

    partitions: int = PARTITIONS
    bundle_us: int = 250_000  # chunks of one partition within it share a record; 0: one each
    tick_us: int = 5_000_000  # 0: history brings its own ticks
    tail_us: int = 60_000_000  # ticks after the last record, so that its windows close
    active: Sequence[int] | None = None  # partitions that get ticks; None: all

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise ConfigError(f"partitions: {self.partitions}, must be at least 1")
        if min(self.bundle_us, self.tick_us, self.tail_us) < 0:
            raise ConfigError("bundle_us, tick_us and tail_us: must not be negative")
        if self.active is not None and not all(
            0 <= partition < self.partitions for partition in self.active
        ):
            raise ConfigError(f"active partitions: must lie in 0..{self.partitions - 1}")

    def build(self, records: Iterable[Timed]) -> Iterator[LogEntry]:
        """The log of these records; see `partitioned_log`."""
        return partitioned_log(records, self)


def active_partitions(patient_ids: Iterable[str], partitions: int = PARTITIONS) -> list[int]:
    """Partitions that hold at least one of these patients, ascending.

    Examples
    --------
    >>> active_partitions(["bidmc01", "bidmc02", "bidmc01"])
    [3, 57]
    """
    return sorted({partition_of(patient_id, partitions) for patient_id in patient_ids})


def with_ticks(records: Iterable[Timed], tick_us: int, tail_us: int) -> Iterator[Timed]:
    """Records with a Tick at every multiple of `tick_us` of append time.

    Parameters
    ----------
    records : iterable of (append_us, Record or Chunk)
        By append time, not decreasing.
    tick_us : int
        Period in µs; 0 adds none.
    tail_us : int
        How long ticks go on after the last record, in µs.

    Yields
    ------
    (append_us, Record or Chunk)
        A Tick at T stands after the records with append time <= T, before those > T.

    Raises
    ------
    SourceError
        If append time goes back: the order of a log is what decides results.

    Notes
    -----
    A silence longer than `MAX_GAP_TICKS` periods gets that many ticks and then the last one
    before the next record, so one absurd date cannot ask for a billion ticks.

    Examples
    --------
    >>> rows = with_ticks([(1, Tick(1)), (7, Tick(7))], 5, 4)
    >>> [append_us for append_us, _ in rows]
    [1, 5, 7, 10]
    """
    last_us: int | None = None
    for append_us, record in records:
        if last_us is not None and append_us < last_us:
            raise SourceError(
                f"append time {append_us} follows {last_us}: history must be in order"
            )
        if last_us is not None and tick_us:
            yield from _ticks(last_us, append_us, tick_us)
        yield append_us, record
        last_us = append_us
    if last_us is not None and tick_us:
        yield from _ticks(last_us, last_us + tail_us + 1, tick_us)


def _ticks(from_us: int, until_us: int, tick_us: int) -> Iterator[Timed]:
    """Ticks at T with from_us <= T < until_us, on the grid."""
    first_us = -(-from_us // tick_us) * tick_us
    capped_us = min(until_us, first_us + MAX_GAP_TICKS * tick_us)
    for now_us in range(first_us, capped_us, tick_us):
        yield now_us, Tick(now_us)
    if capped_us < until_us:
        now_us = (until_us - 1) // tick_us * tick_us
        if now_us >= capped_us:
            yield now_us, Tick(now_us)


@dataclass(slots=True)
class _Bundler:
    """Chunks not yet written, per partition; at most one period and `MAX_BUNDLE_BYTES` each."""

    period_us: int
    period: int = -1
    chunks: dict[int, list[Chunk]] = field(default_factory=dict)
    append_us: dict[int, int] = field(default_factory=dict)
    size: dict[int, int] = field(default_factory=dict)

    def add(self, partition: int, append_us: int, chunk: Chunk) -> Iterator[LogEntry]:
        """Take a chunk; yields the bundle it no longer fits into."""
        if self.size.get(partition, 0) + len(chunk.data) > MAX_BUNDLE_BYTES:
            yield from self.flush(partition)
        self.chunks.setdefault(partition, []).append(chunk)
        self.append_us[partition] = append_us
        self.size[partition] = self.size.get(partition, 0) + len(chunk.data)
        if self.period_us == 0:
            yield from self.flush(partition)

    def advance(self, append_us: int) -> Iterator[LogEntry]:
        """Yield everything when append time enters another period."""
        period = append_us // self.period_us if self.period_us else 0
        if period != self.period:
            yield from self.flush_all()
            self.period = period

    def flush(self, partition: int) -> Iterator[LogEntry]:
        chunks = self.chunks.pop(partition, None)
        if chunks:
            self.size.pop(partition)
            bundle = SignalBundle(tuple(chunks))
            yield LogEntry(partition, self.append_us.pop(partition), bundle)

    def flush_all(self) -> Iterator[LogEntry]:
        for partition in sorted(self.chunks):
            yield from self.flush(partition)


def partitioned_log(records: Iterable[Timed], spec: HistorySpec) -> Iterator[LogEntry]:
    """History as a partitioned log: each record on its patient's partition, chunks bundled.

    Parameters
    ----------
    records : iterable of (append_us, Record or Chunk)
        By append time, not decreasing. Bundles are taken apart and bundled anew: one may
        hold patients of several partitions. Ticks, and commands to everybody, go to every
        active partition.
    spec : HistorySpec
        Partitions, bundle period, ticks.

    Yields
    ------
    LogEntry
        Within a partition by append time. A bundle's append time is that of its last chunk.

    Raises
    ------
    SourceError
        If append time goes back.
    """
    active = range(spec.partitions) if spec.active is None else sorted(set(spec.active))
    bundler = _Bundler(spec.bundle_us)
    for append_us, record in with_ticks(records, spec.tick_us, spec.tail_us):
        yield from bundler.advance(append_us)
        if isinstance(record, Tick) or _to_all(record):
            yield from bundler.flush_all()
            for partition in active:
                yield LogEntry(partition, append_us, record)
        elif isinstance(record, SignalBundle | Chunk):
            for chunk in (record,) if isinstance(record, Chunk) else record.chunks:
                partition = partition_of(chunk.patient_id, spec.partitions)
                yield from bundler.add(partition, append_us, chunk)
        else:
            partition = partition_of(record.patient_id, spec.partitions)
            yield from bundler.flush(partition)
            yield LogEntry(partition, append_us, record)
    yield from bundler.flush_all()


def _to_all(record: Record | Chunk) -> TypeGuard[AlertCommand]:
    """Say whether a record is a command that every partition gets."""
    return isinstance(record, AlertCommand) and record.patient_id == ANYONE
