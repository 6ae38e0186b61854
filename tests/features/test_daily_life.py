"""An hour of readings that come every few minutes: known answers, and too little says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from features.daily_life import SOURCES, hour_columns
from features.feature import FeatureReason

NAN = np.nan
MIDDLE_H = (np.arange(12) + 0.5) / 12


def hour(glucose: object, steps: object = NAN, asleep: object = NAN) -> np.ndarray:
    """One hour of twelve five minutes."""
    rows = np.full((1, 12, len(SOURCES)), NAN)
    for i, values in enumerate((glucose, steps, asleep)):
        rows[0, :, i] = values
    return rows


def value(rows: np.ndarray, name: str) -> tuple[float, int]:
    made = hour_columns(rows)[name]
    return float(made.value[0]), int(made.reason[0])


def test_means_are_of_the_five_minutes_that_are_known() -> None:
    rows = hour([5.0] * 6 + [7.0] * 3 + [NAN] * 3, [0, 30] + [NAN] * 10, 50.0)
    assert value(rows, "glucose_mean_mmol_per_l")[0] == pytest.approx(51 / 9)
    assert value(rows, "step_rate_per_min") == (15.0, FeatureReason.OK)
    assert value(rows, "asleep_pct") == (50.0, FeatureReason.OK)
    made = hour_columns(rows)["glucose_mean_mmol_per_l"]
    assert (made.n[0], made.coverage[0]) == (9, 0.75)


@pytest.mark.parametrize("slope", [-6.0, 0.0, 2.5])
def test_the_trend_is_that_of_a_straight_line_also_with_gaps(slope: float) -> None:
    line = 8.0 + slope * MIDDLE_H
    line[[1, 2, 5, 9]] = NAN
    found, reason = value(hour(line), "glucose_slope_mmol_per_l_per_h")
    assert found == pytest.approx(slope, abs=1e-9)
    assert reason == FeatureReason.OK


def test_low_is_below_3_9_and_not_at_it() -> None:
    rows = hour([3.9, 3.89, 2.0, NAN, 5.0] + [NAN] * 3 + [6.0] * 4)
    assert value(rows, "glucose_low_pct") == (pytest.approx(25.0), FeatureReason.OK)


@pytest.mark.parametrize(
    "places", [(), (3,), (0, 11), (2, 3, 4, 5, 6)], ids=["none", "one", "two", "near each other"]
)
def test_too_little_gives_no_trend_and_no_share(places: tuple[int, ...]) -> None:
    line = np.full(12, NAN)
    line[list(places)] = 3.0
    for name in ("glucose_slope_mmol_per_l_per_h", "glucose_low_pct"):
        found, reason = value(hour(line), name)
        assert np.isnan(found)
        assert reason == FeatureReason.GAP


def test_a_sensor_of_a_quarter_of_an_hour_is_enough() -> None:
    line = np.full(12, NAN)
    line[[1, 4, 7, 10]] = [6.0, 5.0, 4.0, 3.0]
    assert value(hour(line), "glucose_slope_mmol_per_l_per_h")[0] == pytest.approx(-4.0)
    assert value(hour(line), "glucose_low_pct")[0] == 25.0


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(2, 20, (64, 12, len(SOURCES)))
    rows[rng.random(rows.shape) < 0.4] = NAN
    whole = hour_columns(rows)
    for i in (0, 17, 63):
        for name, column in hour_columns(rows[i : i + 1]).items():
            for one, many in zip(column, whole[name], strict=True):
                assert one.tobytes() == many[i : i + 1].tobytes()
