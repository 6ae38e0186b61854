"""Smooth minimisation with SciPy's L-BFGS-B, in one typed place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize

from models.late.fused import Floats

Objective = Callable[[Floats], tuple[float, Floats]]  # where -> value, gradient
Bound = tuple[float | None, float | None]


def descend(
    objective: Objective,
    start: Floats,
    bounds: Sequence[Bound] | None = None,
    iterations: int = 500,
) -> Floats:
    """Point of a local minimum; the same start gives the same bits.

    Parameters
    ----------
    objective : callable
        (P,) float64 to the value and its (P,) gradient.
    start : (P,) float64
    bounds : sequence of P pairs, optional
        Lowest and highest of each coordinate; None = open.
    iterations : int
        At most.

    Returns
    -------
    (P,) float64

    Examples
    --------
    >>> descend(lambda x: (float(((x - 2) ** 2).sum()), 2 * (x - 2)), np.zeros(1)).round(6).tolist()
    [2.0]
    """
    found = minimize(
        objective,
        start,
        method="L-BFGS-B",
        jac=True,
        bounds=bounds,
        options={"maxiter": iterations, "maxfun": 4 * iterations},
    )
    return np.asarray(found.x, dtype=np.float64)
