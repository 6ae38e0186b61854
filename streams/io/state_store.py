"""Engine state on its compacted topic: written at a checkpoint, read when a partition arrives.

The newest record is not always the right one: a worker that lost its partition may still write an
old snapshot over a new one. Each record carries its frontier, and the highest wins, whoever wrote
it: a state is a function of the log up to there, and what it caused was published before. The epoch
breaks ties; choosing by it first would let a sleeper's old state hide a newer one that the group
has already committed on (docs/adr/0064).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from aiokafka import TopicPartition
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
from streams.io.kafka_read import open_consumer, read_range

EPOCH_HEADER = "vigil-epoch"
FRONTIER_HEADER = "vigil-frontier"


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
        known = best.get(row.patient_id)
        if known is None or (row.frontier, row.epoch) >= (known.frontier, known.epoch):
            best[row.patient_id] = row
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

    async def read(self, partitions: Sequence[int]) -> Restored:
        """Every patient's newest state on these partitions.

        Raises
        ------
        BrokerError
            If the broker is away.
        SnapshotMismatch
            If a record is not one of ours; guessing would lose data.
        """
        rows: dict[int, list[PatientState]] = {partition: [] for partition in partitions}
        consumer = open_consumer(self._bootstrap)
        await start_client(consumer, self._bootstrap)
        try:
            parts = [TopicPartition(self._topic, partition) for partition in partitions]
            async for record in read_range(consumer, parts):
                if record.value:
                    rows[record.partition].append(_parse(record))
        except KafkaError as error:
            raise BrokerError(f"cannot read {self._topic}: {error!r}") from error
        finally:
            await stop_client(consumer)
        epoch = max((row.epoch for found in rows.values() for row in found), default=0)
        return Restored({part: newest(found) for part, found in rows.items()}, epoch)

    async def write(
        self, partition: int, epoch: int, now_us: int, snapshots: Sequence[tuple[str, int, bytes]]
    ) -> None:
        """Store snapshots `(patient_id, frontier, state)`; returns when the broker has them."""
        mark = (EPOCH_HEADER, le8(epoch))
        await self._writer.send_all(
            [
                Message(
                    self._topic,
                    partition,
                    now_us,
                    patient_id.encode(),
                    state,
                    (mark, (FRONTIER_HEADER, le8(frontier))),
                )
                for patient_id, frontier, state in snapshots
            ]
        )


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
