"""Stress against rest on wristband sessions, each person judged by models that never saw them.

Stress-Predict (Iqbal et al. 2022, Sensors 22:8135), Empatica E4. Windows of 60 s every 10 s; a
window is stress if all its seconds are labelled 1 (Stroop test, interview, hyperventilation), rest
if all are 0 (questionnaires, relaxing); mixed ones train nothing and are not judged. A person's own
normal is learned from the windows before, never from later ones. Time since the start is no
feature: the tasks come in the same order for everybody; nor is how the wrist lies, which the desk
decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._boosting import BoostSpec, fit, importance, probability
from benchmarks._common import data_folder, heading
from service.datasets.e4_people import (
    MOTION,
    N_VIEWS,
    POSTURE,
    SKIN,
    People,
    load,
    personal,
)
from service.datasets.stress_predict import TASKS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Trainer = Callable[[Floats, Floats, Floats], Floats]  # features, labels, asked -> log-odds

SPEC: Final = BoostSpec(n_trees=150, depth=3, rate=0.06, ridge=20, least_rows=40, share=0.05)
N_MODELS: Final = 6
RIDGE: Final = 50.0  # of the logistic regression, in windows
EVERY: Final = 3  # neighbouring windows share 50 s: one in three trains
MEMORY: Final = 0.7  # share of the score before that is kept: stress does not flicker in 10 s
DOUBTS: Final = (np.inf, 120.0, 60.0, 30.0)  # windows of doubt about a person's own usual score
INNER_FOLDS: Final = 3


def main() -> None:
    """Print the table."""
    w = load(data_folder("stress_predict_e4"))
    own = personal(w)
    pure = (w.stress_share <= 0) | (w.stress_share >= 1)
    n_people = len(np.unique(w.person))
    print(heading("Stress against rest, Stress-Predict (Empatica E4), leave one person out"))
    stress = np.mean(w.stress_share[pure] >= 1)
    print(f"{n_people} people, {pure.sum()} windows, {100 * stress:.0f} % stress")
    print(f"{'features':44} {'AUROC: pooled':>14} {'per person':>11} {'worst':>6}")
    columns = {
        "all but posture": keep(w.names, POSTURE),
        "all": keep(w.names),
        "without movement and posture": keep(w.names, MOTION),
        "without skin": keep(w.names, SKIN),
        "skin alone": keep(w.names, [n for n in w.names if n not in SKIN]),
        "pulse alone": keep(w.names, [*SKIN, *MOTION]),
    }
    n = len(w.names)
    full = np.zeros(len(w.person))
    for title, chosen in columns.items():
        score = judged(own[:, np.concatenate([chosen + i * n for i in range(N_VIEWS)])], w, pure)
        full = score if title == "all but posture" else full
        print(f"{title:44} {line(score, w, pure)}")
    chosen = keep(w.names, POSTURE)
    plain = judged(w.x[:, chosen], w, pure)
    print(f"{'all but posture, no personal normal':44} {line(plain, w, pure)}")
    views = own[:, np.concatenate([chosen + i * n for i in range(N_VIEWS)])]
    score, doubts = nested(views, w, pure)
    print(f"{'all but posture, less own usual score':44} {line(score, w, pure)}")
    counts = ", ".join(f"{d:g}: {doubts.count(d)}" for d in DOUBTS)
    print(f"  windows of doubt chosen among the others: {counts}")
    for method in (boosted, logistic):
        title = f"all but posture, {method.__name__} alone"
        print(f"{title:44} {line(judged(views, w, pure, method), w, pure)}")
    for i, name in enumerate(TASKS):
        some = pure & ((w.task == i) | (w.task == -1))
        print(f"{name + ' against rest':44} {line(full, w, some)}")
    model = fit(own[pure][::EVERY], (w.stress_share[pure] >= 1)[::EVERY].astype(float), SPEC)
    share = importance(model, own.shape[1]).reshape(N_VIEWS, n).sum(axis=0)
    print(
        "asks most about: "
        + ", ".join(f"{w.names[i]} {share[i]:.2f}" for i in np.argsort(-share)[:10])
    )


def keep(names: list[str], without: tuple[str, ...] | list[str] = ()) -> NDArray[np.intp]:
    """Columns whose feature is not among some."""
    return np.flatnonzero([name not in without for name in names])


def boosted(x: Floats, y: Floats, of: Floats) -> Floats:
    """Mean log-odds of a few boosted models, each trained on other windows."""
    odds = []
    for i in range(N_MODELS):
        model = fit(x[i % EVERY :: EVERY], y[i % EVERY :: EVERY], SPEC._replace(seed=i))
        p = probability(model, of)
        odds.append(np.log(p / (1 - p)))
    return np.asarray(np.mean(odds, axis=0), np.float64)


def logistic(x: Floats, y: Floats, of: Floats) -> Floats:
    """Log-odds of a ridge logistic regression (Newton steps) on standardised features."""
    middle = np.nan_to_num(np.nanmedian(x, axis=0))
    filled, asked = (np.where(np.isnan(v), middle, v) for v in (x, of))
    mean, sd = filled.mean(axis=0), filled.std(axis=0) + 1e-9
    a, b = (np.c_[np.ones(len(v)), ((v - mean) / sd).clip(-4, 4)] for v in (filled, asked))
    beta = np.zeros(a.shape[1])
    penalty = np.full(a.shape[1], RIDGE)
    penalty[0] = 0.0
    for _ in range(8):
        p = 1 / (1 + np.exp(-a @ beta))
        curve = (a * (p * (1 - p))[:, None]).T @ a + np.diag(penalty + 1e-6)
        beta -= np.linalg.solve(curve, a.T @ (p - y) + penalty * beta)
    return np.asarray(b @ beta, np.float64)


def blended(x: Floats, y: Floats, of: Floats) -> Floats:
    """Boosted rules and half a logistic regression: the second sees slow, smooth trends."""
    return boosted(x, y, of) + 0.5 * logistic(x, y, of)


def judged(x: Floats, w: People, pure: Bools, train: Trainer = blended, folds: int = 0) -> Floats:
    """Smoothed log-odds of stress of every window, by models trained on other people.

    One person is left out at a time, or, with `folds`, every so manieth.
    """
    out = np.zeros(len(x))
    y = (w.stress_share >= 1).astype(float)
    people, number = np.unique(w.person, return_inverse=True)
    part = number % (folds or len(people))
    for k in np.unique(part):
        others = (part != k) & pure
        odds = np.zeros(len(x))
        odds[part == k] = train(x[others], y[others], x[part == k])
        for who in np.unique(number[part == k]):
            own = np.flatnonzero(number == who)
            level = odds[own[0]]
            for row in own:
                level = MEMORY * level + (1 - MEMORY) * odds[row]
                out[row] = level
    return out


def levelled(score: Floats, w: People, doubt: float, prior: float) -> Floats:
    """Scores less the person's own median so far, which `doubt` windows of the prior hold back."""
    if not np.isfinite(doubt):
        return score - prior
    out, held = np.zeros(len(score)), np.full(round(doubt), prior)
    for who in np.unique(w.person):
        own = np.flatnonzero(w.person == who)
        for k, row in enumerate(own, 1):
            out[row] = score[row] - np.median(np.concatenate([score[own[:k]], held]))
    return out


