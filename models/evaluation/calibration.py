"""Do probabilities mean what they say: reliability, ECE, Brier score and skill, slope, intercept.

Not here: making them so (`models.calibration`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.evaluation.bootstrap import REPLICATES, Interval, bootstrap

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
BINS: Final = 15  # of equal mass, for the expected calibration error
_FINE: Final = 400  # bins in which slope and intercept are fitted
_STEPS: Final = 25  # of Newton's method
_TINY: Final = 1e-6  # probabilities are kept off 0 and 1 by so much


class Reliability(NamedTuple):
    """Bins of equal mass, rising."""

    forecast: Floats  # [K] mean probability
    observed: Floats  # [K] share of events
    rows: Floats  # [K]
    low: Floats  # [K] 95 % interval of `observed`, by drawing patients
    high: Floats  # [K]


class Calibration(NamedTuple):
    """Figures with intervals by drawing patients."""

    ece: Interval
    brier: Interval
    skill: Interval  # 1 - Brier / Brier of the prevalence
    slope: Interval  # of the events' log-odds on the forecast's; 1 is right
    intercept: Interval  # with the slope held at 1; 0 is right
    expected_over_observed: Interval
    reliability: Reliability


def equal_mass(prob: Floats, bins: int = BINS) -> Ints:
    """Bin of every row: equal counts, equal probabilities together.

    Parameters
    ----------
    prob : (N,) float64
        Probabilities.
    bins : int
        How many at most.
    """
    if not len(prob):
        return np.zeros(0, np.int64)
    edges = np.unique(np.quantile(prob, np.arange(1, bins) / bins))
    found: Ints = np.searchsorted(edges, prob, side="right").astype(np.int64)
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def ece(label: Bools, prob: Floats, bins: int = BINS) -> float:
    """Expected calibration error over bins of equal mass; NaN without rows.

    Examples
    --------
    >>> round(ece(np.array([True, False]), np.array([0.9, 0.2])), 3)
    0.15
    """
    return calibration(label, prob, bins=bins, replicates=0).ece.value


def calibration(
    label: Bools,
    prob: Floats,
    cluster: Ints | None = None,
    *,
    bins: int = BINS,
    replicates: int = REPLICATES,
) -> Calibration:
    """Calibration of probabilities.

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    prob : (N,) float64
        Probabilities; NaN rows are left out.
    cluster : (N,) int64, optional
        Patient of every row, 0 up; each row its own where not given.
    bins, replicates : int
        Bins of equal mass; draws of patients.

    Notes
    -----
    Slope and intercept: Cox 1958, as van Calster et al. 2019, BMC Med 17:230. Bin edges are those
    of all patients in every draw. Checked against statistics of known truth and scikit-learn:
    ``tests/models/evaluation/test_calibration.py``.
    """
    known = ~np.isnan(prob)
    event, prob = label[known].astype(np.float64), prob[known]
    of = np.arange(len(event)) if cluster is None else cluster[known]
    clusters = int(of.max(initial=-1)) + 1
    coarse = _Binned(event, prob, equal_mass(prob, bins), of, clusters)
    odds = _log_odds(prob)
    fine = _Binned(event, odds, equal_mass(prob, _FINE), of, clusters)
    square = np.bincount(of, weights=(prob - event) ** 2, minlength=clusters)

    def statistic(drawn: Floats) -> Floats:
        rows, events, total = coarse.sums(drawn)
        n, e = rows.sum(axis=1), events.sum(axis=1)
        gap = np.abs(events - total).sum(axis=1) / n
        brier = (drawn @ square) / n
        share = e / n
        spread = share * (1 - share)
        skill = 1 - brier / np.where(spread > 0, spread, np.nan)
        over = total.sum(axis=1) / np.where(e > 0, e, np.nan)
        slope, intercept = _logistic(*fine.sums(drawn))
        figures = np.stack([gap, brier, skill, slope, intercept, over], axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([figures, events / rows], axis=1)

    if not len(event):
        return _nothing()
    found = bootstrap(statistic, clusters, replicates)
    rows, _, total = coarse.sums(np.ones((1, clusters)))
    bounds = np.array(found[6:])
    curve = Reliability(total[0] / rows[0], bounds[:, 0], rows[0], bounds[:, 1], bounds[:, 2])
    gap, brier, skill, slope, intercept, over = found[:6]
    return Calibration(gap, brier, skill, slope, intercept, over, curve)


def _nothing() -> Calibration:
    none, empty = Interval(np.nan, np.nan, np.nan), np.zeros(0)
    curve = Reliability(empty, empty, empty, empty, empty)
    return Calibration(none, none, none, none, none, none, curve)


class _Binned:
    """Rows, events and summed forecasts per bin for any draw of clusters."""

    def __init__(self, label: Floats, value: Floats, at: Ints, of: Ints, clusters: int) -> None:
        shape = (int(at.max(initial=-1)) + 1, clusters)
        self._parts = [
            sparse.coo_array((weight, (at, of)), shape=shape).tocsr()
            for weight in (np.ones(len(label)), label, value)
        ]

    def sums(self, drawn: Floats) -> tuple[Floats, Floats, Floats]:
        """Rows, events, sum of forecasts: [R, K] each."""
        rows, events, total = (np.asarray((part @ drawn.T).T) for part in self._parts)
        return rows, events, total


def _log_odds(prob: Floats) -> Floats:
    kept = np.clip(prob, _TINY, 1 - _TINY)
    found: Floats = np.log(kept / (1 - kept))
    return found


def _logistic(rows: Floats, events: Floats, total: Floats) -> tuple[Floats, Floats]:
    """Slope (with its own intercept), and intercept at slope 1, of R fits over K bins."""
    x = total / np.maximum(rows, 1e-12)
    a, b, fixed = np.zeros(len(x)), np.ones(len(x)), np.zeros(len(x))
    for _ in range(_STEPS):
        p = _sigmoid(a[:, None] + b[:, None] * x)
        w, r = rows * p * (1 - p), events - rows * p
        g0, g1 = r.sum(axis=1), (r * x).sum(axis=1)
        h00, h01, h11 = w.sum(axis=1), (w * x).sum(axis=1), (w * x * x).sum(axis=1)
        det = h00 * h11 - h01 * h01
        safe = np.where(det > 1e-12, det, np.inf)
        a = a + np.clip((h11 * g0 - h01 * g1) / safe, -4, 4)
        b = b + np.clip((h00 * g1 - h01 * g0) / safe, -1, 1)
        q = _sigmoid(fixed[:, None] + x)
        slack = np.maximum((rows * q * (1 - q)).sum(axis=1), 1e-12)
        fixed = fixed + np.clip((events - rows * q).sum(axis=1) / slack, -4, 4)
    n, e = rows.sum(axis=1), events.sum(axis=1)
    both = (e > 0) & (e < n)
    return np.where(both, b, np.nan), np.where(both, fixed, np.nan)


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(x, -50, 50)))
    return found


def hosmer_lemeshow(label: Bools, prob: Floats, groups: int = 10) -> tuple[float, float]:
    """Hosmer-Lemeshow statistic over groups of equal size, and it over the range of risk.

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    prob : (N,) float64
        Probabilities, one row per patient.
    groups : int
        By rising probability.

    Returns
    -------
    two floats
        H, and H / (mean risk of the last group less that of the first): event 2 of the
        PhysioNet/CinC Challenge 2012, lower is better. NaN without rows or range.

    Notes
    -----
    Source: Silva et al. 2012, Comput Cardiol 39:245. Checked by hand:
    ``tests/models/evaluation/test_calibration.py``.
    """
    order = np.argsort(prob, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    if not parts:
        return np.nan, np.nan
    observed = np.array([label[part].sum() for part in parts], np.float64)
    size = np.array([len(part) for part in parts], np.float64)
    risk = np.clip([prob[part].mean() for part in parts], _TINY, 1 - _TINY)
    statistic = float(((observed - size * risk) ** 2 / (size * risk * (1 - risk))).sum())
    span = float(risk[-1] - risk[0])
    return statistic, statistic / span if span > 0 else np.nan
