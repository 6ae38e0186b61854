from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.beat_intervals import (
    Beats,
    Intervals,
    inside,
    intervals_between,
    intervals_with_context,
)
from features.intervals import Kind

LENGTH_US = np.array([300_000_000])


def beats(times_s: NDArray[np.float64], row: NDArray[np.int64] | None = None) -> Beats:
    where = np.zeros(times_s.size, np.int64) if row is None else row
    nothing = np.zeros(times_s.size, np.int64)
    return Beats(where, np.rint(times_s * 1e6).astype(np.int64), nothing, nothing > 0)


def same(one: Intervals, two: Intervals) -> bool:
    flat = [*one[:5], *one.corrected]
    return all(
        a.tobytes() == b.tobytes() for a, b in zip(flat, [*two[:5], *two.corrected], strict=True)
    )


def test_an_interval_belongs_to_the_window_of_its_end_beat() -> None:
    # beats -0.5 | 0.3 ... 299.9 | 300.0: the one ending at 300.0 is the next window's
    times = np.array([-0.5, 0.3, 1.1, 299.2, 299.9, 300.0])
    found = intervals_between(beats(times), LENGTH_US)
    assert found.end_us.tolist() == [300_000, 1_100_000, 299_200_000, 299_900_000]
    assert found.nn_ms[0] == 800.0


def test_context_helps_to_judge_and_is_not_measured() -> None:
    rr = np.full(100, 0.8)
    rr[51:53] = [0.55, 1.05]
    times = np.concatenate([[0.0], np.cumsum(rr)]) - 40.5
    short = beats(times[times > -0.9])
    known = intervals_between(beats(times), LENGTH_US)
    assert known.end_us.min() >= 0
    assert known.kind[:2].tolist() == intervals_between(short, LENGTH_US).kind[:2].tolist()
    assert not known.joined[0]


def test_beats_known_by_their_shape_are_ectopic() -> None:
    of = beats(np.arange(20) * 0.8)
    of.ectopic[10] = True
    assert np.flatnonzero(intervals_between(of, LENGTH_US).kind == Kind.ECTOPIC).tolist() == [9, 10]


def test_beats_out_of_order_or_twice_are_dropped() -> None:
    times = np.array([0.5, 1.3, 1.3, 0.9, 2.1, 2.9])
    expected = intervals_between(beats(np.array([0.5, 1.3, 2.1, 2.9])), LENGTH_US)
    assert same(intervals_between(beats(times), LENGTH_US), expected)


def test_rows_do_not_touch() -> None:
    times = np.array([1.0, 1.8, 2.6, 0.5, 1.4])
    found = intervals_between(beats(times, np.array([0, 0, 0, 2, 2])), np.repeat(LENGTH_US, 3))
    assert found.row.tolist() == [0, 0, 2]
    assert found.joined.tolist() == [False, True, False]


def test_inside_of_what_is_inside_changes_nothing() -> None:
    found = intervals_with_context(beats(np.arange(-5, 20) * 0.9), LENGTH_US)
    once = inside(found)
    assert once.end_us.size < found.end_us.size
    assert same(inside(once), once)


def test_no_beat_is_no_interval() -> None:
    for times in (np.empty(0), np.array([4.0])):
        assert intervals_between(beats(times), LENGTH_US).nn_ms.size == 0
