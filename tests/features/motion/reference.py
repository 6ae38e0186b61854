"""ENMO sample by sample, as published: what epochs and windows are compared with."""

from __future__ import annotations

import numpy as np

from features.intervals import Floats


def enmo_mg(x_g: Floats, y_g: Floats, z_g: Floats) -> Floats:
    """Euclidean norm minus one, negative values as 0, of each sample.

    Parameters
    ----------
    x_g, y_g, z_g : (n_samples,) float64
        Acceleration in g; NaN where missing.

    Returns
    -------
    (n_samples,) float64
        Milli-g, at least 0.

    Notes
    -----
    Source: van Hees et al. (2013), PLoS One 8:e61691.

    Examples
    --------
    >>> enmo_mg(np.array([0.0, 0.6]), np.array([0.0, 0.0]), np.array([1.5, 0.8])).tolist()
    [500.0, 0.0]
    """
    norm = np.sqrt(x_g**2 + y_g**2 + z_g**2)
    return np.asarray(1000.0 * np.maximum(norm - 1.0, 0.0), np.float64)
