"""Flat helpers against NumPy, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from features.ppg.flat import argmax_between, row_mean, row_quantile, vertex


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.6, 1.0])
def test_quantiles_are_numpys_per_row(share: float) -> None:
    rng = np.random.default_rng(0)
    row = rng.permutation(np.repeat([0, 1, 3, 4], [1, 2, 7, 40]))
    values = rng.normal(size=row.size)
    found = row_quantile(values, row, 5, share)
    for i in (0, 1, 3, 4):
        assert found[i] == pytest.approx(np.quantile(values[row == i], share))
    assert np.isnan(found[2])
    assert np.isnan(row_quantile(np.empty(0), np.empty(0, np.intp), 2, share)).all()


def test_means_are_per_row_and_nan_without_values() -> None:
    found = row_mean(np.array([1.0, 2.0, 6.0]), np.array([0, 2, 2]), 3)
    np.testing.assert_array_equal(found, [1.0, np.nan, 4.0])


def test_the_first_of_equal_largest_is_taken() -> None:
    y = np.array([[0.0, 3.0, 3.0, 1.0], [5.0, 0.0, 4.0, 9.0]])
    row, start, stop = np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([4, 3, 3])
    assert argmax_between(y, row, start, stop).tolist() == [1, 0, 2]


def test_the_vertex_of_a_parabola_is_exact_and_stays_within_half_a_sample() -> None:
    x = np.arange(9.0)
    y = -((x - 4.3) ** 2)[None]
    zero = np.zeros(1, np.intp)
    assert vertex(y, zero, np.array([4]))[0] == pytest.approx(0.3)
    assert vertex(y, zero, np.array([2]))[0] == 0.5
    assert vertex(y, zero, np.array([0]))[0] == 0.0
