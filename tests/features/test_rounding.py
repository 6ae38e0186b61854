"""Fewer digits, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rounding import rounded

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True, allow_subnormal=False)


@given(FLOATS, st.integers(1, 22))
def test_the_error_is_at_most_half_of_the_last_bit(x: float, bits: int) -> None:
    (y,) = rounded(np.array([x], np.float32), bits).tolist()
    if not np.isfinite(x):
        assert y == x or np.isnan(x)
    elif np.isfinite(y):
        assert abs(y - x) <= abs(x) * 2.0 ** -(bits + 1)
        assert rounded(np.array([y]), bits).tolist() == [y]
    else:
        assert abs(x) > 1.6e38, "only the very largest may leave the range"


@pytest.mark.parametrize("n", [0, 1, 255, 8191])
def test_counts_stay_whole(n: int) -> None:
    assert rounded(np.array([n]), 12).tolist() == [n]
