"""The cloud of each NN against the next one: its width and length."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability.rows import Floats

# Below a microsecond a spread is rounding of times: a ratio of two such is no measurement.
LEAST_SPREAD_MS: Final = 1e-3


class Poincare(NamedTuple):
    """(n_rows,) each; NaN where SDNN or SDSD is."""

    sd1_ms: Floats
    sd2_ms: Floats
    sd1_sd2: Floats


def poincare(sdnn_ms: Floats, sdsd_ms: Floats) -> Poincare:
    """SD1, SD2 and their ratio from SDNN and SDSD.

    Parameters
    ----------
    sdnn_ms, sdsd_ms : (n_rows,) float64

    Returns
    -------
    Poincare
        SD1 = SDSD/√2, SD2 = √max(0, 2 SDNN² - SDSD²/2); the ratio NaN if SD2 is 0.

    Notes
    -----
    Source: Brennan, Palaniswami and Kamen (2001), IEEE Trans Biomed Eng 48:1342, eq. 17-18. The
    spread of the projected cloud itself differs by up to 1.6 % in short series.

    Examples
    --------
    >>> [round(float(v[0]), 6) for v in poincare(np.array([50.0]), np.array([20.0]))]
    [14.142136, 69.282032, 0.204124]
    """
    sd2 = np.sqrt(np.maximum(2.0 * sdnn_ms**2 - sdsd_ms**2 / 2.0, 0.0))
    sd1 = sdsd_ms / np.sqrt(2.0)
    share = np.full(sd1.shape, np.nan)
    np.divide(sd1, sd2, out=share, where=sd2 > LEAST_SPREAD_MS)
    return Poincare(sd1, sd2, share)
