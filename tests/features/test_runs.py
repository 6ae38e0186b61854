"""Gaps, flat lines and gap-free runs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features import runs


@given(arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 12))))
def test_fill_is_the_inverse_of_spans(mask: runs.Bools) -> None:
    np.testing.assert_array_equal(runs.fill(mask.shape, *runs.spans(mask)), mask)


@given(arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 12))))
def test_runs_hold_every_usable_sample_exactly_once(usable: runs.Bools) -> None:
    x = np.arange(usable.size, dtype=np.float64).reshape(usable.shape)
    seen = [block.x.ravel() for block in runs.runs_of(x, usable, 1)]
    together = np.sort(np.concatenate(seen)) if seen else np.empty(0)
    np.testing.assert_array_equal(together, x[usable])


def test_a_run_knows_where_it_came_from() -> None:
    x = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    usable = np.array([[False, True, True, True], [True, True, True, False]])
    (block,) = runs.runs_of(x, usable, 3)
    assert (block.row.tolist(), block.start.tolist()) == ([0, 1], [1, 0])
    assert block.x.tolist() == [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]


def test_a_short_hole_is_bridged_by_a_straight_line_and_a_long_one_is_not() -> None:
    x = np.arange(100.0)[None]
    x[0, 10:12] = np.nan  # 20 ms at 100 Hz
    x[0, 50:53] = np.nan  # 30 ms
    bridged = runs.bridge(x, 100.0)
    np.testing.assert_allclose(bridged[0, 10:12], [10.0, 11.0])
    assert np.flatnonzero(np.isnan(bridged[0])).tolist() == [50, 51, 52]


def test_a_hole_at_an_end_is_never_bridged() -> None:
    x = np.array([[np.nan, 1.0, 2.0, np.nan]])
    np.testing.assert_array_equal(runs.bridge(x, 100.0), x)


def test_a_line_is_flat_from_one_second_on() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1000))
    x[0, 100:200] = 3.0  # 1 s
    x[0, 500:599] = 3.0  # 0.99 s
    assert np.flatnonzero(runs.flat(x, 100.0)[0]).tolist() == list(range(100, 200))


def test_missing_samples_are_not_flat() -> None:
    assert not runs.flat(np.full((2, 500), np.nan), 100.0).any()


def test_samples_rest_on_a_rail_only_if_they_stay_there() -> None:
    x = np.array([[0.0, 1.0, 1.0, 1.0, 0.5, 0.0, 1.0, 0.2], [2.0] * 8, [np.nan] * 8])
    rail = runs.on_a_rail(x, 3)
    assert rail[0].tolist() == [False, True, True, True, False, False, False, False]
    assert not rail[1:].any()


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 40)),
        elements=st.sampled_from([0.0, 1.0, np.nan]),
    ),
    st.integers(2, 9),
)
def test_a_flat_line_is_every_stretch_of_equal_samples_that_is_long_enough(
    x: runs.Floats, shortest: int
) -> None:
    row, start, stop = runs.spans(x[:, 1:] == x[:, :-1])
    long = stop - start + 1 >= shortest
    expected = runs.fill(x.shape, row[long], start[long], stop[long] + 1)
    np.testing.assert_array_equal(runs.flat(x, 1.0, shortest), expected)


@given(arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(0, 40))))
def test_counts_are_the_sums_of_the_rows(mask: runs.Bools) -> None:
    np.testing.assert_array_equal(runs.counts(mask), mask.sum(axis=1))


def test_what_is_no_sample_becomes_a_gap_and_nothing_else_changes() -> None:
    x = np.array([[1.0, np.inf, -1e31, np.nan, -0.0, 1e30]], np.float64)
    np.testing.assert_array_equal(runs.as_rows(x), [[1.0, np.nan, np.nan, np.nan, -0.0, 1e30]])
    assert runs.as_rows(np.empty((2, 0))).shape == (2, 0)
