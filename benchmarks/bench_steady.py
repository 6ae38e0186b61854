"""What is left when time alone says nothing: the default's forests with a clock taken away, and
with NEWS2's chart besides.

CinC 2019 set A, strictly nested: forests of three folds score the other two; clock, calibration and
threshold of each come from the other. "In an hour" is the AUROC among rows of the same hour of the
stay, weighed by those with the label: what no length of stay can give away. "First 48 h": stays cut
there, before many without sepsis have ended. Then what a point of NEWS2 is worth, tried on set A
alone, and the eICU demo, by the artifacts as served.

    python -m benchmarks.bench_steady
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import _cinc2019 as sets
from benchmarks._common import data_folder, heading
from models.evaluation.bootstrap import Interval, Statistic, bootstrap, ratio
from models.evaluation.calibration import calibration
from models.evaluation.events import burden, threshold_at, watch
from models.evaluation.ranking import Ranking, auroc
from models.evaluation.utility import patient_utility
from models.open import open_blocks
from service.datasets.cinc2019 import Stays
from service.evaluate import open_artifact
from service.evaluate_cohorts import of_yaib
from service.evaluate_score import score
from service.training import chart, steady
from service.training import cinc2019 as recipe
from service.training.committee import calibrate, logits
from service.training.operating import cautious_threshold

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
REPLICATES: Final = 200
POINTS: Final = {"default": None, "steady": steady.POINT}  # None: no clock is taken away either
KINDS: Final = tuple(POINTS)
FEWEST: Final = 5  # rows with the label in an hour that is looked at
TRIED: Final = (0.0, 0.1, 0.15, 0.2, 0.3, 0.5)  # of the raw logit, a point of NEWS2
SPANS: Final = ((0, 12), (12, 24), (24, 48), (48, 10_000))


class Data(NamedTuple):
    """Stays, and NEWS2's points of every hour."""

    stays: Stays
    points: Floats


class Said(NamedTuple):
    """Calibrated logits of judged rows, NaN elsewhere, and what was alarmed."""

    logit: Floats
    alarm: Bools


