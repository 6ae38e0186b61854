"""Laws of the reductions over a window's segments."""

from __future__ import annotations

import numpy as np
import pytest

from features.feature import FeatureReason
from features.segment_rows import (
    column,
    divided,
    row_extreme,
    row_mean,
    row_median,
    row_slope,
    row_total,
)

RNG = np.random.default_rng(3)


def test_they_equal_numpy_where_everything_is_known() -> None:
    x = RNG.normal(size=(20, 12))
    t = np.arange(12.0)
    assert row_mean(x) == pytest.approx(x.mean(axis=1))
    np.testing.assert_array_equal(row_median(x), np.median(x, axis=1))
    assert row_slope(t, x) == pytest.approx([np.polyfit(t, y, 1)[0] for y in x])
    np.testing.assert_array_equal(row_extreme(x, largest=True), x.max(axis=1))


def test_what_is_missing_is_left_out() -> None:
    x = RNG.normal(size=(50, 9))
    x[RNG.random(x.shape) < 0.4] = np.nan
    x[0], x[1, 1:] = np.nan, np.nan
    for row, found in zip(x, row_median(x), strict=True):
        known = row[~np.isnan(row)]
        assert found == (np.median(known) if known.size else pytest.approx(np.nan, nan_ok=True))
    assert row_total(x)[0] == 0.0
    assert np.isnan(row_mean(x)[0])
    assert np.isnan(row_slope(np.arange(9.0), x)[:2]).all()


def test_no_segments_give_nothing() -> None:
    empty = np.empty((2, 0))
    for found in (row_mean(empty), row_median(empty), row_extreme(empty, largest=False)):
        assert np.isnan(found).all()


def test_division_by_zero_is_nothing() -> None:
    assert np.isnan(divided(np.ones(2), np.array([0.0, -1.0]))).all()


def test_a_value_is_missing_exactly_where_the_reason_says_so() -> None:
    out = column(
        np.array([1.0, np.nan, 3.0, np.nan]),
        np.array([2.0, np.nan, 0.5, -1.0]),
        np.array([1.0, 1.0, 0.4, np.nan]),
        np.arange(4),
    )
    assert out.reason.tolist() == [
        FeatureReason.OK,
        FeatureReason.UNDEFINED,
        FeatureReason.GAP,
        FeatureReason.GAP,
    ]
    assert np.isnan(out.value).tolist() == [False, True, True, True]
    assert out.quality.tolist() == [1.0, 0.0, 0.5, 0.0]
