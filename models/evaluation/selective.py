"""What abstaining buys: figures on the share of rows a model is least in doubt about."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.ranking import auprc, auroc

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
COVERAGES: Final = np.array([1.0, 0.95, 0.9, 0.8, 0.7, 0.5])


class Selective(NamedTuple):
    """One value per coverage."""

    coverage: Floats  # [K] share of rows answered
    events: Floats  # [K] share of events among the answered rows of all events
    auroc: Floats
    auprc: Floats
    brier: Floats
    area: float  # mean Brier score over the coverages from 1 % up: lower is better


def selective(label: Bools, prob: Floats, doubt: Floats, coverage: Floats = COVERAGES) -> Selective:
    """Figures when the rows in most doubt are left unanswered.

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    prob : (N,) float64
        Probabilities; NaN rows are left out.
    doubt : (N,) float64
        Higher is less sure; NaN is least sure.
    coverage : (K,) float64
        Shares of rows to answer.
    """
    known = ~np.isnan(prob)
    label, prob, doubt = label[known], prob[known], doubt[known]
    order = np.argsort(np.where(np.isnan(doubt), np.inf, doubt), kind="stable")
    label, prob = label[order].astype(bool), prob[order]
    rows = np.maximum(np.rint(coverage * len(label)).astype(int), 0)
    loss = np.cumsum((prob - label) ** 2)
    mean = loss / np.arange(1, len(loss) + 1)
    total = max(int(label.sum()), 1)
    return Selective(
        coverage,
        np.array([label[:n].sum() / total for n in rows]),
        np.array([auroc(label[:n], prob[:n]) for n in rows]),
        np.array([auprc(label[:n], prob[:n]) for n in rows]),
        np.array([mean[n - 1] if n else np.nan for n in rows]),
        float(mean[len(mean) // 100 :].mean()) if len(mean) else np.nan,
    )