def nested(x: Floats, w: People, pure: Bools) -> tuple[Floats, list[float]]:
    """Scores less a person's own level; how much of it is chosen among the other people alone."""
    whole = judged(x, w, pure)
    out, chosen = np.zeros(len(x)), []
    true = w.stress_share >= 1
    for who in np.unique(w.person):
        others = w.person != who
        inside = People(w.names, *(column[others] for column in w[1:]))
        score = judged(x[others], inside, pure[others], folds=INNER_FOLDS)
        rate = true[others & pure].mean()
        prior = float(np.log(rate / (1 - rate))) * 1.5  # both parts of the blended score
        areas = []
        for doubt in DOUBTS:
            own = levelled(score, inside, doubt, prior)
            areas.append(auroc(true[others & pure], own[pure[others]]))
        chosen.append(DOUBTS[int(np.argmax(areas))])
        out[~others] = levelled(whole, w, chosen[-1], prior)[~others]
    return out, chosen


def line(score: Floats, w: People, judged_windows: Bools) -> str:
    """AUROC over all windows, mean over people, and of the worst person."""
    true = w.stress_share >= 1
    pooled = auroc(true[judged_windows], score[judged_windows])
    each = []
    for who in np.unique(w.person):
        own = judged_windows & (w.person == who)
        if true[own].any() and not true[own].all():
            each.append(auroc(true[own], score[own]))
    return f"{pooled:14.3f} {np.mean(each):11.3f} {min(each):6.2f}"


def auroc(true: Bools, score: Floats) -> float:
    """Chance that a true one is rated above a false one."""
    low, high = np.sort(score[~true]), score[true]
    ranks = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(ranks.sum() / (2 * len(low) * len(high)))


if __name__ == "__main__":
    main()
