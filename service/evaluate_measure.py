"""Every figure of an evaluation as one plain document, with intervals by drawing patients. Pure.

Operating thresholds come from the artifact. A threshold for a wanted alarm rate is read off these
patients: it says what a site would reach after setting the rate, not a promise of the artifact's.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval, Statistic, bootstrap
from models.evaluation.calibration import Calibration, calibration
from models.evaluation.events import Watched, alarms, rates, threshold_at, watch
from models.evaluation.net_benefit import net_benefit
from models.evaluation.ranking import Ranking
from models.evaluation.selective import selective
from models.evaluation.utility import RowUtility, best_threshold, patient_utility, row_utility
from service.evaluate_alarms import USUAL, Heard, Speaking, alarm_table, operating_point
from service.evaluate_data import Cohort

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
FEWEST_PATIENTS: Final = 50  # of a subgroup, and
FEWEST_EVENTS: Final = 10
MODEL: Final = "model"
HEADLINES: Final = (
    "auroc",
    "auprc",
    "utility",
    "ece",
    "brier",
    "sensitivity_at_0.1_per_day",
    "sensitivity_at_0.2_per_day",
    "sensitivity_at_0.5_per_day",
    "ppv_at_0.2_per_day",
    "median_lead_h",
)


class Asked(NamedTuple):
    """What to measure with."""

    threshold: float  # operating point for the utility; NaN: none declared
    replicates: int
    rate: float = 0.2  # alarms per patient-day at which subgroups are compared


class Bench(NamedTuple):
    """A cohort laid out once for every score on it."""

    cohort: Cohort
    watched: Watched | None
    worth: RowUtility | None
    speaking: Speaking = USUAL

    @classmethod
    def of(cls, cohort: Cohort, speaking: Speaking = USUAL) -> Bench:
        """Lay a cohort out."""
        watched = None
        if cohort.events is not None:
            where = (cohort.event_patient, cohort.event_h)
            spec = speaking.spec(cohort.events)
            watched = watch(cohort.patient, cohort.time_h, *where, spec)
        worth = row_utility(cohort.label, cohort.lengths) if cohort.utility else None
        return cls(cohort, watched, worth, speaking)

    def heard(self, score: Floats) -> Heard:
        """A score as alarms read it."""
        assert self.watched is not None
        return self.speaking.heard(score, self.watched, self.cohort.lengths)


def measure(bench: Bench, prob: Floats, std: Floats, asked: Asked) -> dict[str, Any]:
    """The document of one model; keys at the top are the headline figures.

    Parameters
    ----------
    bench : Bench
        Cohort.
    prob, std : (N,) float64
        Calibrated probability of every row; NaN std where it is not estimated.
    asked : Asked
        Operating point and replicates.
    """
    cohort = bench.cohort
    hourly = _hourly(bench, {MODEL: prob, **cohort.rules}, asked)
    judged = np.flatnonzero(cohort.judged)
    own = calibration(
        cohort.label[judged], prob[judged], cohort.patient[judged], replicates=asked.replicates
    )
    document: dict[str, Any] = {
        "n_patients": len(cohort.patients),
        "n_rows": len(judged),
        "n_events": int(len(cohort.event_patient) or cohort.label[judged].sum()),
        "prevalence": float(cohort.label[judged].mean()),
        "scores": hourly,
        "calibration": _calibration(own),
        "net_benefit": _net_benefit(cohort, judged, prob, asked.replicates),
        "selective": _selective(cohort, judged, prob, std),
    }
    if bench.watched is not None:
        scores = {MODEL: prob, **cohort.rules}
        document["events"] = alarm_table(bench.heard, bench.watched, scores, asked.replicates)
        if not np.isnan(asked.threshold):
            point = operating_point(bench.heard(prob), asked.threshold, asked.replicates)
            document["events"][MODEL]["operating_point"] = point
    document["subgroups"] = subgroups(bench, prob, asked)
    return {**_headline(document, asked), **document}


def _headline(document: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Names that other programs look for, each with its interval in `ci`."""
    own = document["scores"][MODEL]
    found = dict.fromkeys(HEADLINES, Interval(np.nan, np.nan, np.nan))
    found |= {
        "auroc": Interval(*own["auroc"]),
        "auprc": Interval(*own["auprc"]),
        "utility": Interval(*own["utility"]),
        "ece": Interval(*document["calibration"]["ece"]),
        "brier": Interval(*document["calibration"]["brier"]),
    }
    for point in document.get("events", {}).get(MODEL, {}).get("at_rates", ()):
        rate = point["wanted_per_day"]
        found[f"sensitivity_at_{rate:g}_per_day"] = Interval(*point["sensitivity"])
        found[f"ppv_at_{rate:g}_per_day"] = Interval(*point["ppv"])
        if rate == asked.rate:
            found["median_lead_h"] = Interval(*point["median_lead_h"])
    values: dict[str, Any] = {name: each.value for name, each in found.items()}
    return {**values, "ci": {name: [each.low, each.high] for name, each in found.items()}}


