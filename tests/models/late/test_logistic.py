"""Own logistic regression against scikit-learn, and its edges."""

from __future__ import annotations

import numpy as np
import pytest

from models.late.logistic import fit_logistic, fit_nonnegative

linear_model = pytest.importorskip("sklearn.linear_model")


def planted(n: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 4))
    target = (rng.random(n) < 1 / (1 + np.exp(-(x @ [1.0, -2.0, 0.0, 0.5] - 1.0)))).astype(float)
    return x, target, rng.random(n) + 0.1


def test_coefficients_equal_scikit_learns() -> None:
    x, target, weight = planted()
    peer = linear_model.LogisticRegression(C=0.5, tol=1e-10, max_iter=1000)
    peer.fit(x, target, sample_weight=weight)
    line = fit_logistic(x, target, weight, l2=2.0)
    assert line.coefficient == pytest.approx(peer.coef_[0], abs=1e-5)
    assert line.bias == pytest.approx(peer.intercept_[0], abs=1e-5)


def test_separable_classes_and_constant_columns_still_have_an_optimum() -> None:
    x = np.column_stack([np.linspace(-1, 1, 50), np.ones(50)])
    line = fit_logistic(x, (x[:, 0] > 0).astype(float))
    assert np.isfinite(line.coefficient).all()
    assert line.coefficient[0] > 1.0


def test_one_class_only_is_no_error() -> None:
    line = fit_logistic(np.zeros((5, 1)), np.zeros(5))
    assert np.isfinite([*line.coefficient, line.bias]).all()
    assert line.bias < -5.0


def test_a_backward_member_is_not_heard_rather_than_reversed() -> None:
    x, target, _ = planted()
    line = fit_nonnegative(x, target)
    assert line.coefficient[1] == 0.0
    assert line.coefficient[0] > 0.5
