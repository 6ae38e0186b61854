"""Compiled loops give SciPy's bits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from features import filters, lanes

pytest.importorskip("numba", reason="numba is an extra")


@pytest.mark.parametrize("n_rows", [1, 7, 16, 37])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_filter_is_scipys(n_rows: int, order: int) -> None:
    x = np.random.default_rng(order).normal(0, 1, (n_rows, 400))
    sos = filters.band_pass(order, 0.5, 8.0, 64.0)
    assert sos is not None
    expected = signal.sosfiltfilt(sos, x, axis=-1, padtype="odd", padlen=64)
    assert lanes.zero_phase(sos, x, 64).tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize(("n_rows", "width"), [(1, 5), (7, 50), (20, 299), (16, 300)])
def test_heights_and_steps_are_numpys(n_rows: int, width: int) -> None:
    x = np.random.default_rng(width).normal(0, 1, (n_rows, 300))
    heights, steepest = lanes.heights(x, width)
    parts = x[:, : 300 // width * width].reshape(n_rows, -1, width)
    assert heights.tobytes() == (parts.max(axis=2) - parts.min(axis=2)).tobytes()
    assert steepest.tobytes() == np.abs(np.diff(x, axis=1)).max(axis=1).tobytes()