def _hourly(bench: Bench, scores: dict[str, Floats], asked: Asked) -> dict[str, Any]:
    """AUROC, AUPRC and utility of every score, and what the model is above the others."""
    cohort = bench.cohort
    judged = cohort.judged
    statistics = {name: _areas_of(cohort, score) for name, score in scores.items()}
    utility = {MODEL: asked.threshold}
    if bench.worth is not None and not np.isnan(asked.threshold):
        for name in scores:
            at = utility.get(name)
            statistics[name] = _with_utility(statistics[name], bench, scores[name], at)
    names = list(scores)
    width = 3 if bench.worth is not None and not np.isnan(asked.threshold) else 2

    def all_of(drawn: Floats) -> Floats:
        each = [statistics[name](drawn)[:, :width] for name in names]
        return np.concatenate([*each, *(each[0] - other for other in each[1:])], axis=1)

    found = bootstrap(all_of, len(cohort.patients), asked.replicates)
    none = Interval(np.nan, np.nan, np.nan)
    document: dict[str, Any] = {}
    for number, name in enumerate([*names, *(f"model less {n}" for n in names[1:])]):
        own = found[number * width : (number + 1) * width] + [none] * (3 - width)
        document[name] = dict(zip(("auroc", "auprc", "utility"), own, strict=True))
    document[MODEL]["threshold"] = asked.threshold
    document[MODEL]["rows"] = int(judged.sum())
    return document


def _areas_of(cohort: Cohort, score: Floats) -> Statistic:
    judged = cohort.judged
    ranking = Ranking(
        cohort.label[judged], score[judged], cohort.patient[judged], len(cohort.patients)
    )

    def statistic(drawn: Floats) -> Floats:
        areas = ranking.areas(drawn)
        return np.stack([areas.auroc, areas.auprc], axis=1)

    return statistic


def _with_utility(
    statistic: Statistic, bench: Bench, score: Floats, threshold: float | None
) -> Statistic:
    """The utility as a third column; a rule's threshold is its best on these patients."""
    assert bench.worth is not None
    worth, lengths = bench.worth, bench.cohort.lengths
    if threshold is None:
        threshold = best_threshold(score, worth)
    sums = patient_utility(score >= threshold, worth, lengths)

    def widened(drawn: Floats) -> Floats:
        observed, inaction, best = (drawn @ part for part in sums)
        span = best - inaction
        gain = np.where(span > 0, (observed - inaction) / np.where(span > 0, span, 1.0), np.nan)
        return np.concatenate([statistic(drawn), gain[:, None]], axis=1)

    return widened


def _calibration(found: Calibration) -> dict[str, Any]:
    curve = found.reliability
    return {
        "ece": found.ece,
        "brier": found.brier,
        "brier_skill": found.skill,
        "slope": found.slope,
        "intercept": found.intercept,
        "expected_over_observed": found.expected_over_observed,
        "reliability": {name: column.tolist() for name, column in curve._asdict().items()},
    }


