"""Laws of temperature."""

from __future__ import annotations

import numpy as np
import pytest

from features.feature import FeatureReason
from features.temperature import segment_median, slope_column, temperature_column

ONE = np.ones(1)


def test_a_spike_and_a_sensor_in_the_air_do_not_move_the_median() -> None:
    x = np.full((2, 40), 33.5)
    x[0, 3] = 44.0
    x[1, :25] = -5.0
    assert segment_median(x).tolist() == [33.5, 33.5]
    assert np.isnan(segment_median(np.full((1, 10), 80.0))).all()
    assert np.isnan(segment_median(np.empty((1, 0)))).all()


def test_a_window_needs_one_of_its_segments() -> None:
    medians = np.array([[33.0, np.nan, 34.0, np.nan, 35.0, np.nan]])
    column = temperature_column(medians, ONE)
    assert (column.value[0], column.n[0], column.coverage[0]) == (34.0, 3, 0.5)
    medians[:] = np.nan
    assert temperature_column(medians, ONE).reason[0] == FeatureReason.GAP


@pytest.mark.parametrize("slope", [-1.5, 0.0, 2.0])
def test_the_slope_is_that_of_a_line_also_with_rows_missing(slope: float) -> None:
    rows = 36.0 + slope * np.arange(12)[None, :] / 12.0
    rows[0, [2, 3, 7]] = np.nan
    assert slope_column(rows, ONE).value[0] == pytest.approx(slope, abs=1e-9)


def test_five_rows_are_no_trend() -> None:
    rows = np.full((1, 12), 36.0)
    rows[0, 5:] = np.nan
    assert slope_column(rows, ONE).reason[0] == FeatureReason.GAP
