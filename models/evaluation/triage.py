"""Whether a list sorted by score has the patients on top who need somebody first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ndcg(gain: Floats, score: Floats, k: int | None = None) -> float:
    """Normalised discounted cumulative gain of the first `k` of a list.

    Parameters
    ----------
    gain : (P,) float64
        At least 0; how much it is worth to see this patient first.
    score : (P,) float64
        Higher is earlier. Equal scores share their places' discounts.
    k : int, optional
        Length of the list that is read; all of it by default.

    Returns
    -------
    float
        0 to 1; NaN if nobody is worth anything.

    Notes
    -----
    Source: Järvelin and Kekäläinen (2002), ACM Trans. Inf. Syst. 20:422.
    Checked against scikit-learn in ``tests/models/evaluation/test_triage.py``.

    Examples
    --------
    >>> ndcg(np.array([0.0, 1.0, 3.0]), np.array([0.1, 0.5, 0.9]))
    1.0
    """
    places = np.arange(len(gain))
    discount = 1.0 / np.log2(places + 2.0)
    discount[len(gain) if k is None else k :] = 0.0
    best = float((np.sort(gain)[::-1] * discount).sum())
    if not best > 0:
        return float("nan")
    _, of, count = np.unique(-score, return_inverse=True, return_counts=True)
    total = np.bincount(of, gain)
    ends = np.cumsum(count)
    cumulative = np.append(0.0, np.cumsum(discount))
    shared = (cumulative[ends] - cumulative[ends - count]) / count
    return float((total * shared).sum() / best)
