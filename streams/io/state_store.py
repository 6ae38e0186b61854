"""Engine state on its compacted topic: written at a checkpoint, read when a partition arrives.

The newest record is not always the right one: a worker that lost its partition may still write an
old snapshot over a new one. Each record carries its frontier, and the highest wins, whoever wrote
it: a state is a function of the log up to there, and what it caused was published before. The epoch
breaks ties; choosing by it first would let a sleeper's old state hide a newer one that the group
has already committed on (docs/adr/0064).

Compaction comes hours late, so the topic holds a hundred times what is needed. Every record says
from where on the newest state of all patients of its partition lies: a restore reads the last
record, then from there (docs/adr/0076).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.errors import BrokerError, SnapshotMismatch
from streams.io.kafka_log import (
    LogWriter,
    Message,
    Stored,
    le8,
    start_client,
    stop_client,
)
from streams.io.kafka_peek import read_each
from streams.io.kafka_read import open_consumer, read_range

EPOCH_HEADER = "vigil-epoch"
FRONTIER_HEADER = "vigil-frontier"
SINCE_HEADER = "vigil-since"  # offset from which on every patient's newest state lies
# A patient whose state has not changed for so many rounds of all others is written again as it is,
# so that `vigil-since` moves on; so many at once.
ROUNDS, LEAST, AT_ONCE = 8, 200, 16
TOGETHER = 8  # partitions read in one go at a restore


class PatientState(NamedTuple):
    """One patient's state as it was stored."""

    patient_id: str
    epoch: int
    frontier: int
    state: bytes


class Restored(NamedTuple):
    """States by partition, and the highest epoch seen on any of them (0 if none)."""

    states: dict[int, list[PatientState]]
    epoch: int
    stale: int = 0  # older than one before them


def newest(rows: Iterable[PatientState]) -> list[PatientState]:
    """Per patient the state with the highest frontier (of equals, epoch), by patient id.

    Examples
    --------
    >>> rows = [PatientState("p", 1, 90, b"new"), PatientState("p", 2, 50, b"late")]
    >>> newest(rows)[0].state
    b'new'
    """
    best: dict[str, PatientState] = {}
    for row in rows:
        keep_newest(best, row)
    return [best[patient_id] for patient_id in sorted(best)]


class StateStore:
    """Reads and writes the state topic.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    topic : str
        Full name of the state topic.
    writer : LogWriter
        Started; shared with the outputs.
    """

    def __init__(self, bootstrap: str, topic: str, writer: LogWriter) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._writer = writer
        self._places: dict[int, dict[str, int]] = {}  # offset of each patient's newest state

    async def read(self, partitions: Sequence[int]) -> Restored:
        """Every patient's newest state on these partitions.

        Raises
        ------
        BrokerError
            If the broker is away.
        SnapshotMismatch
            If a record is not one of ours; guessing would lose data.
        """
        best: dict[int, dict[str, PatientState]] = {partition: {} for partition in partitions}
        self._places |= {partition: {} for partition in partitions}
        epoch = stale = 0
        consumer = open_consumer(self._bootstrap)
        await start_client(consumer, self._bootstrap)
        try:
            parts = [TopicPartition(self._topic, partition) for partition in partitions]
            async for record in read_range(consumer, parts, await _starts(consumer, parts)):
                if record.value:
                    row = _parse(record)
                    epoch = max(epoch, row.epoch)
                    if keep_newest(best[record.partition], row):
                        self._places[record.partition][row.patient_id] = record.offset
                    else:
                        stale += 1
        except KafkaError as error:
            raise BrokerError(f"cannot read {self._topic}: {error!r}") from error
        finally:
            await stop_client(consumer)
        states = {part: [own[name] for name in sorted(own)] for part, own in best.items()}
        return Restored(states, epoch, stale)

    async def write(
        self, partition: int, epoch: int, now_us: int, snapshots: Sequence[tuple[str, int, bytes]]
    ) -> None:
        """Store snapshots `(patient_id, frontier, state)`; returns when the broker has them."""
        rows = [PatientState(name, epoch, frontier, state) for name, frontier, state in snapshots]
        places = self._places.get(partition, {})  # never read: nothing is known of the others
        since = min(places.values(), default=0)
        offsets = await self._writer.send_all(
            [_message(self._topic, partition, now_us, since, row) for row in rows]
        )
        places |= {row.patient_id: at for row, at in zip(rows, offsets, strict=True)}

    def stale(self, partition: int) -> list[str]:
        """Patients whose state was written so long ago that it is to be written again as it is."""
        places = self._places.get(partition, {})
        last = max(places.values(), default=0)
        limit = last - max(LEAST, ROUNDS * len(places))
        old = sorted((offset, name) for name, offset in places.items() if offset < limit)
        return [name for _, name in old[:AT_ONCE]]


async def read_ahead(states: StateStore, partitions: Sequence[int]) -> AsyncGenerator[Restored]:
    """What these partitions hold, a few at a time; the next ones are read meanwhile."""
    groups = [partitions[at : at + TOGETHER] for at in range(0, len(partitions), TOGETHER)]
    reading: asyncio.Task[Restored] | None = None
    try:
        for place, group in enumerate(groups):
            found = await (reading or states.read(group))
            later = groups[place + 1 : place + 2]
            reading = asyncio.create_task(states.read(later[0])) if later else None
            yield found
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def keep_newest(best: dict[str, PatientState], row: PatientState) -> bool:
    """Put a state among the best if it is its patient's highest so far; whether it is."""
    known = best.get(row.patient_id)
    if known is not None and (row.frontier, row.epoch) < (known.frontier, known.epoch):
        return False
    best[row.patient_id] = row
    return True


async def _starts(
    consumer: AIOKafkaConsumer, parts: Sequence[TopicPartition]
) -> dict[TopicPartition, int]:
    """Where to read from: as the last record says, else the beginning."""
    consumer.assign(list(parts))
    begins = await consumer.beginning_offsets(list(parts))
    ends = await consumer.end_offsets(list(parts))
    last = await read_each(
        consumer, {part: ends[part] - 1 for part in parts if ends[part] > begins[part]}
    )
    starts: dict[TopicPartition, int] = dict(begins)
    for part, record in last.items():
        since = record.header(SINCE_HEADER)
        if since is not None and record.offset == ends[part] - 1:
            starts[part] = max(starts[part], int.from_bytes(since, "little"))
    return starts


def _message(topic: str, partition: int, now_us: int, since: int, row: PatientState) -> Message:
    headers = (
        (EPOCH_HEADER, le8(row.epoch)),
        (FRONTIER_HEADER, le8(row.frontier)),
        (SINCE_HEADER, le8(since)),
    )
    return Message(topic, partition, now_us, row.patient_id.encode(), row.state, headers)


def _parse(record: Stored) -> PatientState:
    epoch, frontier = record.header(EPOCH_HEADER), record.header(FRONTIER_HEADER)
    if record.key is None or epoch is None or frontier is None:
        raise SnapshotMismatch(
            f"{record.topic} partition {record.partition} offset {record.offset}: "
            "not a state record (key, epoch or frontier is missing)"
        )
    return PatientState(
        record.key.decode(errors="replace"),
        int.from_bytes(epoch, "little", signed=True),
        int.from_bytes(frontier, "little", signed=True),
        record.value,
    )
