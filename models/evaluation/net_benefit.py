"""Decision curve: what acting on a probability is worth beside acting on everybody or nobody.

Vickers and Elkin 2006, Med Decis Making 26:565.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import REPLICATES, bootstrap

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
THRESHOLDS: Final = np.arange(1, 31) / 100


class NetBenefit(NamedTuple):
    """One value per threshold probability; intervals by drawing patients."""

    threshold: Floats  # [K]
    model: Floats
    low: Floats
    high: Floats
    everybody: Floats  # act on all; on nobody is 0


def net_benefit(
    label: Bools,
    prob: Floats,
    cluster: Ints | None = None,
    threshold: Floats = THRESHOLDS,
    replicates: int = REPLICATES,
) -> NetBenefit:
    """Net benefit in true alarms per row: TP/n - FP/n · t/(1-t).

    Parameters
    ----------
    label : (N,) bool
        True is the event.
    prob : (N,) float64
        Calibrated probabilities; NaN rows are left out.
    cluster : (N,) int64, optional
        Patient of every row, 0 up.
    threshold : (K,) float64
        Probabilities at which one would act.
    replicates : int
        Draws of patients.
    """
    known = ~np.isnan(prob)
    event, prob = label[known].astype(bool), prob[known]
    of = np.arange(len(event)) if cluster is None else cluster[known]
    clusters = int(of.max(initial=-1)) + 1
    odds = threshold / (1 - threshold)
    sums = np.zeros((clusters, len(threshold)))
    for k, at in enumerate(threshold):
        worth = np.where(event, 1.0, -odds[k]) * (prob >= at)
        sums[:, k] = np.bincount(of, weights=worth, minlength=clusters)
    rows = np.bincount(of, minlength=clusters).astype(float)
    share = event.mean() if len(event) else np.nan
    found = np.array(bootstrap(lambda d: (d @ sums) / (d @ rows)[:, None], clusters, replicates))
    everybody = share - (1 - share) * odds
    return NetBenefit(threshold, found[:, 0], found[:, 1], found[:, 2], everybody)
