"""A score less restless: some of it is what the person's score was lately.

Whoever is at risk stays at risk for hours, while a score rises and falls with single values; with
some of the past in it, fewer alarms are spent on a single hour. Not here: how long an alarm speaks
(`models.evaluation.events`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def with_past(score: Floats, lengths: Ints, share: float, rows: int) -> Floats:
    """Scores of which some is the person's mean of the last rows.

    Parameters
    ----------
    score : (N,) float64
        Logits, people one after the other, each in order of time; NaN is in no mean and stays NaN.
    lengths : (P,) int64
        Rows of each.
    share : float
        Of the mean; 0 leaves scores as they are.
    rows : int
        Rows of the mean, this one among them; at the beginning as many as there are.

    Examples
    --------
    >>> with_past(np.array([0.0, 2.0, 4.0, 9.0]), np.array([3, 1]), 0.5, 2)
    array([0. , 1.5, 3.5, 9. ])
    """
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.arange(len(score))
    begin = np.maximum(first, at - rows + 1)
    known = np.isfinite(score)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, score, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    several = np.maximum(count[at + 1] - count[begin], 1)
    mean = (total[at + 1] - total[begin]) / several
    found: Floats = (1 - share) * score + share * mean
    return found
