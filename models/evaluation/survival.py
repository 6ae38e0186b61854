"""How well times to an event are foreseen: concordance and integrated Brier score.

Censored patients count for as long as they were seen. Not here: the models (`models.heads.hazard`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def concordance(time: Floats, event: Bools, risk: Floats) -> float:
    """Harrell's C: how often of two patients the one with the earlier event had the higher risk.

    Parameters
    ----------
    time : (P,) float64
        Of the event, or of the last sight.
    event : (P,) bool
        False = censored.
    risk : (P,) float64
        Higher is earlier.

    Returns
    -------
    float
        0 to 1; ties in risk count half; NaN if no pair can be ordered.

    Notes
    -----
    Source: Harrell et al. (1982), JAMA 247:2543. A pair counts if the earlier time is an event;
    of equal times only an event against a censoring does.

    Examples
    --------
    >>> seen = np.array([True, True, False])
    >>> concordance(np.array([1.0, 2.0, 3.0]), seen, np.array([0.9, 0.2, 0.4]))
    0.6666666666666666
    """
    right = pairs = 0.0
    for i in np.flatnonzero(event):
        later = (time > time[i]) | ((time == time[i]) & ~event)
        pairs += float(later.sum())
        right += float((risk[later] < risk[i]).sum()) + 0.5 * float((risk[later] == risk[i]).sum())
    return right / pairs if pairs else float("nan")


def kaplan_meier(time: Floats, event: Bools, at: Floats, *, before: bool = False) -> Floats:
    """Share not yet reached by the event at given times.

    Parameters
    ----------
    time : (P,) float64
    event : (P,) bool
    at : (K,) float64
    before : bool
        Just before each time instead of at it.

    Returns
    -------
    (K,) float64
        0 to 1, not rising.

    Notes
    -----
    Source: Kaplan and Meier (1958), JASA 53:457.

    Examples
    --------
    >>> kaplan_meier(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), np.array([1.0, 2.5]))
    array([0.66666667, 0.66666667])
    """
    moments = np.unique(time[event])
    at_risk = len(time) - np.searchsorted(np.sort(time), moments, side="left")
    events = np.searchsorted(np.sort(time[event]), moments, side="right") - np.searchsorted(
        np.sort(time[event]), moments, side="left"
    )
    left = np.append(1.0, np.cumprod(1.0 - events / at_risk))
    passed = np.searchsorted(moments, at, side="left" if before else "right")
    share: Floats = left[passed]
    return share


def brier_at(time: Floats, event: Bools, prob: Floats, at: float) -> float:
    """Brier score of "event by `at`", weighted so that censoring does not bias it.

    Parameters
    ----------
    time : (P,) float64
    event : (P,) bool
    prob : (P,) float64
        Of the event by `at`.
    at : float

    Returns
    -------
    float
        0 is perfect; NaN where everyone is censored before `at`.

    Notes
    -----
    Source: Graf et al. (1999), Stat. Med. 18:2529: inverse probability of censoring.
    """
    happened = event & (time <= at)
    still = time > at
    seen_until = kaplan_meier(time, ~event, time, before=True)
    seen_at = kaplan_meier(time, ~event, np.array([at]))[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(happened, 1.0 / seen_until, np.where(still, 1.0 / seen_at, 0.0))
    weight = np.where(np.isfinite(weight), weight, 0.0)
    if not weight.sum() > 0:
        return float("nan")
    return float((weight * (happened - prob) ** 2).sum() / len(time))


def integrated_brier(time: Floats, event: Bools, prob: Floats, at: Floats) -> float:
    """Mean of `brier_at` over time, by the trapezoidal rule.

    Parameters
    ----------
    time : (P,) float64
    event : (P,) bool
    prob : (P, K) float64
        Of the event by each of `at`.
    at : (K,) float64
        Ascending.

    Returns
    -------
    float
    """
    scores = np.array([brier_at(time, event, prob[:, k], float(t)) for k, t in enumerate(at)])
    if len(at) == 1:
        return float(scores[0])
    return float(np.trapezoid(scores, at) / (at[-1] - at[0]))
