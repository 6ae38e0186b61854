"""Stress against rest by late fusion of three modalities, beside a plain classifier.

The same windows, features, personal views and histories of random length as
`benchmarks.bench_stress`, which reports the tuned single model. Members are ridge logistic
regressions on pulse, skin and movement; `models.late` fuses their logits by the mean and by a stack
that learns from out-of-fold logits of the training people. Plain: one ridge logistic regression on
everything, with and without the personal views. Each person is judged by models of the others;
nothing is chosen by their scores.

    python -m benchmarks.bench_stress_late
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder, heading
from benchmarks.bench_stress import DRAWS, Told, judged, keep, logistic, noise_of, of_features, told
from models.evaluation.bootstrap import Interval, bootstrap
from models.evaluation.ranking import Ranking, auroc
from models.late.mean import MeanLogit
from models.late.out_of_fold import StackedRows
from models.late.stack import fit_stack
from service.datasets.e4_people import MOTION, POSTURE, SKIN, People, load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
INNER: Final = 4


def main() -> None:
    """Print the table."""
    print(heading("Stress against rest, Stress-Predict, late fusion, leave one person out"))
    began = time.process_time()
    w = load(data_folder("stress_predict_e4"))
    every, pure = told(w), pure_of(w)
    n = len(w.names)
    chosen = keep(w.names, POSTURE)
    now = w.x[:, chosen]
    members = {
        "pulse": keep(w.names, [*SKIN, *MOTION]),
        "skin": keep(w.names, [name for name in w.names if name not in SKIN]),
        "movement": keep(w.names, [x for x in w.names if x not in MOTION or x in POSTURE]),
    }
    views = {name: of_features(every, columns, n) for name, columns in members.items()}
    by = {name: judged(x, w, pure, logistic) for name, x in views.items()}
    plain = every._replace(whole=now, begun=(now,) * DRAWS)
    rows = {
        "plain logistic, the window's features": judged(plain, w, pure, logistic),
        "plain logistic, personal views": judged(of_features(every, chosen, n), w, pure, logistic),
    }
    rows |= {f"{name} alone": score for name, score in by.items()}
    asked = np.column_stack(list(by.values()))
    rows["late fusion: mean"] = MeanLogit().fuse(asked).logit
    rows["late fusion: stack"] = stacked(list(views.values()), asked, w)
    rows["order of tasks alone: views of noise"] = judged(told(noise_of(w)), w, pure, logistic)
    print("| model | AUROC pooled | mean of people | worst |\n|---|---|---|---|")
    for name, score in rows.items():
        print(line(name, score, w))
    print(f"\n{time.process_time() - began:.0f} s of CPU")


def pure_of(w: People) -> Bools:
    """Windows of one label."""
    found: Bools = (w.stress_share <= 0) | (w.stress_share >= 1)
    return found


def stacked(members: list[Told], asked: Floats, w: People) -> Floats:
    """Logits of a stack, for each person one that learned from out-of-fold logits of the others."""
    pure, stress = pure_of(w), (w.stress_share >= 1).astype(float)
    out = np.zeros(len(stress))
    for who in np.unique(w.person):
        others = w.person != who
        inside = People(w.names, *(column[others] for column in w[1:]))
        logits = np.column_stack(
            [judged(of_some(x, others), inside, pure[others], logistic, INNER) for x in members]
        )
        fold = np.unique(inside.person, return_inverse=True)[1] % INNER
        known = pure[others]
        rows = StackedRows(logits[known], fold[known], inside.person[known])
        out[~others] = fit_stack(rows, stress[others][known]).fuse(asked[~others]).logit
    return out


def of_some(x: Told, rows: Bools) -> Told:
    """The views of some windows."""
    begun = tuple(each[rows] for each in x.begun)
    return Told(x.whole[rows], begun, tuple(each[rows] for each in x.lengths))


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
