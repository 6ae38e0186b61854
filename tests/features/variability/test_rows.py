from __future__ import annotations

import numpy as np
import pytest

from features.variability.rows import (
    ordered_rows,
    ratio,
    row_deviations,
    row_means,
    row_quantiles,
    row_sums,
    sums,
)


def test_sums_of_nothing_are_zero() -> None:
    assert sums(np.empty(0), np.zeros(3, np.int64)).tolist() == [0.0, 0.0, 0.0]
    assert sums(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0, 1])).tolist() == [0, 3, 0, 4]


@pytest.mark.parametrize("n", [1, 7, 8, 9, 127, 128, 129, 1000])
def test_a_rows_sum_has_the_same_bits_wherever_it_lies(n: int) -> None:
    rng = np.random.default_rng(n)
    own = rng.normal(0, 1e3, n)
    for before in (0, 1, 2, 3, 5, 17):
        values = np.concatenate([rng.normal(0, 1e9, before), own])
        found = sums(values, np.array([before, n]))[1]
        assert found.tobytes() == sums(own, np.array([n]))[0].tobytes()


def test_rows_out_of_order_are_summed_too() -> None:
    assert row_sums(np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1]), 3).tolist() == [2, 5, 0]


def test_an_empty_row_has_no_mean_and_a_single_value_no_deviation() -> None:
    row = np.array([1])
    assert np.isnan(row_means(np.ones(1), row, 2)[1]).tolist() == [True, False]
    assert np.isnan(row_deviations(np.ones(1), row, 2)).all()


def test_quantiles_are_those_of_each_row() -> None:
    row = np.array([0, 0, 0, 2, 2])
    ordered = ordered_rows(np.array([3.0, 1.0, 2.0, 9.0, 5.0]), row)
    assert ordered.tolist() == [1, 2, 3, 5, 9]
    count = np.array([3, 0, 2])
    middle = row_quantiles(ordered, count, (count - 1) / 2)
    assert middle.tolist() == pytest.approx([2.0, np.nan, 7.0], nan_ok=True)


def test_a_ratio_to_nothing_is_missing() -> None:
    assert np.isnan(ratio(np.array([1.0, 1.0, np.nan]), np.array([0.0, np.nan, 1.0]))).all()
