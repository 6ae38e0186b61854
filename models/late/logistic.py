"""Small logistic regressions: the learned part of late fusion, without a framework.

Not here: features (`stack`, `weighted` build them), and large problems: `scipy` bounds below are
for tens of columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.late.descent import descend
from models.late.fused import Floats, sigmoid, softplus

_STEPS = 100  # Newton's method on a convex loss is done in about 10
_TOLERANCE = 1e-10
_HALVINGS = 30


class Line(NamedTuple):
    """logit = bias + x · coefficient."""

    coefficient: Floats  # [F]
    bias: float


def log_loss(logit: Floats, target: Floats, weight: Floats) -> float:
    """Weighted mean of the binary cross-entropy, in nats.

    Examples
    --------
    >>> round(log_loss(np.zeros(2), np.array([0.0, 1.0]), np.ones(2)), 6)
    0.693147
    """
    return float((weight * (softplus(logit) - target * logit)).sum() / weight.sum())


def fit_logistic(x: Floats, target: Floats, weight: Floats | None = None, l2: float = 1.0) -> Line:
    """Logistic regression with a ridge on the coefficients, not on the bias.

    Parameters
    ----------
    x : (N, F) float64
        Finite.
    target : (N,) float64
        0 to 1.
    weight : (N,) float64, optional
        At least 0.
    l2 : float
        Σ loss + l2/2 · Σ coefficient²; above 0, so that the optimum exists and is unique in the
        coefficients even if a column is constant or the classes are separable.

    Returns
    -------
    Line
        The optimum, by Newton's method with step halving.

    Notes
    -----
    Checked against scikit-learn in ``tests/models/late/test_logistic.py``.
    """
    weight = np.ones(len(target)) if weight is None else weight
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], l2)
    ridge[-1] = 0.0
    theta = np.zeros(design.shape[1])

    def objective(at: Floats) -> float:
        z = design @ at
        return float((weight * (softplus(z) - target * z)).sum() + 0.5 * (ridge * at * at).sum())

    here = objective(theta)
    for _ in range(_STEPS):
        p = sigmoid(design @ theta)
        gradient = design.T @ (weight * (p - target)) + ridge * theta
        curvature = (design * (weight * p * (1.0 - p))[:, None]).T @ design + np.diag(
            np.maximum(ridge, 1e-9)
        )
        step = np.linalg.solve(curvature, gradient)
        length, there = 1.0, here
        for _ in range(_HALVINGS):
            there = objective(theta - length * step)
            if there <= here:
                break
            length *= 0.5
        theta = theta - length * step
        if here - there <= _TOLERANCE * (1.0 + abs(here)):
            break
        here = there
    return Line(theta[:-1], float(theta[-1]))


def fit_nonnegative(x: Floats, target: Floats, weight: Floats | None = None) -> Line:
    """Logistic regression whose coefficients are at least 0 (no member is heard backwards).

    Parameters
    ----------
    x : (N, F) float64
        Finite.
    target : (N,) float64
        0 to 1.
    weight : (N,) float64, optional
        At least 0.

    Returns
    -------
    Line
        Coefficients of the log loss's optimum on the positive orthant (L-BFGS-B).
    """
    weight = np.ones(len(target)) if weight is None else weight
    scale = np.maximum(x.std(axis=0), 1e-12)
    design = np.column_stack([x / scale, np.ones(len(x))])
    total = weight.sum()

    def value_and_slope(at: Floats) -> tuple[float, Floats]:
        z = design @ at
        slope = design.T @ (weight * (sigmoid(z) - target)) / total
        return log_loss(z, target, weight), slope

    start = np.full(design.shape[1], 1.0 / design.shape[1])
    at = descend(value_and_slope, start, [*[(0.0, None)] * x.shape[1], (None, None)])
    return Line(at[:-1] / scale, float(at[-1]))
