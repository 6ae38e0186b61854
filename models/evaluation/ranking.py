"""How well scores rank: area under the ROC curve and average precision, exact with ties.

`Ranking` holds the order once, so that a thousand resamples of patients cost a sparse product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Areas(NamedTuple):
    """One value per row of weights; NaN where a class is absent."""

    auroc: Floats  # [R]
    auprc: Floats  # [R] average precision
    prevalence: Floats  # [R] AUPRC of chance


class Ranking:
    """Rows by score, kept as counts per cluster between the scores that positives have.

    Negatives between two positive scores matter only by their number, so a resample of clusters
    needs three products of a sparse matrix (scores of positives x clusters) and its weights.

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    score : (N,) float64
        Higher is more likely. Rows without a score (NaN) are left out.
    cluster : (N,) int64, optional
        Patient of every row, 0 up to `clusters`; each row its own where not given.
    clusters : int, optional
        How many there are.
    """

    def __init__(
        self, label: Bools, score: Floats, cluster: Ints | None = None, clusters: int | None = None
    ) -> None:
        of = np.arange(len(label)) if cluster is None else cluster
        known = ~np.isnan(score)
        label, score, of = label[known].astype(bool), score[known], of[known]
        self.clusters = (int(of.max()) + 1 if len(of) else 0) if clusters is None else clusters
        order = np.argsort(-score, kind="stable")
        ranked, event, of = score[order], label[order], of[order]
        group = np.cumsum(np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)]) - 1
        held = np.unique(group[event])  # groups of equal scores that hold a positive
        step = np.searchsorted(held, group)  # negatives below the last go to step len(held)
        same = np.zeros(len(group), bool)
        inside = step < len(held)
        same[inside] = held[step[inside]] == group[inside]
        shape = (len(held) + 1, self.clusters)
        self._positive = _counts(step[event], of[event], shape)
        self._tied = _counts(step[~event & same], of[~event & same], shape)
        self._between = _counts(step[~event & ~same], of[~event & ~same], shape)

    def areas(self, weight: Floats | None = None) -> Areas:
        """Areas under weights of the clusters.

        Parameters
        ----------
        weight : (R, C) float64, optional
            How often every cluster counts, one row per resample; once each where not given.
        """
        columns = np.ones((self.clusters, 1)) if weight is None else np.asarray(weight, float).T
        positive = self._positive @ columns
        tied = self._tied @ columns
        above = np.cumsum(self._between @ columns, axis=0)
        above[1:] += np.cumsum(tied, axis=0)[:-1]
        events, others = positive.sum(axis=0), above[-1] + tied[-1]
        reached = np.cumsum(positive, axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = (positive * (others - above - tied / 2)).sum(axis=0)
            precision = reached / (reached + above + tied)
            area = np.where((events > 0) & (others > 0), pairs / (events * others), np.nan)
            taken = np.where(positive > 0, positive * precision, 0.0).sum(axis=0)
            average = np.where((events > 0) & (others > 0), taken / events, np.nan)
            return Areas(area, average, events / (events + others))


def auroc(label: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Area under the ROC curve: how often an event ranks above another row, ties half.

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    score : (N,) float64
        NaN rows are left out.
    weight : (N,) float64, optional
        How much every row counts.

    Returns
    -------
    float
        0 to 1; NaN where a class is absent.

    Notes
    -----
    Checked against scikit-learn and the official CinC 2019 script:
    ``tests/models/evaluation/test_ranking.py``.

    Examples
    --------
    >>> auroc(np.array([True, False, True]), np.array([0.9, 0.2, 0.2]))
    0.75
    """
    return float(_areas(label, score, weight).auroc[0])


def auprc(label: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Average precision: precision at every distinct score, weighted by the recall it adds.

    Arguments and NaN are those of `auroc`. Steps, no interpolation, so never optimistic.

    Examples
    --------
    >>> auprc(np.array([True, False, True]), np.array([0.9, 0.8, 0.1]))
    0.8333333333333333
    """
    return float(_areas(label, score, weight).auprc[0])


def _areas(label: Bools, score: Floats, weight: Floats | None) -> Areas:
    ranking = Ranking(label, score, clusters=len(label))
    return ranking.areas(None if weight is None else weight[None])


def _counts(step: Ints, cluster: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    ones = np.ones(len(step))
    return sparse.coo_array((ones, (step, cluster)), shape=shape).tocsr()
