"""Rows side by side give the bits of rows by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("numba", reason="numba is an extra")

from features import tiles  # which needs numba

SHAPES = [(1, 5), (3, 130), (7, 131), (33, 128), (40, 401)]


@pytest.mark.parametrize(("n_rows", "n"), SHAPES)
def test_rows_come_back_as_they_were_laid(n_rows: int, n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n_rows, n))
    out = np.zeros(rows.shape)
    for first in range(0, n_rows, tiles.LANES):
        tile = np.zeros((n + 6, tiles.LANES))
        lanes = tiles.laid(rows, first, tile, 3)
        np.testing.assert_array_equal(tile[3 : n + 3, :lanes], rows[first : first + lanes].T)
        tiles.lifted(tile, 3, first, lanes, out)
    np.testing.assert_array_equal(out, rows)


@pytest.mark.parametrize(("n_rows", "n"), SHAPES)
@pytest.mark.parametrize("width", [1, 3, 41])
def test_running_means_are_scipys(n_rows: int, n: int, width: int) -> None:
    rows = np.random.default_rng(width).normal(size=(n_rows, n))
    tile, mean, sums = rows.T.copy(), np.empty((n, n_rows)), np.empty((n, n_rows))
    tiles.averaged(tile, width, mean)
    tiles.running(tile, width, sums)
    expected = ndimage.uniform_filter1d(rows, width, axis=1, mode="nearest")
    np.testing.assert_array_equal(mean.T, expected)
    np.testing.assert_array_equal(sums.T / width, expected)


@pytest.mark.parametrize(("n_rows", "n"), [*SHAPES, (4, 1751)])
def test_lanes_are_added_as_numpy_adds_rows(n_rows: int, n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n_rows, n))
    out = np.empty(n_rows)
    tiles.summed_in_halves(rows.T.copy(), out)
    np.testing.assert_array_equal(out, rows.sum(axis=1))
    tiles.summed(rows.T[:128].copy(), out)
    np.testing.assert_array_equal(out, rows[:, :128].copy().sum(axis=1))


def test_the_highest_of_stretches_of_lanes_is_numpys() -> None:
    rows = np.random.default_rng(1).normal(size=(9, 100))
    out = np.empty((3, 9))
    tiles.tops(rows.T.copy(), 30, out)
    np.testing.assert_array_equal(out.T, rows[:, :90].reshape(9, 3, 30).max(axis=2))
