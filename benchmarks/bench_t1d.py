"""Hypoglycaemia in the next 30 and 60 min on T1D-UOM: what wrist, insulin, meals and clock add.

Every person is forecast by models of the other people alone. A forecast is asked for at readings
that are not low; the event is a reading below 3.9 mmol/L within the horizon. Baseline: logistic
regression on the history of glucose. Fused: forests, each on the history and one more modality,
averaged on the logit scale (late fusion of early-fused members), less the person's own usual error
so far, which only uses outcomes that were known by then. Nothing is chosen by looking at the
person who is judged: features, sizes and the shares of the members are fixed beforehand.

    python -m benchmarks.bench_t1d
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks._common import data_folder, heading
from benchmarks._glucose_features import Columns, features
from models.evaluation.bootstrap import Interval, bootstrap
from models.evaluation.ranking import Ranking, auprc
from models.evaluation.splits import require_disjoint
from service.datasets.t1d_uom import MINUTE_US, Person, decisions, people

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HORIZONS_MIN: Final = (30, 60)
MODALITIES: Final = ("insulin", "meals", "wrist", "clock")
EASY_MMOL_L: Final = {30: 9.0, 60: 11.0}  # far above: such readings are thinned for training
THINNED: Final = (0.4, 0.05)  # share of rows without an event that train: near, far
TREES: Final = 100
FOREST: Final = {
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 12,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 20,
    "max_bin": 63,
    "num_threads": 1,
    "verbose": -1,
}
# What names a person rather than a state is kept from the models: ten people teach no such thing.
PERSONAL: Final = frozenset(
    (
        *("rate_own", "rate_own_sd", "basal_rate", "last_long", "last_bolus", "since_long_h"),
        *("own_days", "last_carbs", "bolus_6h", "carbs_6h", "protein_4h", "fat_4h"),
        *("met_12h", "met_24h", "steps_12h", "steps_24h", "motion_12h", "motion_24h"),
        *("stress_8h", "asleep_8h"),
    )
)
RIDGE: Final = 0.05  # scikit-learn's C
DOUBT: Final = 30.0  # events' worth of doubt about a person's own error


class Data(NamedTuple):
    """All decisions of everybody, people together and in time order."""

    names: list[str]
    modality: Ints  # column -> place in `kinds`
    kinds: tuple[str, ...]
    person: Ints  # [N]
    time_us: Ints
    x: Floats  # [N, F]
    low: Bools  # [N]

    def columns(self, *kinds: str) -> Ints:
        """Columns of some modalities that may be used."""
        wanted = [self.kinds.index(k) for k in kinds]
        chosen = [
            i
            for i, name in enumerate(self.names)
            if self.modality[i] in wanted and name not in PERSONAL
        ]
        return np.array(chosen)


Fit = Callable[[Data, Bools, Bools, int], Floats]


def main() -> None:
    """Print the tables."""
    print(heading("Hypoglycaemia within 30 and 60 min, T1D-UOM, leave one person out"))
    everybody = list(people(data_folder("t1d_uom")))
    for horizon in HORIZONS_MIN:
        began = time.process_time()
        data = laid_out(everybody, horizon)
        scores = judged(data, horizon)
        print(
            f"\n## {horizon} min: {len(data.low):,} readings of {len(everybody)} people, "
            f"{100 * data.low.mean():.2f} % before a low\n"
        )
        table(data, scores)
        print(f"\n{time.process_time() - began:.0f} s of CPU")


def laid_out(everybody: list[Person], horizon_min: int) -> Data:
    """Features and outcomes of everybody."""
    parts, made = [], Columns()
    for number, person in enumerate(everybody):
        asked = decisions(person.streams["glucose"], horizon_min)
        made = features(person, asked.time_us)
        of = np.full(len(asked.low), number, np.int64)
        parts.append((of, asked.time_us, np.stack(made.values, axis=1), asked.low))
    kinds = tuple(dict.fromkeys(made.modality))
    modality = np.array([kinds.index(m) for m in made.modality])
    person_of, time_us, x, low = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Data(made.names, modality, kinds, person_of, time_us, x, low)


def judged(data: Data, horizon_min: int) -> dict[str, Floats]:
    """Log-odds of every reading by every contender, from models of the other people."""
    kept = thinned(data, horizon_min)
    plans: dict[str, Fit] = {"logistic": logistic}
    plans |= {f"history {seed}": forest(("glucose",), seed) for seed in range(len(MODALITIES) + 1)}
    plans |= {f"+{kind}": forest(("glucose", kind), 10) for kind in MODALITIES}
    plans["no glucose"] = forest(MODALITIES, 20)
    plans["clock alone"] = forest(("clock",), 20)
    found = {name: np.zeros(len(data.low)) for name in plans}
    for who in np.unique(data.person):
        test = data.person == who
        train = ~test & (kept > 0)
        require_disjoint(
            [str(p) for p in np.unique(data.person[train])],
            [str(p) for p in np.unique(data.person[test])],
        )
        for name, plan in plans.items():
            found[name][test] = plan(data, train, test, horizon_min)
    members = ["history 0", *(f"+{kind}" for kind in MODALITIES)]
    found["forests of history"] = np.mean([found[f"history {s}"] for s in range(5)], axis=0)
    found["fused, no personal term"] = np.mean([found[m] for m in members], axis=0)
    for name in ("logistic", "forests of history", "fused, no personal term", "no glucose"):
        title = {"fused, no personal term": "fused"}.get(name, f"{name}, personal term")
        found[title] = personal(data, found[name], horizon_min)
    for kind in MODALITIES:
        left = [m for m in members if m != f"+{kind}"]
        mean = np.mean([found[m] for m in left], axis=0)
        found[f"fused without {kind}"] = personal(data, mean, horizon_min)
    return found


def thinned(data: Data, horizon_min: int) -> Floats:
    """How much every reading counts in training; neighbours five minutes apart are much alike."""
    draw = np.random.default_rng(0).random(len(data.low))
    near = data.x[:, data.names.index("now")] < EASY_MMOL_L[horizon_min]
    share = np.where(near, *THINNED)
    found: Floats = np.where(data.low, 1.0, np.where(draw < share, 1 / share, 0.0))
    return found


def forest(kinds: tuple[str, ...], seed: int) -> Fit:
    """Boosted trees on some modalities."""

    def fit(data: Data, train: Bools, test: Bools, horizon_min: int) -> Floats:
        columns = data.columns(*kinds)
        weight = thinned(data, horizon_min)[train]
        rows = lgb.Dataset(data.x[np.ix_(train, columns)], data.low[train], weight=weight)
        model = lgb.train({**FOREST, "seed": seed}, rows, TREES)
        said: Floats = model.predict(data.x[np.ix_(test, columns)], raw_score=True)
        return said

    return fit


def logistic(data: Data, train: Bools, test: Bools, horizon_min: int) -> Floats:
    """Ridge logistic regression on the history of glucose, standardised by the training people."""
    columns = data.columns("glucose")
    x = data.x[:, columns]
    mean, sd = np.nanmean(x[train], axis=0), np.nanstd(x[train], axis=0) + 1e-9
    z = np.clip(np.nan_to_num((x - mean) / sd), -5, 5)
    model = LogisticRegression(C=RIDGE, max_iter=200)
    model.fit(z[train], data.low[train], sample_weight=thinned(data, horizon_min)[train])
    said: Floats = model.decision_function(z[test])
    return said


def personal(data: Data, score: Floats, horizon_min: int) -> Floats:
    """Log-odds less the person's usual error: events seen so far over events forecast.

    An outcome counts once its horizon has passed. `DOUBT` events hold the estimate back.
    """
    out = score.copy()
    prob = 1 / (1 + np.exp(-score))
    for who in np.unique(data.person):
        own = np.flatnonzero(data.person == who)
        time_us = data.time_us[own]
        known = np.searchsorted(time_us, time_us - horizon_min * MINUTE_US, side="right")
        seen = np.concatenate([[0.0], np.cumsum(data.low[own])])[known]
        expected = np.concatenate([[0.0], np.cumsum(prob[own])])[known]
        out[own] += np.log((seen + DOUBT) / (expected + DOUBT))
    return out


def table(data: Data, scores: dict[str, Floats]) -> None:
    """Areas of the contenders and what they are above the baseline."""
    people_count = int(data.person.max()) + 1
    base = ranking(data, scores["logistic"], people_count)
    print("| model | AUROC | AUPRC | mean AUPRC of people | AUPRC less the logistic baseline |")
    print("|---|---|---|---|---|")
    for name in SHOWN:
        own = ranking(data, scores[name], people_count)

        def both(drawn: Floats, own: Ranking = own) -> Floats:
            found, other = own.areas(drawn), base.areas(drawn)
            gain = found.auprc - other.auprc
            return np.stack([found.auroc, found.auprc, gain], axis=1)

        area, precision, gain = bootstrap(both, people_count)
        each = np.mean(
            [
                auprc(data.low[data.person == k], scores[name][data.person == k])
                for k in range(people_count)
            ]
        )
        print(f"| {name} | {said(area)} | {said(precision)} | {each:.3f} | {said(gain)} |")


SHOWN: Final = (
    "logistic",
    "forests of history",
    "forests of history, personal term",
    "fused, no personal term",
    "fused",
    *(f"fused without {kind}" for kind in MODALITIES),
    "no glucose",
    "no glucose, personal term",
    "clock alone",
)


def ranking(data: Data, score: Floats, people_count: int) -> Ranking:
    """Readings by score, drawn by person."""
    return Ranking(data.low, score, data.person, people_count)


def said(x: Interval) -> str:
    """A figure with its interval."""
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


if __name__ == "__main__":
    main()
