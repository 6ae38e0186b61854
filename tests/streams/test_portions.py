"""A batch of the log in portions: nothing lost, order kept, and a flood waits for the others."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from streams.portions import LEAST_BYTES, MOST_OVER, portions
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
