"""In which portions a batch of the log is fed, so that one patient's flood delays nobody else's.

Partitions may be fed in any order and in any portions; within one the order stays. A partition
that brings far more than the others is cut up: the rest goes first, and is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low
from typing import Final, Protocol, TypeVar

LEAST_BYTES: Final = 131_072  # of a partition in one portion: two minutes of a patient
MOST_OVER: Final = 2  # ... or so many times what the partition in the middle brings


class _Sized(Protocol):
    @property
    def partition(self) -> int: ...

    @property
    def value(self) -> bytes: ...


T = TypeVar("T", bound=_Sized)


def portions(records: Sequence[T]) -> list[list[T]]:
    """The same records, in portions to be fed and published one after the other.

    Parameters
    ----------
    records : sequence
        In the order of the log within each partition.

    Returns
    -------
    list of list
        A partition gives a portion at most `LEAST_BYTES`, or `MOST_OVER` times the median over
        partitions, and one record at least. Batches without such a partition stay whole.

    Examples
    --------
    >>> from streams.records import LogRecord
    >>> flood = [LogRecord(0, n, 0, None, (), bytes(100_000)) for n in range(3)]
    >>> parts = portions([*flood, LogRecord(1, 7, 0, None)])
    >>> [[(r.partition, r.offset) for r in part] for part in parts]
    [[(0, 0), (1, 7)], [(0, 1)], [(0, 2)]]
    """
    size: dict[int, int] = {}
    for record in records:
        size[record.partition] = size.get(record.partition, 0) + len(record.value)
    if not size:
        return []
    most = max(LEAST_BYTES, MOST_OVER * median_low(size.values()))
    if max(size.values()) <= most:
        return [list(records)]
    out: list[list[T]] = []
    place = dict.fromkeys(size, 0)  # portion of the next record
    room: dict[int, int] = {}  # left in it; of partitions that gave something
    for record in records:
        where, weight = record.partition, len(record.value)
        if weight > room.get(where, weight):
            place[where], room[where] = place[where] + 1, most
        room[where] = room.get(where, most) - weight
        if place[where] == len(out):
            out.append([])
        out[place[where]].append(record)
    return out
