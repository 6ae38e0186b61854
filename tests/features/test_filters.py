"""Filters: what passes, what does not, and that no phase is added."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from features import filters, lanes


def _tone(hz: float) -> filters.Floats:
    return np.sin(2 * np.pi * hz * np.arange(2500) / 250.0)[None]


def test_a_band_pass_keeps_its_band_in_place_and_drops_the_rest() -> None:
    sos = filters.band_pass(2, 5.0, 20.0, 250.0)
    assert sos is not None
    middle = slice(500, 2000)
    np.testing.assert_allclose(
        filters.zero_phase(sos, _tone(10.0), 250)[0, middle], _tone(10.0)[0, middle], atol=0.01
    )
    assert np.abs(filters.zero_phase(sos, _tone(0.5), 250)[0, middle]).max() < 0.01
    assert np.abs(filters.zero_phase(sos, _tone(100.0), 250)[0, middle]).max() < 0.01


@pytest.mark.parametrize("fs_hz", [0.0, -5.0, np.nan, np.inf, 10.0])
def test_a_rate_that_leaves_no_band_has_no_filter(fs_hz: float) -> None:
    assert filters.band_pass(1, 8.0, 20.0, fs_hz) is None


def test_the_upper_edge_gives_way_to_a_low_rate() -> None:
    assert filters.band_pass(1, 8.0, 20.0, 25.0) is not None


def test_a_low_pass_above_the_rate_is_no_filter() -> None:
    assert filters.low_pass(2, 1.5, 3.0) is None
    assert filters.low_pass(2, 1.5, 25.0) is not None


def test_rows_are_filtered_independently_bit_for_bit() -> None:
    sos = filters.band_pass(1, 8.0, 20.0, 250.0)
    assert sos is not None
    rows = np.random.default_rng(0).normal(size=(17, 500))
    together = filters.zero_phase(sos, rows, 250)
    for row, out in zip(rows, together, strict=True):
        np.testing.assert_array_equal(filters.zero_phase(sos, row[None], 250)[0], out)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_row_shorter_than_the_reflection_is_filtered(n: int) -> None:
    sos = filters.band_pass(1, 8.0, 20.0, 250.0)
    assert sos is not None
    assert np.isfinite(filters.zero_phase(sos, np.ones((1, n)), 250)).all()


@pytest.mark.parametrize(
    ("order", "n", "pad"), [(1, 500, 60), (2, 416, 42), (2, 9, 42), (2, 30, 0)]
)
def test_rows_are_filtered_as_scipy_filters_them_bit_for_bit(order: int, n: int, pad: int) -> None:
    sos = filters.band_pass(order, 0.5, 8.0, 41.7)
    assert sos is not None
    rows = np.cumsum(np.random.default_rng(n).normal(size=(19, n)), axis=1)
    scipy_s = signal.sosfiltfilt(sos, rows, padtype="odd", padlen=min(pad, n - 1))
    np.testing.assert_array_equal(filters.zero_phase(sos, rows, pad), scipy_s)
    np.testing.assert_array_equal(filters.zero_phase(sos, rows[:3], pad), scipy_s[:3])


@pytest.mark.parametrize("n", [2, 50, 1000])
def test_the_compiled_filter_gives_the_bits_of_the_reference(n: int) -> None:
    pytest.importorskip("numba")
    sos = filters.band_pass(2, 0.5, 8.0, 41.7)
    assert sos is not None
    rows = np.random.default_rng(n).normal(size=(13, n))
    few = [filters.zero_phase(sos, rows[i : i + 1], 40)[0] for i in range(13)]
    np.testing.assert_array_equal(lanes.zero_phase(sos, rows, 40), few)
