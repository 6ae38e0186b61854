"""A portion in passes: nothing lost, a partition's order kept, the oldest first, none too large."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from streams.portions import MOST_PASS_BYTES, PASS_BYTES, passes
from streams.records import LogRecord

ROW = st.tuples(st.integers(0, 5), st.integers(0, 1_400_000), st.integers(0, 60))
ROWS = st.lists(ROW, max_size=30)


def batch(rows: list[tuple[int, int, int]]) -> list[LogRecord]:
    """Records of (partition, bytes, append time)."""
    due: dict[int, int] = {}
    out = []
    for where, size, append_us in rows:
        out.append(LogRecord(where, due.get(where, 0), append_us, None, (), bytes(size)))
        due[where] = due.get(where, 0) + 1
    return out


@given(ROWS)
def test_every_record_is_there_once_and_in_its_partitions_order(
    rows: list[tuple[int, int, int]],
) -> None:
    records = batch(rows)
    parts = list(passes(records))
    assert sorted(chain(*parts)) == sorted(records)
    for where in range(6):
        own = [r.offset for r in chain(*parts) if r.partition == where]
        assert own == list(range(len(own)))


@given(ROWS)
def test_a_pass_ends_with_the_record_that_fills_it(rows: list[tuple[int, int, int]]) -> None:
    parts = list(passes(batch(rows)))
    third = -(-sum(size for _, size, _ in rows) // 3)
    enough = max(PASS_BYTES, min(third, MOST_PASS_BYTES))
    for part in parts:
        assert sum(len(r.value) for r in part[:-1]) < enough
    for part in parts[:-1]:
        assert sum(len(r.value) for r in part) >= enough


def test_what_waits_long_goes_in_larger_passes_but_none_without_bound() -> None:
    size = PASS_BYTES // 4
    counts = {n: [len(p) for p in passes(batch([(0, size, 0)] * n))] for n in (4, 8, 12, 48, 100)}
    assert counts[4] == [4]
    assert counts[8] == [4, 4]
    assert counts[12] == [4, 4, 4]
    assert counts[48] == [16, 16, 16]
    assert counts[100] == [16, 16, 16, 16, 16, 16, 4]


def test_the_oldest_go_first_whatever_their_partition() -> None:
    each = PASS_BYTES // 2
    records = batch([(0, each, 1), (0, each, 2), (1, each, 1), (1, each, 2)])
    times = [[r.append_us for r in part] for part in passes(records)]
    assert times == [[1, 1], [2, 2]]


def test_a_partition_whose_times_go_back_keeps_its_order() -> None:
    records = batch([(0, 10, 9), (0, 10, 3), (1, 10, 5)])
    (part,) = passes(records)
    assert [(r.partition, r.offset) for r in part] == [(1, 0), (0, 0), (0, 1)]
