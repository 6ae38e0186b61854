"""What several sources say together."""

from __future__ import annotations

import numpy as np
import pytest

from features.breathing import fusion
from features.breathing.fusion import NEAR_PER_MIN, best_rate, evidence, normalised, source
from features.breathing.spectrum import N_BINS, N_RATES, RATES_PER_MIN, Spectra


def _at(per_min: float, share: float = 0.6, present: bool = True) -> Spectra:
    """Power of which a share lies around a rate, the rest everywhere."""
    peak = np.exp(-0.5 * ((np.arange(N_BINS) / 2 - per_min) / 1.0) ** 2)
    power = share * N_RATES * peak / peak.sum() + (1 - share)
    return Spectra(power[None] * present, np.array([present]), np.array([1.0 * present]))


def _rate(*said: tuple[str, Spectra]) -> tuple[float, float]:
    likelihood, _ = evidence([source(name, found) for name, found in said])
    rate = best_rate(normalised(likelihood + fusion.LOG_PRIOR))
    return float(rate.per_min[0]), float(rate.quality[0])


def test_sources_that_agree_are_surer_than_one() -> None:
    rate, one = _rate(("pulse_baseline", _at(14)), ("r_peak", _at(14, present=False)))
    assert rate == pytest.approx(14, abs=0.3)
    rate, two = _rate(("pulse_baseline", _at(14)), ("r_peak", _at(14)))
    assert rate == pytest.approx(14, abs=0.3)
    assert two >= one > 0.5


def test_sources_that_disagree_are_less_sure_than_one() -> None:
    _, one = _rate(("pulse_baseline", _at(14)), ("r_peak", _at(25, present=False)))
    _, two = _rate(("pulse_baseline", _at(14)), ("r_peak", _at(25)))
    assert two < one


def test_a_source_of_noise_does_not_change_the_rate() -> None:
    rate, _ = _rate(("pulse_baseline", _at(19)), ("r_peak", _at(5, share=0.0)))
    assert rate == pytest.approx(19, abs=0.3)


def test_without_any_source_nothing_is_more_likely_than_anything_else() -> None:
    likelihood, n = evidence([source("r_peak", _at(14, present=False))])
    assert (likelihood == 0).all()
    assert n.tolist() == [0]


def test_quality_is_the_probability_within_two_per_minute() -> None:
    p = np.full((1, N_RATES), 1e-9)
    p[0, 20:23] = [0.1, 0.5, 0.1]
    p[0, 60] = 0.3
    rate = best_rate(p)
    assert rate.per_min[0] == pytest.approx(RATES_PER_MIN[21], abs=1e-6)
    assert rate.quality[0] == pytest.approx(0.7, abs=1e-6)
    assert NEAR_PER_MIN == 2.0


@pytest.mark.parametrize("index", [0, 1, N_RATES - 2, N_RATES - 1])
def test_the_best_rate_stays_on_the_grid_at_its_ends(index: int) -> None:
    p = np.full((1, N_RATES), 1e-12)
    p[0, index] = 1.0
    rate = best_rate(p)
    assert rate.per_min[0] == pytest.approx(RATES_PER_MIN[index], abs=1e-6)
    assert rate.quality[0] == pytest.approx(1.0)


def test_a_counted_wave_outweighs_what_is_usual() -> None:
    likelihood = fusion.wave_evidence(np.array([32.0, np.nan]), np.array([True, False]))
    p = normalised(likelihood + fusion.LOG_PRIOR)
    assert best_rate(p).per_min[0] == pytest.approx(32, abs=0.5)
    assert (likelihood[1] == 0).all()


def test_the_harmonic_of_a_slow_rate_is_not_taken_for_the_rate() -> None:
    """Sharp breaths: as much power an octave above as at the rate."""
    both = _at(9, 0.3)._replace(power=(_at(9, 0.6).power + _at(18, 0.6).power) / 2)
    assert _rate(("pulse_baseline", both), ("r_peak", both))[0] == pytest.approx(9, abs=0.5)
