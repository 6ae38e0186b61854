"""A batch of the log in portions: nothing lost, order kept, and a flood waits for the others."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from streams.portions import LEAST_BYTES, MOST_OVER, Waiting, portions
from streams.records import LogRecord

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 400_000)), max_size=40)


def batch(rows: list[tuple[int, int]]) -> list[LogRecord]:
    due: dict[int, int] = {}
    out = []
    for where, size in rows:
        out.append(LogRecord(where, due.get(where, 0), 0, None, (), bytes(size)))
        due[where] = due.get(where, 0) + 1
    return out


@given(ROWS)
def test_every_record_is_there_once_and_in_its_partitions_order(
    rows: list[tuple[int, int]],
) -> None:
    records = batch(rows)
    parts = portions(records)
    assert sorted(chain(*parts)) == sorted(records)
    for where in range(6):
        own = [r.offset for r in chain(*parts) if r.partition == where]
        assert own == list(range(len(own)))
    assert all(parts)


@given(ROWS)
def test_a_portion_holds_of_no_partition_more_than_it_may(rows: list[tuple[int, int]]) -> None:
    records = batch(rows)
    sizes = sorted(sum(s for w, s in rows if w == where) for where in {w for w, _ in rows})
    most = max(LEAST_BYTES, MOST_OVER * sizes[(len(sizes) - 1) // 2]) if sizes else 0
    for part in portions(records):
        for where in {r.partition for r in part}:
            own = [len(r.value) for r in part if r.partition == where]
            assert sum(own) <= most or len(own) == 1


def test_partitions_that_bring_alike_stay_together() -> None:
    records = batch([(where, 150_000) for where in range(6) for _ in range(2)])
    assert portions(records) == [records]


def test_who_is_not_the_flood_is_in_the_first_portion() -> None:
    records = batch([*((0, 60_000) for _ in range(70)), *((where, 9_000) for where in range(1, 6))])
    parts = portions(records)
    assert {r.partition for r in parts[0]} == set(range(6))
    assert all({r.partition for r in part} == {0} for part in parts[1:])
    assert sum(len(r.value) for r in parts[0]) < 200_000


def test_nothing_gives_nothing() -> None:
    assert portions([]) == []


@given(ROWS, st.lists(st.integers(1, 9), max_size=8))
def test_what_waits_is_fed_once_in_its_partitions_order_whenever_more_comes(
    rows: list[tuple[int, int]], takes: list[int]
) -> None:
    records = batch(rows)
    waiting: Waiting[LogRecord] = Waiting(1_000_000, 100)
    left, fed = list(records), list[LogRecord]()
    for take in takes:  # more comes between portions
        waiting.add(left[:take])
        left = left[take:]
        fed += waiting.next()
    waiting.add(left)
    while waiting:
        fed += waiting.next()
    assert waiting.weight == 0
    assert waiting.next() == []
    assert sorted(fed) == sorted(records)
    for where in range(6):
        assert [r.offset for r in fed if r.partition == where] == sorted(
            r.offset for r in fed if r.partition == where
        )


def test_what_comes_meanwhile_goes_before_the_rest_of_a_flood() -> None:
    flood = batch([(0, 100_000)] * 10)
    waiting: Waiting[LogRecord] = Waiting(300_000, 100)
    waiting.add(flood)
    waiting.add(batch([(where, 9_000) for where in (1, 2, 3)]))
    assert {r.partition for r in waiting.next()} == {0, 1, 2, 3}
    waiting.add([LogRecord(2, 1, 0, None, (), bytes(9_000))])
    assert (2, 1) in [(r.partition, r.offset) for r in waiting.next()]
    assert waiting.flooding() == {0}


def test_a_partition_floods_by_bytes_or_by_records_and_not_when_they_are_fed() -> None:
    waiting: Waiting[LogRecord] = Waiting(100_000, 3)
    waiting.add(batch([(0, 60_000), (0, 60_000), *[(1, 1)] * 4, *[(2, 1)] * 3]))
    assert waiting.flooding() == {0, 1}
    while waiting:
        waiting.next()
    assert waiting.flooding() == set()
