"""Stress against rest on wristband sessions, each person judged by models that never saw them.

Stress-Predict (Iqbal et al. 2022, Sensors 22:8135), Empatica E4. Windows of 60 s every 10 s; a
window is stress if all its seconds are labelled 1 (Stroop test, interview, hyperventilation), rest
if all are 0 (questionnaires, relaxing); mixed ones train nothing and are not judged. A person's own
normal is learned from the windows before, never from later ones. How the wrist lies is no feature,
the desk decides it; nor is time since the start, because the tasks come in the same order for
everybody. Views of a person's past tell it all the same, by how much past there is: so models
train on histories that begin at random (`random_lengths`), stress as common in long ones as in
short ones, and the same views of noise show what of the order is left.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._boosting import BoostSpec, fit, probability
from benchmarks._common import data_folder, heading
from service.datasets.e4_people import (
    MOTION,
    N_VIEWS,
    POSTURE,
    SKIN,
    People,
    load,
    personal,
    random_lengths,
)
from service.datasets.stress_predict import TASKS

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Told(NamedTuple):
    """Columns of every window, with all of its history and with histories begun at random."""

    whole: Floats  # [N, F]
    begun: tuple[Floats, ...]  # DRAWS of [N, F]
    lengths: tuple[Ints, ...]  # DRAWS of [N], windows


class Rows(NamedTuple):
    """Windows that train."""

    x: Floats  # [n, F]
    stress: Floats  # [n]
    weight: Floats  # [n]


Trainer = Callable[[tuple[Rows, ...], Floats], Floats]  # draws, asked -> log-odds

SPEC: Final = BoostSpec(n_trees=150, depth=3, rate=0.06, ridge=20, least_rows=40, share=0.05)
DRAWS: Final = 3  # of histories
N_MODELS: Final = 6
RIDGE: Final = 800.0  # of the logistic regression, in windows; neighbours are nearly the same
EVERY: Final = 3  # neighbouring windows share 50 s: one in three trains
MEMORY: Final = 0.7  # share of the score before that is kept: stress does not flicker in 10 s
DOUBTS: Final = (np.inf, 120.0, 60.0, 30.0)  # windows of doubt about a person's own usual score
INNER_FOLDS: Final = 3
LENGTHS: Final = (6, 12, 18, 30, 45, 60, 90, 120, 160, 200, 250)  # of history, in windows
MOST_WEIGHT: Final = 20.0
FIRST: Final = 60  # windows: 10 min
NOISES: Final = 8


def main() -> None:
    """Print the table."""
    w = load(data_folder("stress_predict_e4"))
    table(w)


def table(w: People) -> None:
    """Print every row."""
    pure = (w.stress_share <= 0) | (w.stress_share >= 1)
    n_people = len(np.unique(w.person))
    print(heading("Stress against rest, Stress-Predict (Empatica E4), leave one person out"))
    stress = np.mean(w.stress_share[pure] >= 1)
    print(f"{n_people} people, {pure.sum()} windows, {100 * stress:.0f} % stress")
    print(f"{'features':44} {'AUROC: pooled':>14} {'per person':>11} {'worst':>6}")
    every = told(w)
    chosen = keep(w.names, POSTURE)
    best = of_features(every, chosen, len(w.names))
    full = judged(best, w, pure)
    say("all but posture", full, w, pure)
    say("... from the eleventh minute on", full, w, pure & ~first(w))
    score, doubts = nested(best, w, pure)
    say("all but posture, less own usual score", score, w, pure)
    counts = ", ".join(f"{d:g}: {doubts.count(d)}" for d in DOUBTS)
    print(f"  windows of doubt chosen among the others: {counts}")
    say("... from the eleventh minute on", score, w, pure & ~first(w))
    for i, name in enumerate(TASKS):
        say(f"... {name} against rest", score, w, pure & ((w.task == i) | (w.task == -1)))
    order = told(noise_of(w))
    say("order of tasks alone: views of noise", judged(order, w, pure), w, pure)
    say("all but posture, logistic regression", judged(best, w, pure, logistic), w, pure)
    for title, without in {
        "without movement and posture": [*MOTION],
        "skin alone": [n for n in w.names if n not in SKIN],
        "pulse alone": [*SKIN, *MOTION],
    }.items():
        some = of_features(every, keep(w.names, without), len(w.names))
        say(title, judged(some, w, pure), w, pure)
    now = w.x[:, chosen]
    plain = every._replace(whole=now, begun=(now,) * DRAWS)
    say("all but posture, no personal normal", judged(plain, w, pure), w, pure)


def say(title: str, score: Floats, w: People, judged_windows: Bools) -> None:
    """Print one row."""
    print(f"{title:44} {line(score, w, judged_windows)}", flush=True)


def told(w: People) -> Told:
    """All views of all windows."""
    lengths = tuple(random_lengths(w, seed) for seed in range(DRAWS))
    return Told(personal(w), tuple(personal(w, length) for length in lengths), lengths)


def of_features(every: Told, columns: NDArray[np.intp], n: int) -> Told:
    """All views of some of `n` features."""
    at = np.concatenate([columns + i * n for i in range(N_VIEWS)])
    return every._replace(whole=every.whole[:, at], begun=tuple(x[:, at] for x in every.begun))


def first(w: People) -> Bools:
    """Windows of the first ten minutes of each person."""
    out = np.zeros(len(w.person), np.bool_)
    for who in np.unique(w.person):
        out[np.flatnonzero(w.person == who)[:FIRST]] = True
    return out


def noise_of(w: People) -> People:
    """The same windows with noise for features, half of it as slow as minutes."""
    random = np.random.default_rng(0)
    x = random.standard_normal((len(w.person), NOISES))
    for who in np.unique(w.person):
        for before, row in pairwise(np.flatnonzero(w.person == who)):
            x[row, ::2] = 0.9 * x[before, ::2] + np.sqrt(1 - 0.9**2) * x[row, ::2]
    return w._replace(names=[f"noise {i}" for i in range(NOISES)], x=x)


def keep(names: list[str], without: tuple[str, ...] | list[str] = ()) -> NDArray[np.intp]:
    """Columns whose feature is not among some."""
    return np.flatnonzero([name not in without for name in names])


def boosted(draws: tuple[Rows, ...], of: Floats) -> Floats:
    """Mean log-odds of a few boosted models, each trained on other windows and histories."""
    odds = []
    for i, rows in enumerate(draws):
        model = fit(rows.x, rows.stress, SPEC._replace(seed=i), rows.weight)
        p = probability(model, of)
        odds.append(np.log(p / (1 - p)))
    return np.asarray(np.mean(odds, axis=0), np.float64)


def logistic(draws: tuple[Rows, ...], of: Floats) -> Floats:
    """Log-odds of one ridge logistic regression on as many draws as hold every window."""
    some = draws[:EVERY]
    x, y, weight = (np.concatenate(column) for column in zip(*some, strict=True))
    return regression(x, y, of, weight)


def regression(x: Floats, y: Floats, of: Floats, weight: Floats | None = None) -> Floats:
    """Log-odds of a ridge logistic regression (Newton steps) on standardised features."""
    middle = np.nan_to_num(np.nanmedian(x, axis=0))
    filled, asked = (np.where(np.isnan(v), middle, v) for v in (x, of))
    mean, sd = filled.mean(axis=0), filled.std(axis=0) + 1e-9
    a, b = (np.c_[np.ones(len(v)), ((v - mean) / sd).clip(-4, 4)] for v in (filled, asked))
    weights = np.ones(len(x)) if weight is None else weight
    beta = np.zeros(a.shape[1])
    penalty = np.full(a.shape[1], RIDGE)
    penalty[0] = 0.0
    for _ in range(8):
        p = 1 / (1 + np.exp(-a @ beta))
        curve = (a * (weights * p * (1 - p))[:, None]).T @ a + np.diag(penalty + 1e-6)
        beta -= np.linalg.solve(curve, a.T @ (weights * (p - y)) + penalty * beta)
    return np.asarray(b @ beta, np.float64)


def judged(x: Told, w: People, pure: Bools, train: Trainer = boosted, folds: int = 0) -> Floats:
    """Smoothed log-odds of stress of every window, by models trained on other people.

    One person is left out at a time, or, with `folds`, every so manieth.
    """
    out = np.zeros(len(x.whole))
    y = (w.stress_share >= 1).astype(float)
    people, number = np.unique(w.person, return_inverse=True)
    part = number % (folds or len(people))
    for k in np.unique(part):
        others = np.flatnonzero((part != k) & pure)
        draws = tuple(
            _rows(x, y, others[i % EVERY :: EVERY], (i + i // EVERY) % DRAWS)
            for i in range(N_MODELS)
        )
        odds = np.zeros(len(out))
        odds[part == k] = train(draws, x.whole[part == k])
        for who in np.unique(number[part == k]):
            own = np.flatnonzero(number == who)
            level = odds[own[0]]
            for row in own:
                level = MEMORY * level + (1 - MEMORY) * odds[row]
                out[row] = level
    return out


def _rows(x: Told, y: Floats, chosen: NDArray[np.intp], draw: int) -> Rows:
    """Some windows of a draw, weighted so that stress is as common at all lengths of history."""
    stress = y[chosen]
    about = np.searchsorted(LENGTHS, x.lengths[draw][chosen], "right")
    weight = np.zeros(len(chosen))
    for k in np.unique(about):
        own = about == k
        share = stress[own].mean()
        if 0 < share < 1:
            rate = stress.mean()
            weight[own] = np.where(stress[own] > 0, rate / share, (1 - rate) / (1 - share))
    return Rows(x.begun[draw][chosen], stress, weight.clip(0, MOST_WEIGHT))


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


def nested(x: Told, w: People, pure: Bools) -> tuple[Floats, list[float]]:
    """Scores less a person's own level; how much of it is chosen among the other people alone."""
    whole = judged(x, w, pure)
    out, chosen = np.zeros(len(whole)), []
    true = w.stress_share >= 1
    for who in np.unique(w.person):
        others = w.person != who
        inside = People(w.names, *(column[others] for column in w[1:]))
        seen = Told(x.whole[others], *(tuple(v[others] for v in each) for each in x[1:]))
        score = judged(seen, inside, pure[others], folds=INNER_FOLDS)
        rate = true[others & pure].mean()
        prior = float(np.log(rate / (1 - rate)))
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
