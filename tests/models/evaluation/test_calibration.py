"""Calibration is found where it is, and measured as textbooks say."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.calibration import calibration, ece, equal_mass, hosmer_lemeshow


def forecasts(seed: int = 1, n: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    prob = 1 / (1 + np.exp(-random.normal(-2, 1.2, n)))
    return random.random(n) < prob, prob


def test_right_probabilities_have_slope_one_intercept_zero_and_hardly_an_error() -> None:
    label, prob = forecasts()
    got = calibration(label, prob, replicates=0)
    assert got.slope.value == pytest.approx(1, abs=0.04)
    assert got.intercept.value == pytest.approx(0, abs=0.04)
    assert got.ece.value < 0.006
    assert got.expected_over_observed.value == pytest.approx(1, abs=0.03)


def test_overconfidence_and_overprediction_are_named() -> None:
    label, prob = forecasts()
    odds = np.log(prob / (1 - prob))
    bold = 1 / (1 + np.exp(-2 * odds))
    high = 1 / (1 + np.exp(-(odds + 1)))
    assert calibration(label, bold, replicates=0).slope.value == pytest.approx(0.5, abs=0.03)
    assert calibration(label, high, replicates=0).intercept.value == pytest.approx(-1, abs=0.05)
    assert calibration(label, high, replicates=0).expected_over_observed.value > 1.5


def test_slope_equals_an_unpenalised_logistic_regression() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    label, prob = forecasts(2)
    odds = np.log(prob / (1 - prob))
    fit = linear.LogisticRegression(C=np.inf, tol=1e-8).fit(odds[:, None], label)
    slope = calibration(label, prob, replicates=0).slope.value
    assert slope == pytest.approx(float(fit.coef_[0, 0]), abs=2e-3)


def test_brier_and_skill_are_the_textbooks() -> None:
    label = np.array([True, False, False, True])
    prob = np.array([0.9, 0.2, 0.4, 0.6])
    got = calibration(label, prob, replicates=0)
    assert got.brier.value == pytest.approx(np.mean((prob - label) ** 2))
    assert got.skill.value == pytest.approx(1 - got.brier.value / 0.25)


def test_bins_have_equal_mass_and_keep_equal_probabilities_together() -> None:
    prob = np.random.default_rng(3).random(1000)
    assert np.ptp(np.bincount(equal_mass(prob, 10))) <= 2
    tied = np.repeat([0.1, 0.2, 0.3], 50)
    assert len(np.unique(equal_mass(tied, 10))) == 3


def test_intervals_come_from_patients_and_widen_when_rows_repeat() -> None:
    label, prob = forecasts(4, 600)
    alone = calibration(label, prob, replicates=200)
    again = np.repeat(np.arange(600), 20)
    repeated = calibration(label[again], prob[again], again, replicates=200)
    rows = calibration(label[again], prob[again], replicates=200)
    width = repeated.brier.high - repeated.brier.low
    assert width == pytest.approx(alone.brier.high - alone.brier.low, rel=0.2)
    assert rows.brier.high - rows.brier.low < width / 2


def test_a_perfect_constant_has_no_error_and_nothing_has_none() -> None:
    assert ece(np.array([True, False]), np.array([0.5, 0.5])) == 0
    assert np.isnan(ece(np.zeros(0, bool), np.zeros(0)))
    assert len(calibration(np.zeros(0, bool), np.zeros(0)).reliability.rows) == 0


def test_one_class_alone_has_no_slope_but_does_not_fail() -> None:
    got = calibration(np.zeros(50, bool), np.linspace(0.1, 0.2, 50), replicates=20)
    assert np.isnan(got.slope.value)
    assert got.ece.value == pytest.approx(0.15, abs=1e-6)


def test_hosmer_lemeshow_by_hand_and_small_when_right() -> None:
    label = np.array([False, True, True, True])
    prob = np.array([0.2, 0.2, 0.8, 0.8])
    # two groups: observed 1 and 2, expected 0.4 and 1.6; variance 2 x 0.16 each
    statistic, normed = hosmer_lemeshow(label, prob, 2)
    assert statistic == pytest.approx(0.6**2 / 0.32 + 0.4**2 / 0.32)
    assert normed == pytest.approx(statistic / 0.6)
    right, probs = forecasts(7, 4000)
    assert hosmer_lemeshow(right, probs)[0] < 25
    assert hosmer_lemeshow(right, probs**2)[0] > 100
    assert np.isnan(hosmer_lemeshow(np.zeros(0, bool), np.zeros(0))[0])
