"""Beat-by-beat values on a regular grid."""

from __future__ import annotations

import numpy as np
import pytest

from features.breathing.series import STEP_US, EcgBeats, Series, ecg_series, on_grid

N = 240


def _series(time_s: list[float], value: list[float], run: list[int] | None = None) -> Series:
    time_us = np.rint(1e6 * np.array(time_s)).astype(np.intp)
    runs = np.zeros(len(time_s), np.intp) if run is None else np.array(run, np.intp)
    return Series(np.zeros(len(time_s), np.intp), time_us, runs, (np.array(value, np.float64),))


def test_a_straight_line_through_beats_stays_a_straight_line() -> None:
    t = np.arange(0.3, 60, 0.8)
    (grid,) = on_grid(_series(t.tolist(), t.tolist()), 1, N)
    at = np.arange(N) * STEP_US / 1e6
    inside = (at >= t[0]) & (at <= t[-1])
    np.testing.assert_allclose(grid[0, inside], at[inside] - np.median(t), atol=1e-9)


def test_the_outermost_values_are_held_for_a_second_and_a_half() -> None:
    t = np.arange(10.0, 50.0, 1.0)
    (grid,) = on_grid(_series(t.tolist(), t.tolist()), 1, N)
    known = np.flatnonzero(np.isfinite(grid[0])) * STEP_US / 1e6
    assert (known[0], known[-1]) == (8.5, 50.5)
    assert grid[0, 34] == grid[0, 40]


@pytest.mark.parametrize("run", [[0, 0, 0, 1, 1, 1], None])
def test_a_gap_is_not_bridged_by_a_line(run: list[int] | None) -> None:
    """Neither between runs nor over more than 3 s without a beat."""
    (grid,) = on_grid(_series([1, 2, 3, 13, 14, 15], [0, 1, 0, 5, 6, 5], run), 1, N)
    at = np.arange(N) / 4
    assert np.isnan(grid[0, (at > 4.5) & (at < 11.5)]).all()
    assert np.isfinite(grid[0, (at >= 0) & (at <= 4.5)]).all()


def test_a_short_break_between_runs_steps_instead_of_sloping() -> None:
    (grid,) = on_grid(_series([1, 2, 3, 4], [0, 0, 8, 8], [0, 0, 1, 1]), 1, N)
    assert sorted(set(grid[0, 4:17].tolist())) == [-4.0, 4.0]


def test_an_outlier_is_held_to_three_quartile_ranges() -> None:
    value = [0.0, 1.0, 2.0, 3.0, 4.0, 1000.0]
    (grid,) = on_grid(_series([1, 2, 3, 4, 5, 6], value), 1, N)
    assert np.nanmax(grid) == pytest.approx(3 * (3.75 - 1.25))


def test_a_value_that_is_not_finite_is_no_value() -> None:
    with_hole = on_grid(_series([1, 2, 3, 4], [0, np.nan, 2, 4]), 1, N)[0]
    without = on_grid(_series([1, 3, 4], [0, 2, 4]), 1, N)[0]
    np.testing.assert_array_equal(with_hole, without)


def test_intervals_exist_only_between_beats_of_one_run() -> None:
    row = np.array([0, 0, 0, 1, 1], np.intp)
    time_us = np.array([100, 900, 1900, 50, 850], np.intp) * 1000
    run = np.array([0, 0, 1, 0, 0], np.intp)
    beats = EcgBeats(row, time_us, np.ones(5), np.zeros(5), run)
    intervals = ecg_series(beats)[1]
    assert intervals.values[0].tolist() == [0.8, 0.8]
    assert intervals.row.tolist() == [0, 1]


def test_rows_without_beats_are_unknown_and_do_not_disturb_others() -> None:
    one = _series([1, 2, 3, 4], [0, 1, 0, 1])
    alone = on_grid(one, 1, N)[0]
    together = on_grid(one._replace(row=np.full(4, 1, np.intp)), 3, N)[0]
    np.testing.assert_array_equal(together[1], alone[0])
    assert np.isnan(together[[0, 2]]).all()