def _net_benefit(cohort: Cohort, judged: Ints, prob: Floats, replicates: int) -> dict[str, Any]:
    label, of = cohort.label[judged], cohort.patient[judged]
    found = net_benefit(label, prob[judged], of, replicates=replicates)
    return {name: column.tolist() for name, column in found._asdict().items()}


def _selective(cohort: Cohort, judged: Ints, prob: Floats, std: Floats) -> dict[str, Any]:
    """What abstaining buys; doubt is the model's own, else nearness to the prevalence's odds."""
    doubt, source = std[judged], "std"
    if np.isnan(doubt).all():
        kept = np.clip(prob[judged], 1e-6, 1 - 1e-6)
        share = np.clip(cohort.label[judged].mean(), 1e-6, 1 - 1e-6)
        doubt = -np.abs(np.log(kept / (1 - kept)) - np.log(share / (1 - share)))
        source = "distance from the prevalence"
    found = selective(cohort.label[judged], prob[judged], doubt)
    columns = found._asdict()
    area = columns.pop("area")
    document = {name: column.tolist() for name, column in columns.items()}
    return {"doubt": source, "area": area, **document}


def subgroups(bench: Bench, prob: Floats, asked: Asked) -> dict[str, Any]:
    """Figures of every level of every group at one threshold for all.

    The threshold is the one that gives the wanted alarm rate over everybody.
    """
    cohort, threshold, shown = bench.cohort, np.nan, np.nan
    if bench.watched is not None:
        heard = bench.heard(prob)
        threshold = threshold_at(heard.score, heard.watched, asked.rate)
        shown = heard.shown(threshold)
    document: dict[str, Any] = {"threshold": shown, "groups": {}}
    for kind, levels in cohort.groups.items():
        of = np.array(levels)
        table = {
            level or "not known": _level(bench, prob, of == level, threshold, asked)
            for level in sorted(set(levels))
        }
        caught = [row["sensitivity"][0] for row in table.values() if "sensitivity" in row]
        document["groups"][kind] = {
            "levels": table,
            "sensitivity_gap": float(np.ptp(caught)) if len(caught) > 1 else np.nan,
        }
    return document


def _level(
    bench: Bench, prob: Floats, chosen: Bools, threshold: float, asked: Asked
) -> dict[str, Any]:
    """One level; figures only where there are enough patients and events."""
    cohort = bench.cohort
    rows = cohort.judged & chosen[cohort.patient]
    label = cohort.label[rows]
    events = int(chosen[cohort.event_patient].sum()) or int(label.sum())
    counted: dict[str, Any] = {"patients": int(chosen.sum()), "events": events}
    if chosen.sum() < FEWEST_PATIENTS or events < FEWEST_EVENTS:
        return {**counted, "too_few": True}
    areas = _areas_of(cohort, np.where(chosen[cohort.patient], prob, np.nan))
    of, count = cohort.patient[rows], len(chosen)
    expected = np.bincount(of, weights=prob[rows], minlength=count).astype(np.float64)
    observed = np.bincount(of, weights=label, minlength=count).astype(np.float64)
    parts: list[Statistic] = [areas, lambda drawn: _quotient(drawn, expected, observed)]
    names = ["auroc", "auprc", "expected_over_observed"]
    if bench.watched is not None:
        heard = bench.heard(prob)
        found = alarms(heard.score, heard.watched, np.array([threshold]))
        parts.append(lambda drawn: np.concatenate(rates(found, drawn * chosen), axis=1))
        names += ["alarms_per_day", "sensitivity", "ppv"]

    def statistic(drawn: Floats) -> Floats:
        return np.concatenate([part(drawn) for part in parts], axis=1)

    figures = bootstrap(statistic, len(chosen), asked.replicates)
    return {**counted, **dict(zip(names, figures, strict=True))}


def _quotient(drawn: Floats, above: Floats, below: Floats) -> Floats:
    total = drawn @ below
    found: Floats = np.where(total > 0, drawn @ above / np.where(total > 0, total, 1.0), np.nan)
    return found[:, None]