def main() -> None:
    """Print the tables."""
    print(heading("what time alone says, taken away"))
    began = time.process_time()
    stays, job, stages = sets.stays_of_a()
    every = sets.two(stays, job, stages)
    plain = recipe.fitted(recipe.blank(), stays, np.ones(len(stays.lengths), bool))
    data = Data(stays, chart.points_of(stays, plain))
    judged = np.logical_or.reduce([s.split.test for s in every])
    print("\n| set A, two folds | AUROC | in an hour | utility | first 48 h: AUROC | utility |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        whole = _row(stays, _said(data, every, POINTS[kind]), judged)
        cut, short, said = _beginning(data, every, POINTS[kind])
        early = _row(cut, said, short)
        print(f"| {kind} | {whole[0]} | {whole[1]} | {whole[2]} | {early[0]} | {early[2]} |")
    print("\n| a point of NEWS2 | AUROC | in an hour | first 48 h: AUROC | utility |")
    print("|---|---|---|---|---|")
    for point in TRIED:
        whole = _row(stays, _said(data, every, point), judged)
        cut, short, said = _beginning(data, every, point)
        early = _row(cut, said, short)
        print(f"| {point:g} | {whole[0]} | {whole[1]} | {early[0]} | {early[2]} |")
    _outside()
    print(f"\n{time.process_time() - began:.0f} s of CPU")


def _said(data: Data, every: list[sets.Scores], point: float | None) -> Said:
    stays = data.stays
    out = Said(np.full(len(stays.label), np.nan), np.zeros(len(stays.label), bool))
    hours = steady.hours_followed(stays.lengths)
    for scores in every:
        tune, test = (np.repeat(x, stays.lengths) for x in (scores.split.tune, scores.split.test))
        raw, fitted = scores.raw, tune
        if point is not None:
            raw = steady.charted(raw, data.points, point)
            clock = steady.clocks(stays.label[tune], raw.rows(tune), hours[tune])
            raw = steady.without_clock(raw, hours, clock)
            fitted = tune & (hours <= steady.FIRST_H)
        lines = calibrate(stays.label[fitted], raw.rows(fitted), recipe.KNOTS)
        worth = recipe.worth(stays)
        inner = worth._replace(
            alarm=worth.alarm[tune], quiet=worth.quiet[tune], wanted=worth.wanted[tune]
        )
        at = cautious_threshold(logits(raw.rows(tune), lines), inner)
        out.logit[test] = logits(raw.rows(test), lines)
        out.alarm[test] = out.logit[test] >= at
    return out


def _beginning(
    data: Data, every: list[sets.Scores], point: float | None
) -> tuple[Stays, Bools, Said]:
    """The same with stays cut; clock and scores are those of whole stays."""
    stays = data.stays
    rows = steady.hours_followed(stays.lengths) <= steady.FIRST_H
    none = np.zeros(len(stays.lengths), np.int64)
    cut, _ = steady.beginning(stays, recipe.Development(every[0].raw, none))
    said = _said(data, every, point)
    worth = recipe.worth(cut)
    alarm = np.zeros(len(cut.label), bool)
    for scores in every:
        tune, test = (np.repeat(x, cut.lengths) for x in (scores.split.tune, scores.split.test))
        inner = worth._replace(
            alarm=worth.alarm[tune], quiet=worth.quiet[tune], wanted=worth.wanted[tune]
        )
        at = cautious_threshold(said.logit[rows][tune], inner)  # scores of the other half's lines
        alarm[test] = said.logit[rows][test] >= at
    judged = np.logical_or.reduce([s.split.test for s in every])
    return cut, judged, Said(said.logit[rows], alarm)


def _row(stays: Stays, said: Said, judged: Bools) -> list[str]:
    """AUROC, AUROC in an hour, utility."""
    rows = np.repeat(judged, stays.lengths)
    number = (np.cumsum(judged) - 1)[stays.stay[rows]]
    count = int(judged.sum())
    ranking = Ranking(stays.label[rows], said.logit[rows], number, count)
    area = bootstrap(_area(ranking), count, REPLICATES)[0]
    sums = patient_utility(said.alarm, recipe.worth(stays), stays.lengths)
    above, below = sums.observed - sums.inaction, sums.best - sums.inaction
    gain = ratio(above[judged][:, None], below[judged][:, None])
    hour = steady.hours_followed(stays.lengths)[rows]
    within = in_an_hour(stays.label[rows], said.logit[rows], hour)
    return [_text(area), f"{within:.3f}", _text(bootstrap(gain, count, REPLICATES)[0])]


def in_an_hour(label: Bools, score: Floats, hour: NDArray[np.int64]) -> float:
    """Mean AUROC among rows of the same hour, each hour weighs as its rows with the label."""
    total, weight = 0.0, 0
    for h in np.unique(hour):
        own = hour == h
        ill = int(label[own].sum())
        if ill >= FEWEST and ill < own.sum():
            total, weight = total + ill * auroc(label[own], score[own]), weight + ill
    return total / weight


def _outside() -> None:
    """The eICU demo: AUROC by the time followed, alarms, calibration."""
    cohort = of_yaib(data_folder("yaib_eicu_demo"))
    hour = cohort.time_h - cohort.time_h[np.repeat(cohort.starts, cohort.lengths)]
    watched = watch(cohort.patient, cohort.time_h, cohort.event_patient, cohort.event_h)
    count = len(cohort.lengths)
    print(f"\neICU demo: {count} stays, {len(cohort.event_patient)} with sepsis")
    print("\n| | AUROC | 0-12 h | 12-24 | 24-48 | beyond | sensitivity, 0.2 a day | PPV | said |")
    print("|---|---|---|---|---|---|---|---|---|")
    scores = {}
    for name in KINDS:
        artifact = open_artifact(name)
        scores[name] = score(cohort, artifact.spec, open_blocks(artifact)).prob
    for name, x in {**scores, **cohort.rules}.items():
        ranking = Ranking(cohort.label, x, cohort.patient, count)
        area = bootstrap(_area(ranking), count, 1000)[0]
        spans = [(hour >= a) & (hour < b) for a, b in SPANS]
        parts = [f"{auroc(cohort.label[s], x[s]):.3f}" for s in spans]
        found = burden(x, watched, threshold_at(x, watched, 0.2), 1000)
        cells = [_text(area), *parts, _text(found.sensitivity), _text(found.ppv)]
        print(f"| {name} | " + " | ".join(cells) + f" | {x.mean():.3f} |")
    for name, x in scores.items():
        points = {p.name: p.threshold for p in open_artifact(name).spec.operating}
        above = (x >= points["utility"]).mean()
        ece = calibration(cohort.label, x, cohort.patient).ece
        print(f"\n{name}: above its threshold in {above:.3f} of the hours, ECE {_text(ece)}")


def _area(ranking: Ranking) -> Statistic:
    def statistic(drawn: Floats) -> Floats:
        found: Floats = ranking.areas(drawn).auroc[:, None]
        return found

    return statistic


def _text(x: Interval) -> str:
    return f"{x.value:.3f} [{x.low:.3f}, {x.high:.3f}]"


if __name__ == "__main__":
    main()
