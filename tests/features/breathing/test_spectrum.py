"""Power of series at breathing rates."""

from __future__ import annotations

import numpy as np
import pytest

from features.breathing.spectrum import (
    N_BINS,
    RATES_PER_MIN,
    at_double,
    at_half,
    at_rates,
    share_near,
    spectra,
)

T = np.arange(240) / 4


def _wave(per_min: float) -> np.ndarray:
    return np.sin(2 * np.pi * per_min / 60 * T + 0.4)


@pytest.mark.parametrize("per_min", [8, 12, 20, 30, 44])
@pytest.mark.parametrize("gain", [1e-12, 1.0, 1e12])
def test_the_power_of_a_wave_lies_at_its_rate_whatever_its_size(
    per_min: float, gain: float
) -> None:
    found = spectra(gain * (_wave(per_min) + 3)[None])
    assert RATES_PER_MIN[at_rates(found.power)[0].argmax()] == pytest.approx(per_min, abs=0.5)
    assert at_rates(found.power).mean() == pytest.approx(1.0)
    assert found.present[0]


def test_a_straight_line_has_no_power() -> None:
    found = spectra(np.stack([5 + 2 * T, np.full(240, 3.3), np.zeros(240)]))
    assert not found.present[1:].any()
    assert (found.power[1:] == 0).all()
    wave = spectra((_wave(15) + 40 * T)[None])
    assert RATES_PER_MIN[at_rates(wave.power)[0].argmax()] == pytest.approx(15, abs=0.5)


def test_a_window_half_unknown_still_shows_its_rate_and_less_does_not_count() -> None:
    x = np.stack([_wave(18), _wave(18)])
    x[0, 100:200] = np.nan
    x[1, 80:210] = np.nan
    found = spectra(x)
    assert found.present.tolist() == [True, False]
    assert found.coverage == pytest.approx([140 / 240, 110 / 240])
    assert RATES_PER_MIN[at_rates(found.power)[0].argmax()] == pytest.approx(18, abs=0.5)


@pytest.mark.parametrize("n", [0, 1, 63, 481, 2000])
def test_a_window_too_short_or_too_long_says_nothing(n: int) -> None:
    found = spectra(np.random.default_rng(0).normal(size=(2, n)))
    assert not found.present.any()
    assert (share_near(np.ones((2, n)), np.array([15.0, 15.0])) == 0).all()


def test_share_near_a_rate_is_high_there_and_low_elsewhere() -> None:
    x = np.stack([_wave(15), _wave(15), _wave(15)])
    near, far, none = share_near(x, np.array([15.0, 40.0, np.nan]))
    assert near > 0.95
    assert far < 0.01
    assert none == 0


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_does_not_depend_on_its_neighbours(size: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(size, 240))
    x[rng.random(x.shape) < 0.1] = np.nan
    together = spectra(x)
    for i in range(size):
        np.testing.assert_array_equal(spectra(x[i : i + 1]).power[0], together.power[i])


def test_double_and_half_rates_are_read_from_their_own_bins() -> None:
    per_min = (np.arange(N_BINS) / 2)[None]
    np.testing.assert_allclose(at_rates(per_min)[0], RATES_PER_MIN)
    np.testing.assert_allclose(at_double(per_min)[0], 2 * RATES_PER_MIN)
    np.testing.assert_allclose(at_half(per_min)[0], RATES_PER_MIN / 2)
