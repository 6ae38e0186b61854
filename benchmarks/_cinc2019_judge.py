"""Figures from held-out scores: thresholds of the tuning stays, intervals by drawing stays."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._cinc2019 import Scores
from models.calibration.knots import fit
from models.evaluation.bootstrap import Interval, Statistic, bootstrap, paired, ratio
from models.evaluation.events import Burden, burden, threshold_at
from models.evaluation.ranking import Ranking
from models.evaluation.utility import RowUtility, best_threshold, patient_utility
from service.datasets.cinc2019 import Stays
from service.training import artifact
from service.training import cinc2019 as recipe
from service.training.committee import calibrate, logits, sigmoid
from service.training.operating import cautious_threshold, conformal, watched_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
REPLICATES: Final = 200


class Contender(NamedTuple):
    """Scores of every hour from whoever did not train on it, and what it alarmed."""

    score: Floats  # [N] comparable across splits
    alarm: Bools  # [N]
    quiet: Floats  # [N] score above the threshold of 0.2 alarms per patient-day; of RINGING


class Pooled(NamedTuple):
    """Contenders of all splits together."""

    stays: Stays
    of: dict[str, Contender]
    prob: Floats  # [N] of the default model
    covered: Bools  # [N] the outcome was in the conformal set
    sets: Floats  # [N] labels in the set


def pool(stays: Stays, every: list[Scores]) -> Pooled:
    """Judge every split by its own tuning stays, and put the tested hours together.

    The default takes the cautious threshold; "best" is the same scores at the best one.
    """
    n = len(stays.label)
    names = [*ABSENT, *_ALONE, "default", BEST, "late", "hour", *every[0].peer]
    of = {
        name: Contender(np.full(n, np.nan), np.zeros(n, bool), np.full(n, np.nan)) for name in names
    }
    prob, covered, sets = np.full(n, np.nan), np.zeros(n, bool), np.zeros(n)
    for scores in every:
        test = np.repeat(scores.split.test, stays.lengths)
        tune = np.repeat(scores.split.tune, stays.lengths)
        table = _calibrated(stays, scores, tune)
        worth = recipe.worth(stays)
        inner = RowUtility(worth.alarm[tune], worth.quiet[tune], worth.wanted[tune])
        watched = watched_of(stays, scores.split.tune)
        chosen = {}
        for name, logit in table.items():
            choose = cautious_threshold if name == "default" else best_threshold
            chosen[name] = choose(logit[tune], inner)
        for name in ABSENT:
            chosen[name] = chosen["default"]  # one artifact, one threshold
        table[BEST] = table["default"]
        chosen[BEST] = best_threshold(table["default"][tune], inner)
        for name, logit in table.items():
            of[name].score[test] = logit[test]
            of[name].alarm[test] = logit[test] >= chosen[name]
            if name in RINGING:
                at = threshold_at(logit[tune], watched, artifact.PER_DAY)
                of[name].quiet[test] = logit[test] - at
        prob[test] = sigmoid(table["default"][test])
        bounds = conformal(stays.label[tune], sigmoid(table["default"][tune]))
        no = prob[test] <= bounds["no_up_to"][0]
        yes = prob[test] >= bounds["yes_from"][0]
        covered[test] = np.where(stays.label[test], yes, no)
        sets[test] = no.astype(float) + yes
    return Pooled(stays, of, prob, covered, sets)


BEST: Final = "best"
RINGING: Final = ("default", "vitals", "same", "recipe")  # whose alarms are counted
ABSENT: Final = ("labs absent", "vitals absent", "worn alone")
_ALONE: Final = ("vitals", "labs")


def _calibrated(stays: Stays, scores: Scores, tune: Bools) -> dict[str, Floats]:
    """Logits of every contender, calibrated on the tuning stays."""
    raw, label = scores.raw, stays.label
    lines = calibrate(label[tune], raw.rows(tune), recipe.KNOTS)
    table = {
        "default": logits(raw, lines),
        "labs absent": logits(raw.without("labs"), lines),
        "vitals absent": logits(raw.without("vitals"), lines),
    }
    table["worn alone"] = table["labs absent"]
    if scores.worn is not None:
        table["worn alone"] = lines.alone["vitals"].at(scores.worn)
    plain = {
        "vitals": raw.single["vitals"],
        "labs": raw.single["labs"],
        "late": (raw.single["vitals"] + raw.single["labs"]) / 2,
        **scores.peer,
    }
    for name, logit in plain.items():
        table[name] = fit(label[tune], logit[tune], recipe.KNOTS).at(logit)
    hour = np.arange(len(label)) - np.repeat(stays.starts, stays.lengths)
    table["hour"] = hour.astype(np.float64)
    return table


def utilities(pooled: Pooled, names: list[str], which: Bools | None = None) -> Statistic:
    """Normalised utility of some contenders, for draws of the stays in `which`."""
    stays = pooled.stays
    worth = recipe.worth(stays)
    kept = np.ones(len(stays.lengths), bool) if which is None else which
    above, below = [], []
    for name in names:
        sums = patient_utility(pooled.of[name].alarm, worth, stays.lengths)
        above.append((sums.observed - sums.inaction)[kept])
        below.append((sums.best - sums.inaction)[kept])
    return ratio(np.stack(above, axis=1), np.stack(below, axis=1))


def areas(pooled: Pooled, name: str, which: Bools | None = None) -> Statistic:
    """AUROC and AUPRC of a contender, for draws of the stays in `which`."""
    stays = pooled.stays
    kept = np.ones(len(stays.lengths), bool) if which is None else which
    rows = np.repeat(kept, stays.lengths)
    number = (np.cumsum(kept) - 1)[stays.stay[rows]]
    ranking = Ranking(stays.label[rows], pooled.of[name].score[rows], number, int(kept.sum()))

    def statistic(drawn: Floats) -> Floats:
        found = ranking.areas(drawn)
        return np.stack([found.auroc, found.auprc], axis=1)

    return statistic


def figures(pooled: Pooled, name: str, which: Bools | None = None) -> list[Interval]:
    """Utility, AUROC, AUPRC with intervals."""
    stays = len(pooled.stays.lengths) if which is None else int(which.sum())
    worth = bootstrap(utilities(pooled, [name], which), stays, REPLICATES)
    return [*worth, *bootstrap(areas(pooled, name, which), stays, REPLICATES)]


def differences(pooled: Pooled, one: str, other: str) -> list[Interval]:
    """Utility, AUROC, AUPRC of one less the other, on the same draws."""
    stays = len(pooled.stays.lengths)
    first, second = utilities(pooled, [one]), utilities(pooled, [other])
    worth = paired(first, second, stays, REPLICATES)
    return [*worth, *paired(areas(pooled, one), areas(pooled, other), stays, REPLICATES)]


def alarms_of(pooled: Pooled, name: str) -> Burden:
    """Alarms at 0.2 a patient-day, the threshold taken from the tuning stays of every split."""
    everyone = np.ones(len(pooled.stays.lengths), bool)
    return burden(pooled.of[name].quiet, watched_of(pooled.stays, everyone), 0.0, REPLICATES)
