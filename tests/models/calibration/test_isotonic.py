"""Isotonic regression against scikit-learn, and the short curve that a spec carries."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration.isotonic import MAX_KNOTS, fit_isotonic, pool_adjacent
from models.evaluation.calibration import calibration
from models.late.fused import sigmoid

isotonic = pytest.importorskip("sklearn.isotonic")


@pytest.mark.parametrize("seed", range(20))
def test_pooling_equals_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    value, weight = rng.normal(size=n), rng.random(n) + 0.1
    if seed % 2:
        value = np.round(value)  # ties
    peer = isotonic.isotonic_regression(value, sample_weight=weight)
    assert pool_adjacent(value, weight) == pytest.approx(peer, abs=1e-12)


def distorted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sure of themselves, with rare events."""
    rng = np.random.default_rng(seed)
    true = rng.normal(-4.0, 1.5, n)
    target = (rng.random(n) < sigmoid(true)).astype(float)
    return 2.0 * true + 3.0 + 0.1 * true**2, target


def test_a_distorted_logit_becomes_a_rate_on_new_rows() -> None:
    curve = fit_isotonic(*distorted(60_000, 1))
    logit, target = distorted(60_000, 2)
    before = calibration(target > 0.5, sigmoid(logit)).ece.value
    after = calibration(target > 0.5, sigmoid(curve(logit))).ece.value
    assert after < 0.004 < 0.05 < before


def test_the_curve_is_short_and_never_falls() -> None:
    curve = fit_isotonic(*distorted(60_000, 1))
    assert 2 <= len(curve.x) <= MAX_KNOTS
    assert np.all(np.diff(curve.x) > 0)
    assert np.all(np.diff(curve.y) >= 0)


def test_nobody_is_certain_to_be_well_or_ill() -> None:
    curve = fit_isotonic(np.linspace(-9, 9, 100), (np.linspace(-9, 9, 100) > 0).astype(float))
    assert sigmoid(curve.y[0]) == pytest.approx(0.5 / 51)
    assert sigmoid(curve.y[-1]) == pytest.approx(50.5 / 51)


def test_one_row_and_one_class_are_no_error_and_no_row_is() -> None:
    assert fit_isotonic(np.array([0.3]), np.array([1.0]))(np.array([5.0])).shape == (1,)
    assert np.isfinite(fit_isotonic(np.arange(9.0), np.zeros(9)).y).all()
    with pytest.raises(ValueError, match="rows"):
        fit_isotonic(np.zeros(0), np.zeros(0))


def test_weights_count_as_repetitions() -> None:
    logit, target = np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0])
    repeated = fit_isotonic(np.array([0.0, 1.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0, 1.0]))
    weighted = fit_isotonic(logit, target, np.array([1.0, 2.0, 1.0]))
    assert np.allclose(repeated.y, weighted.y)
    assert np.allclose(repeated.x, weighted.x)
