"""Death in hospital after 48 h in intensive care, CinC 2012 set A: forests, fusion network, both.

Five folds of stays, each judged by models of the others. Calibration and threshold of a fold come
from the held-out scores of the other folds. Event 1 is min(sensitivity, PPV), event 2 the
Hosmer-Lemeshow statistic over the range of risk (lower is better), both as the Challenge had them.
Members that are finished are kept, so that a run that was stopped goes on.

    python -m benchmarks.bench_cinc2012
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import lightgbm as lgb
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._common import ROOT, data_folder, heading
from benchmarks._icu_fusion import fused, histories
from benchmarks._icu_windows import stay_features
from models.calibration.temperature import fit_platt
from models.evaluation.bootstrap import Interval, bootstrap, counts, interval
from models.evaluation.calibration import hosmer_lemeshow
from models.evaluation.ranking import Ranking
from models.evaluation.splits import patient_folds
from service.datasets.cinc2012 import Stays, read

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
FOLDS: Final = 5
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
TREES: Final = 450
SEEDS: Final = (0, 1)
ANCHOR: Final = "SAPS-I 0.3125 / 68.58; best of 2012, on other stays: 0.5353 / 17.88"


class Judged(NamedTuple):
    """Held-out logit, calibrated by the other folds, and what it alarmed."""

    logit: Floats  # [S]
    alarm: Bools  # [S]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(heading("Death in hospital, CinC 2012 set A, five folds of stays"))
    stays = read(data_folder("cinc2012_seta") / "cinc2012_icu")
    fold = patient_folds(stays.died.astype(np.int64), FOLDS)
    began = time.process_time()
    members = {name: scores(name, make, stays, fold) for name, make in MEMBERS.items()}
    logits = {name: calibrated(each, stays.died, fold) for name, each in members.items()}
    logits["mean of both"] = calibrated(np.mean(list(logits.values()), axis=0), stays.died, fold)
    print(f"{len(stays.ids)} stays, {int(stays.died.sum())} deaths; {ANCHOR}\n")
    print("| model | event 1: min(Se, PPV) | Se | PPV | event 2 | AUROC | AUPRC |")
    print("|---|---|---|---|---|---|---|")
    for name, logit in logits.items():
        print(line(name, Judged(logit, alarmed(logit, stays.died, fold)), stays.died))
    print(f"\n{time.process_time() - began:.0f} s of CPU in this run")


def scores(
    name: str, make: Callable[[Stays, Ints, int], Floats], stays: Stays, fold: Ints
) -> Floats:
    """Held-out scores of one member, fold by fold, made now or before."""
    folder = ROOT / ".vigil" / "cache" / "bench-cinc2012"
    folder.mkdir(parents=True, exist_ok=True)
    found = np.zeros(len(stays.ids))
    for k in range(FOLDS):
        path: Path = folder / f"{name}-{k}.npy"
        if not path.exists():
            np.save(path, make(stays, fold, k))
        found[fold == k] = np.load(path)
    return found


def forest(stays: Stays, fold: Ints, k: int) -> Floats:
    """Boosted trees on 1,012 window statistics, mean of two seeds."""
    _, x = stay_features(stays)
    train, test = fold != k, fold == k
    said = []
    for seed in SEEDS:
        rows = lgb.Dataset(x[train], stays.died[train].astype(int))
        model = lgb.train({**FOREST, "seed": seed}, rows, TREES)
        said.append(model.predict(x[test], raw_score=True))
    return np.asarray(np.mean(said, axis=0), np.float64)


def network(stays: Stays, fold: Ints, k: int) -> Floats:
    """The gated GRU-D fusion model, one seed."""
    said: Floats = fused(histories(stays), fold != k, 0)[fold == k]
    return said


MEMBERS: Final[dict[str, Callable[[Stays, Ints, int], Floats]]] = {
    "forest": forest,
    "gated": network,
}


def calibrated(score: Floats, died: Bools, fold: Ints) -> Floats:
    """Log-odds by a line fitted on the other folds' held-out scores."""
    out = np.zeros(len(score))
    for k in range(FOLDS):
        others = fold != k
        line = fit_platt(score[others], died[others].astype(np.float64))
        out[~others] = line.coefficient[0] * score[~others] + line.bias
    return out


def alarmed(logit: Floats, died: Bools, fold: Ints) -> Bools:
    """Alarms at the threshold that is best for event 1 on the other folds."""
    out = np.zeros(len(logit), bool)
    for k in range(FOLDS):
        others = fold != k
        out[~others] = logit[~others] >= best_threshold(logit[others], died[others])
    return out


def best_threshold(score: Floats, died: Bools) -> float:
    """Where sensitivity and PPV meet."""
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(died[order])
    event = np.minimum(found / max(found[-1], 1), found / np.arange(1, len(score) + 1))
    return float(score[order][int(np.argmax(event))])


def line(name: str, judged: Judged, died: Bools) -> str:
    """One row of the table, with intervals by drawing stays."""
    sums = [(judged.alarm & died).astype(float), died.astype(float), judged.alarm.astype(float)]
    ranking = Ranking(died, judged.logit, np.arange(len(died)), len(died))

    def statistic(drawn: Floats) -> Floats:
        true, events, alarms = (drawn @ part for part in sums)
        se, ppv = true / events, true / np.maximum(alarms, 1)
        areas = ranking.areas(drawn)
        return np.stack([np.minimum(se, ppv), se, ppv, areas.auroc, areas.auprc], axis=1)

    one, se, ppv, auroc, auprc = bootstrap(statistic, len(died))
    cells = " | ".join(said(x) for x in (one, se, ppv))
    two = event_2(judged.logit, died)
    return f"| {name} | {cells} | {said(two, 1)} | {said(auroc)} | {said(auprc)} |"


def event_2(logit: Floats, died: Bools) -> Interval:
    """Event 2 with its interval; draws of stays add to it, so the interval lies above the value."""
    prob = 1 / (1 + np.exp(-logit))
    draws = []
    for drawn in counts(len(died), 200):
        for row in drawn:
            again = np.repeat(np.arange(len(died)), row.astype(int))
            draws.append(hosmer_lemeshow(died[again], prob[again])[1])
    return interval(hosmer_lemeshow(died, prob)[1], np.array(draws))


def said(x: Interval, digits: int = 3) -> str:
    """A figure with its interval."""
    return f"{x.value:.{digits}f} [{x.low:.{digits}f}, {x.high:.{digits}f}]"


if __name__ == "__main__":
    main()
