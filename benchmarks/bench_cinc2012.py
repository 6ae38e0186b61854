"""Death in hospital after 48 h in intensive care, CinC 2012 set A: members of a fusion, and it.

Five folds of stays, each judged by models of the others. Calibration and threshold of a fold come
from the held-out scores of the other folds. Event 1 is min(sensitivity, PPV), event 2 the
Hosmer-Lemeshow statistic over the range of risk (lower is better), both as the Challenge had them.
One draw of folds differs from another by more than models do: `draws` tells the mean of six others.
Scores that are finished are kept, so that a run that was stopped goes on.

    python -m benchmarks.bench_cinc2012
    python -m benchmarks.bench_cinc2012 draws
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._common import ROOT, data_folder, heading
from benchmarks._icu_members import FUSED, MEMBERS, Ward, ward
from models.calibration.temperature import fit_platt
from models.evaluation.bootstrap import Interval, bootstrap, counts, interval
from models.evaluation.calibration import hosmer_lemeshow
from models.evaluation.ranking import Ranking, auprc, auroc
from models.evaluation.splits import patient_folds
from service.datasets import cinc2019
from service.datasets.cinc2012 import read

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
FOLDS: Final = 5
SEED: Final = 0  # of the table's folds
DRAWS: Final = (11, 12, 13, 14, 15, 16)
DRAWN: Final = ("forest", "forest_of_cuts", "kernel", "collapse")  # the network takes too long
FUSED_NAME: Final = "fused"
ANCHOR: Final = "SAPS-I 0.3125 / 68.58; best of 2012, on other stays: 0.5353 / 17.88"


class Judged(NamedTuple):
    """Held-out logit, calibrated by the other folds, and what it alarmed."""

    logit: Floats  # [S]
    alarm: Bools  # [S]


def main() -> None:
    """Print the table, or that of the other draws."""
    torch.set_num_threads(1)
    print(heading("Death in hospital, CinC 2012 set A, five folds of stays"))
    began = time.process_time()
    stays = read(data_folder("cinc2012_seta") / "cinc2012_icu")
    asked = ward(stays, cinc2019.load(data_folder("cinc2019_setA")))
    print(f"{len(stays.ids)} stays, {int(stays.died.sum())} deaths; {ANCHOR}\n")
    if sys.argv[1:] == ["draws"]:
        print_draws(asked)
    else:
        print_table(asked)
    print(f"\n{time.process_time() - began:.0f} s of CPU in this run")


def print_table(asked: Ward) -> None:
    """All members and the fusion on the one draw, with intervals."""
    died = asked.stays.died
    fold = patient_folds(died.astype(np.int64), FOLDS, SEED)
    logits = judged_logits(asked, fold, SEED, tuple(MEMBERS))
    print("| model | event 1: min(Se, PPV) | Se | PPV | event 2 | AUROC | AUPRC |")
    print("|---|---|---|---|---|---|---|")
    for name, logit in logits.items():
        print(line(name, Judged(logit, alarmed(logit, died, fold)), died))


def print_draws(asked: Ward) -> None:
    """Mean of six draws of the folds, without what takes long."""
    died = asked.stays.died
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in DRAWS:
        fold = patient_folds(died.astype(np.int64), FOLDS, seed)
        for name, logit in judged_logits(asked, fold, seed, DRAWN).items():
            alarm = alarmed(logit, died, fold)
            one = min(sensitivity_ppv(alarm, died))
            row = (one, auroc(died, logit), auprc(died, logit), log_loss(logit, died))
            found.setdefault(name, []).append(row)
    print("| model | event 1, mean of six draws | AUROC | AUPRC | log loss | event 1 of each |")
    print("|---|---|---|---|---|---|")
    for name, rows in found.items():
        one, *others = np.mean(rows, axis=0)
        cells = " | ".join(f"{x:.4f}" for x in others)
        print(f"| {name} | {one:.4f} | {cells} | {', '.join(f'{r[0]:.3f}' for r in rows)} |")


def judged_logits(asked: Ward, fold: Ints, seed: int, names: tuple[str, ...]) -> dict[str, Floats]:
    """Held-out logits of members and of their fusion, calibrated by the other folds."""
    died = asked.stays.died
    raw = {name: scores(name, asked, fold, seed) for name in names}
    raw[FUSED_NAME] = sum(
        weight * standardised(raw[name], fold) for name, weight in FUSED.items()
    ) + np.zeros(len(died))
    return {name: calibrated(each, died, fold) for name, each in raw.items()}


def scores(name: str, asked: Ward, fold: Ints, seed: int) -> Floats:
    """Held-out scores of one member, fold by fold, made now or before."""
    folder = ROOT / ".vigil" / "cache" / "bench-cinc2012"
    folder.mkdir(parents=True, exist_ok=True)
    found = np.zeros(len(fold))
    for k in range(FOLDS):
        path: Path = folder / f"{name}-{seed}-{k}.npy"
        if not path.exists():
            np.save(path, MEMBERS[name](asked, fold, k))
        found[fold == k] = np.load(path)
    return found


def standardised(score: Floats, fold: Ints) -> Floats:
    """Scores less the mean of the other folds' held-out scores, in their standard deviations."""
    out = np.zeros(len(score))
    for k in range(FOLDS):
        others = score[fold != k]
        out[fold == k] = (score[fold == k] - others.mean()) / others.std()
    return out


def sensitivity_ppv(alarm: Bools, died: Bools) -> tuple[float, float]:
    """Share of the dead who were alarmed for, and of alarms that were for the dead."""
    true = float((alarm & died).sum())
    return true / float(died.sum()), true / max(float(alarm.sum()), 1.0)


def log_loss(logit: Floats, died: Bools) -> float:
    """Mean negative log-likelihood."""
    return float(np.mean(np.logaddexp(0.0, np.where(died, -logit, logit))))


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
