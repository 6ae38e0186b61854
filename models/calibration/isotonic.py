"""Isotonic regression: the best non-decreasing map from a logit to a rate, and its short form.

Not here: applying it in a model (`models.calibration.module`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.late.fused import Floats

MAX_KNOTS = 32  # of the curve that travels in a spec


class Curve(NamedTuple):
    """Straight lines between knots, level beyond the ends; `x` ascends, `y` never falls."""

    x: Floats  # [K] logit
    y: Floats  # [K] calibrated logit

    def __call__(self, logit: Floats) -> Floats:
        """Calibrated logits of any shape; NaN stays NaN."""
        return np.interp(logit, self.x, self.y)


def pool_adjacent(value: Floats, weight: Floats) -> Floats:
    """Non-decreasing fit of a series by least squares (pool adjacent violators).

    Parameters
    ----------
    value : (N,) float64
        In the order in which the fit must not fall.
    weight : (N,) float64
        Above 0.

    Returns
    -------
    (N,) float64

    Notes
    -----
    Source: Ayer et al. (1955), Ann. Math. Stat. 26:641. Linear time.
    Checked against scikit-learn in ``tests/models/calibration/test_isotonic.py``.

    Examples
    --------
    >>> pool_adjacent(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    means: list[float] = []
    weights: list[float] = []
    counts: list[int] = []
    for v, w in zip(value.tolist(), weight.tolist(), strict=True):
        mean, total, count = v, w, 1
        while means and means[-1] >= mean:
            before, its = means.pop(), weights.pop()
            mean = (before * its + mean * total) / (its + total)
            total, count = total + its, count + counts.pop()
        means.append(mean)
        weights.append(total)
        counts.append(count)
    return np.repeat(np.array(means), counts)


def fit_isotonic(logit: Floats, target: Floats, weight: Floats | None = None) -> Curve:
    """Calibration curve of validation rows.

    Parameters
    ----------
    logit : (N,) float64
        Finite.
    target : (N,) float64
        0 to 1.
    weight : (N,) float64, optional
        Above 0.

    Returns
    -------
    Curve
        At most `MAX_KNOTS` knots, at the middles of the pooled blocks. A block of weight W and
        rate r stands for (W r + 1/2) / (W + 1), so that no patient is certain to be well or ill.

    Raises
    ------
    ValueError
        If there is no row.
    """
    if not len(logit):
        raise ValueError("calibration needs rows")
    each = np.ones(len(logit)) if weight is None else weight
    x, of = np.unique(logit, return_inverse=True)
    total = np.bincount(of, each).astype(np.float64)
    rate = np.bincount(of, each * target) / total
    pooled = pool_adjacent(rate, total)
    block = np.cumsum(np.append(0, pooled[1:] != pooled[:-1]))
    mass = np.bincount(block, total).astype(np.float64)
    middle = np.bincount(block, total * x) / mass
    level = np.bincount(block, total * pooled) / mass
    p = (mass * level + 0.5) / (mass + 1.0)
    p = pool_adjacent(
        p, mass
    )  # small blocks at the ends are drawn in further than their neighbours
    return _thinned(middle, np.log(p) - np.log1p(-p), mass)


def _thinned(x: Floats, y: Floats, mass: Floats) -> Curve:
    """At most `MAX_KNOTS` knots: both ends, and the rest where the change of rate is."""
    while len(x) > MAX_KNOTS:
        # the knot whose loss moves least: its distance from its neighbours' line, by its mass
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        line = y[:-2] + share * (y[2:] - y[:-2])
        cost = mass[1:-1] * np.abs(_rate(line) - _rate(y[1:-1]))
        least = int(np.argmin(cost)) + 1
        mass = mass.copy()
        mass[least - 1] += 0.5 * mass[least]
        mass[least + 1] += 0.5 * mass[least]
        x, y, mass = (np.delete(a, least) for a in (x, y, mass))
    return Curve(x, y)


def _rate(logit: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-logit))
