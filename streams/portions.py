"""In which portions a batch of the log is fed, so that one patient's flood delays nobody else's.

Partitions may be fed in any order and in any portions; within one the order stays. A partition
that brings far more than the others is cut up: the rest goes first, and is published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from statistics import median_low
from typing import Final, Generic, Protocol, TypeVar

LEAST_BYTES: Final = 131_072  # of a partition in one portion: two minutes of a patient
MOST_OVER: Final = 2  # ... or so many times what the partition in the middle brings
PASS_BYTES: Final = 2_097_152  # 10 s of 220 patients
PASSES: Final = 3  # of more that waits: fewer and larger ones cost less, and are out later
MOST_PASS_BYTES: Final = 8_388_608  # four times as large costs a sixteenth less
ENOUGH_BYTES: Final = 1_048_576  # half of that does not wait for company


class _Sized(Protocol):
    @property
    def partition(self) -> int: ...

    @property
    def append_us(self) -> int: ...

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


def passes(records: Sequence[T]) -> Iterator[list[T]]:
    """The same records, oldest first, in passes of a third of them, but 2 to 8 MiB.

    What a pass causes can be published while the next one is computed. A partition's records stay
    in their order.

    Examples
    --------
    >>> from streams.records import LogRecord
    >>> late, early = LogRecord(0, 5, 20, None), LogRecord(1, 8, 10, None)
    >>> [[record.offset for record in part] for part in passes([late, early])]
    [[8, 5]]
    """
    newest: dict[int, int] = {}  # append times of one partition may go back
    since: list[int] = []
    for record in records:
        now_us = max(newest.get(record.partition, 0), record.append_us)
        newest[record.partition] = now_us
        since.append(now_us)
    total = sum([len(record.value) for record in records])
    enough = max(PASS_BYTES, min(-(-total // PASSES), MOST_PASS_BYTES))
    part: list[T] = []
    size = 0
    for at in sorted(range(len(records)), key=since.__getitem__):
        part.append(records[at])
        size += len(records[at].value)
        if size >= enough:
            yield part
            part, size = [], 0
    if part:
        yield part


class Waiting(Generic[T]):
    """Records that were taken off the log and are not fed yet, a portion at a time.

    Parameters
    ----------
    most_bytes, most_records : int
        Of one partition. Who holds more is flooding: no more of it is taken meanwhile.
    """

    def __init__(self, most_bytes: int, most_records: int) -> None:
        self._most = most_bytes, most_records
        self._rows: list[T] = []
        self._bytes: Counter[int] = Counter()
        self._count: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def weight(self) -> int:
        """Bytes of all of them."""
        return self._bytes.total()

    def partitions(self) -> set[int]:
        """Of which something waits."""
        return {number for number, count in self._count.items() if count}

    def flooding(self) -> set[int]:
        """Partitions of which more waits than one may have."""
        most_bytes, most_records = self._most
        return {
            number
            for number, count in self._count.items()
            if count > most_records or self._bytes[number] > most_bytes
        }

    def add(self, records: Iterable[T]) -> None:
        """Take these too, after the others."""
        for record in records:
            self._rows.append(record)
            self._bytes[record.partition] += len(record.value)
            self._count[record.partition] += 1

    def next(self) -> list[T]:
        """What is to be fed first; none if nothing waits."""
        parts = portions(self._rows)
        first = parts[0] if parts else []
        self.clear()
        self.add(chain.from_iterable(parts[1:]))
        return first

    def clear(self) -> None:
        """Forget all of them: they will come again."""
        self._rows = []
        self._bytes.clear()
        self._count.clear()
