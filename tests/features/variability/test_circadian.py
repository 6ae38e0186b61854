from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.variability.circadian import cosinor

HOURS = np.arange(24.0)[None]


@pytest.mark.parametrize("phase_h", [0.0, 3.5, 15.0, 23.9])
def test_a_cosine_is_found_whatever_hours_are_missing(phase_h: float) -> None:
    value = 70 + 8 * np.cos(2 * np.pi * (HOURS - phase_h) / 24)
    value[0, [2, 3, 11, 17]] = np.nan
    fit = cosinor(value, HOURS + 5)
    assert fit.mesor[0] == pytest.approx(70.0)
    assert fit.amplitude[0] == pytest.approx(8.0)
    assert np.cos(2 * np.pi * (fit.phase_h[0] - phase_h - 5) / 24) == pytest.approx(1.0)


def test_a_noisy_course_is_fitted_by_least_squares() -> None:
    y = np.random.default_rng(1).normal(70, 5, 24)
    design = np.stack([np.ones(24), np.cos(np.pi * HOURS[0] / 12), np.sin(np.pi * HOURS[0] / 12)])
    mesor, a, b = np.linalg.lstsq(design.T, y, rcond=None)[0]
    fit = cosinor(y[None], HOURS)
    assert fit.mesor[0] == pytest.approx(mesor)
    assert fit.amplitude[0] == pytest.approx(np.hypot(a, b))


def test_three_values_are_not_enough() -> None:
    value = np.full((1, 24), np.nan)
    value[0, :3] = 70.0
    assert np.isnan([v[0] for v in cosinor(value, HOURS)]).all()


def test_values_at_one_time_tell_no_course() -> None:
    assert np.isnan(cosinor(np.full((1, 6), 70.0), np.full((1, 6), 3.0)).amplitude[0])


@given(
    st.lists(st.floats(10, 300), min_size=24, max_size=24), st.sets(st.integers(0, 23), max_size=6)
)
def test_a_day_with_18_hours_stays_in_its_range(values: list[float], missing: set[int]) -> None:
    value = np.array([values])
    value[0, list(missing)] = np.nan
    fit = cosinor(value, HOURS)
    assert -400 <= fit.mesor[0] <= 800
    assert 0 <= fit.amplitude[0] <= 800
    assert 0 <= fit.phase_h[0] < 24
