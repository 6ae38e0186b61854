"""The highest and the lowest of many numbers, whatever their order and number."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is an extra")

from features.highest import blocks_of, highest_of, lowest_of  # which need numba


@pytest.mark.parametrize("n", [1, 7, 8, 9, 16, 31, 1000])
def test_they_are_numpys(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    assert highest_of(x) == x.max()
    assert lowest_of(x) == x.min()
    for at in range(0, n, max(1, n // 9)):
        odd = np.zeros(n)
        odd[at] = 1.0
        assert highest_of(odd) == 1.0
        assert lowest_of(-odd) == -1.0


def test_stretches_have_their_own() -> None:
    row = np.random.default_rng(3).normal(size=70)
    high, low = np.empty(3), np.empty(3)
    blocks_of(row, 20, high, low)
    np.testing.assert_array_equal(high, row[:60].reshape(3, 20).max(axis=1))
    np.testing.assert_array_equal(low, row[:60].reshape(3, 20).min(axis=1))
