"""Whether modalities contradict each other: a wearable at rest beside laboratory values of shock.

A contradiction is a reason to look at the data (another patient's sensor, a mislabelled tube), not
a risk. Not here: alerts about it.
"""

from __future__ import annotations

import numpy as np

from models.late.fused import Floats, present_logits, sigmoid

_LOG2 = float(np.log(2.0))


def disagreement(logit: Floats) -> Floats:
    """Jensen-Shannon divergence between what the modalities' own heads say, in bits.

    Parameters
    ----------
    logit : (N, M) float64
        Calibrated logits of each modality alone; NaN = absent.

    Returns
    -------
    (N,) float64
        0 (the same probability) to 1 (certain, and opposite; with M = 2). NaN where fewer than two
        are present: nobody to disagree with.

    Notes
    -----
    Source: Lin (1991), IEEE Trans. Inf. Theory 37:145, generalised form with equal weights.

    Examples
    --------
    >>> disagreement(np.array([[0.0, 0.0], [40.0, -40.0], [1.0, np.nan]])).round(6).tolist()
    [0.0, 1.0, nan]
    """
    value, present = present_logits(logit)
    n = present.sum(axis=1)
    p = np.where(present, sigmoid(value), 0.0)
    mean = p.sum(axis=1) / np.maximum(n, 1)
    own = np.where(present, _entropy(p), 0.0).sum(axis=1) / np.maximum(n, 1)
    return np.where(n >= 2, np.maximum(_entropy(mean) - own, 0.0) / _LOG2, np.nan)


def contradicts(logit: Floats, limit_bits: float, rows: int) -> np.ndarray:
    """Whether the last `rows` consecutive hours all disagree by more than `limit_bits`.

    Parameters
    ----------
    logit : (T, M) float64
        One patient's heads, hour by hour.
    limit_bits : float
        E.g. the 99th percentile of `disagreement` on validation patients.
    rows : int
        At least 1; how long it must last, so that one odd value is no contradiction.

    Returns
    -------
    (T,) bool
    """
    over = np.concatenate([np.zeros(rows - 1), disagreement(logit) > limit_bits])
    return np.convolve(over, np.ones(rows), "valid").round() >= rows


def _entropy(p: Floats) -> Floats:
    """Entropy of a coin in nats; 0 at both ends."""
    inside = np.clip(p, 1e-300, 1.0)
    other = np.clip(1.0 - p, 1e-300, 1.0)
    return -(p * np.log(inside) + (1.0 - p) * np.log(other))
