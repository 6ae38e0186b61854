"""What a device's coarse clock adds to variability, taken off again."""

from __future__ import annotations

import numpy as np

from features.variability.poincare import poincare
from features.variability.rows import Floats, ratio

# Names whose values the correction changes.
QUANTISED = (
    "ecg_sdnn_ms",
    "ecg_cvnn",
    "ecg_rmssd_ms",
    "ecg_sdsd_ms",
    "ecg_sd1_ms",
    "ecg_sd2_ms",
    "ecg_sd1_sd2",
)


def without_quantum(values: dict[str, Floats], quantum_ms: Floats) -> dict[str, Floats]:
    """The measures of spread as a fine clock would have given them.

    Parameters
    ----------
    values : dict of str to (n_rows,) float64
        By catalogue name, as from `features.hrv.time_values`.
    quantum_ms : (n_rows,) float64
        Step of the clock that timed the beats; 0 where it was fine.

    Returns
    -------
    dict
        The same names. RMSSD² and SDSD² less q²/2, SDNN² less q²/6, at least 0: each beat's time
        has error variance q²/12, two beats make an interval, three a difference.

    Examples
    --------
    >>> names = ("ecg_sdnn_ms", "ecg_rmssd_ms", "ecg_sdsd_ms", "ecg_nn_mean_ms")
    >>> found = without_quantum({name: np.array([10.0]) for name in names}, np.array([8.0]))
    >>> round(float(found["ecg_rmssd_ms"][0]), 4)
    8.2462
    """
    step = quantum_ms**2
    sdnn = _less(values["ecg_sdnn_ms"], step / 6.0)
    sdsd = _less(values["ecg_sdsd_ms"], step / 2.0)
    cloud = poincare(sdnn, sdsd)
    changed = {
        "ecg_sdnn_ms": sdnn,
        "ecg_cvnn": ratio(sdnn, values["ecg_nn_mean_ms"]),
        "ecg_rmssd_ms": _less(values["ecg_rmssd_ms"], step / 2.0),
        "ecg_sdsd_ms": sdsd,
        "ecg_sd1_ms": cloud.sd1_ms,
        "ecg_sd2_ms": cloud.sd2_ms,
        "ecg_sd1_sd2": cloud.sd1_sd2,
    }
    return values | changed


def _less(spread: Floats, variance: Floats) -> Floats:
    """Spread without so much variance, at least 0."""
    return np.sqrt(np.maximum(spread**2 - variance, 0.0))
