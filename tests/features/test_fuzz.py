"""A short, fixed run of the fuzzer; `benchmarks/fuzz_features.py` runs as many as one likes."""

from __future__ import annotations

import pytest

from benchmarks.fuzz_features import Count, batches, fuzz

WINDOWS = 4000


@pytest.fixture(scope="module")
def count() -> Count:
    return fuzz(batches(WINDOWS, seed=20))


def test_no_random_window_raises(count: Count) -> None:
    assert count.windows == WINDOWS
    assert count.exceptions == 0, count.examples


def test_positions_are_in_order_and_inside_and_no_interval_spans_a_gap(count: Count) -> None:
    broken = ("order", "outside", "spans a gap", "no heart has")
    assert [what for what in count.wrong if any(word in what for word in broken)] == []


def test_no_window_that_passes_the_gate_has_a_wrong_beat(count: Count) -> None:
    assert sum(count.wrong.values()) == 0, count.examples


def test_the_same_seed_draws_the_same_windows() -> None:
    assert fuzz(batches(300, seed=5)) == fuzz(batches(300, seed=5))


def test_a_run_is_gone_on_with_where_it_stopped(count: Count) -> None:
    stopped = fuzz(batches(WINDOWS, seed=20), seconds=0.0)
    rest = fuzz(batches(WINDOWS - stopped.windows, seed=20, first=stopped.windows // 500))
    assert stopped.windows == 500
    assert stopped.asked + rest.asked == count.asked
    assert stopped.kept + rest.kept == count.kept


@pytest.mark.slow
def test_several_processes_count_what_one_counts(count: Count) -> None:
    assert fuzz(batches(WINDOWS, seed=20), jobs=2) == count
