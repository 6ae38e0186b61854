"""Members of the fusion that tells death in hospital: each scores stays of one fold.

A member learns from the stays of the other folds only. Two of them see each of those stays three
times, whole and without its last 6 and 12 hours, always as if it ended at hour 48: what is known of
who dies does not depend on the hour it is asked at, and the forest then leans less on chance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from benchmarks._icu_clinical import clinical_features
from benchmarks._icu_collapse import collapse_odds
from benchmarks._icu_fusion import fused, histories
from benchmarks._icu_windows import stay_features
from benchmarks._kernel_logistic import fit
from service.datasets import cinc2019
from service.datasets.cinc2012 import HOURS, Stays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CUT_H: Final = (0, 6, 12)
CUT_SHARES: Final = (0.6, 0.25, 0.15)
FOREST: Final = {  # models.md's recipe for this set
    "objective": "binary",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.15,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 20,
    "max_bin": 127,
    "num_threads": 1,
    "verbose": -1,
}
LEAF_OF_CUTS: Final = 60  # rows; a stay has three
TREES: Final = 450


class Ward(NamedTuple):
    """Stays and what members learn from, worked out once."""

    stays: Stays
    windows: Floats  # [S, 1012]
    views: tuple[Floats, ...]  # of CUT_H: [S, F] windows and clinical inputs
    collapse: Floats  # [S]


def ward(stays: Stays, others: cinc2019.Stays) -> Ward:
    """Inputs of all members; no outcome is looked at."""
    views = []
    for hours in CUT_H:
        known = cut(stays, hours)
        views.append(np.concatenate([stay_features(known)[1], clinical_features(known)[1]], axis=1))
    return Ward(stays, stay_features(stays)[1], tuple(views), collapse_odds(stays, others))


def cut(stays: Stays, hours: int) -> Stays:
    """Stays as if they had ended `hours` earlier, moved so that they end at hour 48."""
    kept = stays.minute <= (HOURS - hours) * 60
    return stays._replace(
        stay=stays.stay[kept],
        minute=stays.minute[kept] + hours * 60,
        variable=stays.variable[kept],
        value=stays.value[kept],
    )


def forest(ward: Ward, fold: Ints, k: int) -> Floats:
    """Boosted trees on 1,012 window statistics, mean of two seeds."""
    train, test = fold != k, fold == k
    rows = (ward.windows[train], ward.stays.died[train].astype(int), None)
    said = [_grown(rows, FOREST, seed, ward.windows[test]) for seed in (0, 1)]
    return np.asarray(np.mean(said, axis=0), np.float64)


def forest_of_cuts(ward: Ward, fold: Ints, k: int) -> Floats:
    """Boosted trees on window statistics and clinical inputs of whole and cut stays."""
    train, test = fold != k, fold == k
    x = np.concatenate([view[train] for view in ward.views])
    y = np.tile(ward.stays.died[train].astype(int), len(CUT_H))
    rows = (x, y, np.repeat(CUT_SHARES, int(train.sum())))
    return _grown(rows, {**FOREST, "min_data_in_leaf": LEAF_OF_CUTS}, 0, ward.views[0][test])


def _grown(
    rows: tuple[Floats, Ints, Floats | None], settings: dict[str, object], seed: int, asked: Floats
) -> Floats:
    x, y, weight = rows
    data = lgb.Dataset(x, y, weight=weight)
    model = lgb.train({**settings, "seed": seed}, data, TREES)
    return np.asarray(model.predict(asked, raw_score=True), np.float64)


def kernel(ward: Ward, fold: Ints, k: int) -> Floats:
    """Kernel logistic regression on the same inputs as `forest_of_cuts`."""
    train, test = fold != k, fold == k
    views = tuple(view[train] for view in ward.views)
    return fit(views, ward.stays.died[train], CUT_SHARES).logit(ward.views[0][test])


def network(ward: Ward, fold: Ints, k: int) -> Floats:
    """The gated GRU-D fusion model, one seed."""
    said: Floats = fused(histories(ward.stays), fold != k, 0)[fold == k]
    return said


def collapse(ward: Ward, fold: Ints, k: int) -> Floats:
    """What stays without an outcome, of another set, say; nothing of these stays is learned."""
    return np.asarray(ward.collapse[fold == k], np.float64)


MEMBERS: Final[dict[str, Callable[[Ward, Ints, int], Floats]]] = {
    "forest": forest,
    "gated": network,
    "forest_of_cuts": forest_of_cuts,
    "kernel": kernel,
    "collapse": collapse,
}
# Weights of standardised scores: chosen by log loss on draws 11 to 13 of the folds.
FUSED: Final = {"forest_of_cuts": 1.0, "kernel": 0.5, "collapse": 0.2}
