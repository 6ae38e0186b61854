"""Two-number calibrations: a temperature, and Platt's slope and bias.

Few numbers cannot over-fit a small validation set, and keep every rank.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from models.late.fused import Floats
from models.late.logistic import Line, fit_logistic, log_loss

_LOG_RANGE = (-4.0, 4.0)  # temperatures e^-4 to e^4
_PLATT_RIDGE = 1e-3
_SLOPE_LEAST = 1e-3  # a calibration never turns ranks around


def fit_temperature(logit: Floats, target: Floats, weight: Floats | None = None) -> float:
    """T that minimises the log loss of logit / T.

    Parameters
    ----------
    logit : (N,) float64
        Finite.
    target : (N,) float64
        0 to 1.
    weight : (N,) float64, optional
        At least 0.

    Returns
    -------
    float
        e^-4 to e^4; above 1 where the model is too sure of itself.

    Notes
    -----
    Source: Guo et al. (2017), ICML, section 4.2. The loss is convex in 1/T.
    """
    each = np.ones(len(logit)) if weight is None else weight

    def loss(log_t: float) -> float:
        return log_loss(logit * np.exp(-log_t), target, each)

    found = minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x))


def fit_platt(logit: Floats, target: Floats, weight: Floats | None = None) -> Line:
    """Slope and bias that minimise the log loss of slope · logit + bias.

    Parameters
    ----------
    logit, target, weight
        As in `fit_temperature`.

    Returns
    -------
    Line
        The slope is above 0: ranks are kept.

    Notes
    -----
    Source: Platt (1999), without his smoothed targets: validation sets here are large.
    """
    line = fit_logistic(logit[:, None], target, weight, l2=_PLATT_RIDGE)
    return Line(np.maximum(line.coefficient, _SLOPE_LEAST), line.bias)
