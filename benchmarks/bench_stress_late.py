"""Stress against rest by late fusion of three modalities, beside a plain classifier.

The same windows, features and personal views as `benchmarks.bench_stress`, which reports the
tuned single model. Members are ridge logistic regressions on pulse, skin and movement;
`models.late` fuses their logits by the mean and by a stack that learns from out-of-fold logits of
the training people. Plain: one ridge logistic regression on everything, with and without the
personal views. Each person is judged by models of the others; nothing is chosen by their scores.

    python -m benchmarks.bench_stress_late
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from benchmarks.bench_stress import EVERY, MEMORY, keep, regression
from models.evaluation.bootstrap import Interval, bootstrap
from models.evaluation.ranking import Ranking, auroc
from models.late.mean import MeanLogit
from models.late.out_of_fold import StackedRows
from models.late.stack import fit_stack
from service.datasets.e4_people import MOTION, N_VIEWS, POSTURE, SKIN, People, load, personal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
INNER: Final = 4


def main() -> None:
    """Print the table."""
    print(heading("Stress against rest, Stress-Predict, late fusion, leave one person out"))
    began = time.process_time()
    w = load(data_folder("stress_predict_e4"))
    views = personal(w)
    n = len(w.names)
    chosen = keep(w.names, POSTURE)
    members = {
        "pulse": keep(w.names, [*SKIN, *MOTION]),
        "skin": keep(w.names, [name for name in w.names if name not in SKIN]),
        "movement": keep(w.names, [x for x in w.names if x not in MOTION or x in POSTURE]),
    }
    spread = {name: spread_over(columns, n) for name, columns in members.items()}
    rows: dict[str, Floats] = {
        "plain logistic, the window's features": alone(w, w.x[:, chosen]),
        "plain logistic, personal views": alone(w, views[:, spread_over(chosen, n)]),
    }
    rows |= {f"{name} alone": alone(w, views[:, at]) for name, at in spread.items()}
    rows |= fused(w, {name: views[:, at] for name, at in spread.items()})
    print("| model | AUROC pooled | mean of people | worst |\n|---|---|---|---|")
    for name, score in rows.items():
        print(line(name, smoothed(score, w), w))
    print(f"\n{time.process_time() - began:.0f} s of CPU")


def spread_over(columns: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """A feature's column in every view."""
    return np.concatenate([columns + i * n for i in range(N_VIEWS)])


def pure_of(w: People) -> Bools:
    """People of one label."""
    found: Bools = (w.stress_share <= 0) | (w.stress_share >= 1)
    return found


def alone(w: People, x: Floats) -> Floats:
    """Log-odds of every window by a regression on the other people."""
    pure, stress = pure_of(w), (w.stress_share >= 1).astype(float)
    out = np.zeros(len(x))
    for who in np.unique(w.person):
        train = np.flatnonzero((w.person != who) & pure)[::EVERY]
        test = w.person == who
        out[test] = regression(x[train], stress[train], x[test])
    return out


def fused(w: People, x: dict[str, Floats]) -> dict[str, Floats]:
    """Mean and stack of the members; the stack's rows are out of fold over people."""
    pure, stress = pure_of(w), (w.stress_share >= 1).astype(float)
    mean, stacked = np.zeros(len(stress)), np.zeros(len(stress))
    for who in np.unique(w.person):
        train = np.flatnonzero((w.person != who) & pure)[::EVERY]
        test = np.flatnonzero(w.person == who)
        people = np.unique(w.person[train])
        fold = np.searchsorted(people, w.person[train]) % INNER
        inside = np.column_stack(
            [held_out(each[train], stress[train], fold) for each in x.values()]
        )
        asked = np.column_stack(
            [regression(each[train], stress[train], each[test]) for each in x.values()]
        )
        rows = StackedRows(inside, fold, w.person[train])
        stacked[test] = fit_stack(rows, stress[train]).fuse(asked).logit
        mean[test] = MeanLogit().fuse(asked).logit
    return {"late fusion: mean": mean, "late fusion: stack": stacked}


def held_out(x: Floats, stress: Floats, fold: Ints) -> Floats:
    """Log-odds of training windows by regressions on other training people."""
    out = np.zeros(len(x))
    for k in range(INNER):
        inside = fold != k
        out[~inside] = regression(x[inside], stress[inside], x[~inside])
    return out


def smoothed(score: Floats, w: People) -> Floats:
    """Scores that keep some of what was before, as `bench_stress` does."""
    out = np.zeros(len(score))
    for who in np.unique(w.person):
        own = np.flatnonzero(w.person == who)
        level = score[own[0]]
        for row in own:
            level = MEMORY * level + (1 - MEMORY) * score[row]
            out[row] = level
    return out


def line(name: str, score: Floats, w: People) -> str:
    """One row of the table; intervals by drawing people."""
    pure, stress = pure_of(w), w.stress_share >= 1
    people, number = np.unique(w.person, return_inverse=True)
    ranking = Ranking(stress[pure], score[pure], number[pure], len(people))
    pooled = bootstrap(lambda drawn: ranking.areas(drawn).auroc, len(people))[0]
    each = [auroc(stress[pure & (w.person == p)], score[pure & (w.person == p)]) for p in people]
    known = [area for area in each if area == area]
    return f"| {name} | {said(pooled)} | {np.mean(known):.3f} | {min(known):.2f} |"


def said(x: Interval) -> str:
    """A figure with its interval."""
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


if __name__ == "__main__":
    main()
