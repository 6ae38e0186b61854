"""Alarms over time of an evaluation: how an alarm speaks, and what every score then rings. Pure.

The usual rule is the data set's own (12 h of silence); another one is what a policy can state too:
its silence, from when on a louder score rings, and how much of the score is the patient's past
(`again` and `past` in `alerts.policy_spec`). Not here: counting (`models.evaluation.events`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval, bootstrap
from models.evaluation.events import (
    LEADS_H,
    Burden,
    EventSpec,
    Watched,
    alarms,
    burden,
    grid,
    rates,
    threshold_at,
)
from models.evaluation.past import with_past

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PER_DAY: Final = (0.1, 0.2, 0.5)
LEAST: Final = 1e-9  # what log-odds of 0 and 1 are taken of


class Heard(NamedTuple):
    """A score as alarms read it; `odds` says that it is log-odds of what is shown."""

    score: Floats
    watched: Watched
    odds: bool

    def shown(self, threshold: float) -> float:
        """A threshold in the score's own unit."""
        return float(1 / (1 + np.exp(-threshold))) if self.odds else threshold

    def read(self, threshold: float) -> float:
        """A threshold in the score's own unit, as alarms read it."""
        return float(_odds(np.array([threshold]))[0]) if self.odds else threshold


class Speaking(NamedTuple):
    """How an alarm speaks. What is said in log-odds counts for probabilities alone."""

    silence_h: float | None = None  # after an alarm; None: the data set's own
    louder_h: float = 12.0  # from then on a score that is ...
    louder_by: float = np.inf  # ... so far above the threshold in log-odds rings all the same
    past: float = 0.0  # share of the score that is the patient's mean ...
    past_h: float = 24.0  # ... of so long, this row among it

    def spec(self, own: EventSpec) -> EventSpec:
        """The rule of a data set with this in it."""
        silence_h = own.silence_h if self.silence_h is None else self.silence_h
        return own._replace(
            silence_h=silence_h, louder_h=min(self.louder_h, silence_h), louder_by=self.louder_by
        )

    def heard(self, score: Floats, watched: Watched, lengths: Ints) -> Heard:
        """A score of all rows as alarms read it.

        Parameters
        ----------
        score : (N,) float64
            In its own unit; NaN: none.
        watched : Watched
            Laid out by `spec`.
        lengths : (P,) int64
            Rows of each patient.
        """
        if np.isinf(self.louder_by) and not self.past:
            return Heard(score, watched, odds=False)
        odds = not np.any((score < 0) | (score > 1))
        rows = max(round(self.past_h / watched.spec.row_h), 1)
        own = with_past(_odds(score) if odds else score, lengths, self.past, rows)
        if not odds:  # points of a rule have no log-odds to be louder in
            watched = watched._replace(spec=watched.spec._replace(louder_by=np.inf))
        return Heard(own, watched, odds)


USUAL: Final = Speaking()


def alarm_table(
    heard: Callable[[Floats], Heard], watched: Watched, scores: dict[str, Floats], replicates: int
) -> dict[str, Any]:
    """Alarms of every score at wanted rates, and the whole curve.

    Parameters
    ----------
    heard : callable
        Says how alarms read a score.
    watched : Watched
        What is watched.
    scores : dict of (N,) float64
        By their names.
    replicates : int
        Draws of patients behind every interval.
    """
    spec = watched.spec
    document: dict[str, Any] = {
        "rule": {
            "horizon_h": spec.horizon_h,
            "silence_h": spec.silence_h,
            "louder_h": spec.louder_h if np.isfinite(spec.louder_by) else np.nan,
            "louder_by": spec.louder_by,
            "watched_after_event": bool(np.isfinite(spec.after_h)),
            "events": len(watched.event_patient),
            "events_without_a_row_before": watched.lost_events,
        }
    }
    for name, score in scores.items():
        own = heard(score)
        points = []
        for rate in PER_DAY:
            at = threshold_at(own.score, own.watched, rate)
            points.append({"wanted_per_day": rate, **_point(own, at, replicates)})
        document[name] = {"at_rates": points, "curve": _curve(own)}
    return document


def operating_point(heard: Heard, threshold: float, replicates: int) -> dict[str, Any]:
    """What a threshold that was there before rings, in the score's own unit."""
    return _point(heard, heard.read(threshold), replicates)


def _point(heard: Heard, threshold: float, replicates: int) -> dict[str, Any]:
    found: Burden = burden(heard.score, heard.watched, threshold, replicates)
    median, low, high = found.lead_h
    return {
        "threshold": heard.shown(threshold),
        "alarms_per_day": found.alarms_per_day,
        "sensitivity": found.sensitivity,
        "ppv": found.ppv,
        "alerted_share": found.alerted,
        "workup_to_detection": found.workup,
        "median_lead_h": _lead(heard, threshold, replicates),
        "lead_quartiles_h": [low, median, high],
        "early_share": dict(zip((f"{h:g}h" for h in LEADS_H), found.lead_share, strict=True)),
    }


def _lead(heard: Heard, threshold: float, replicates: int) -> Interval:
    """Median lead of caught events, with its interval."""
    found = alarms(heard.score, heard.watched, np.array([threshold]))
    lead = found.lead_h[:, 0]
    caught = np.flatnonzero(~np.isnan(lead))
    order = caught[np.argsort(lead[caught], kind="stable")]
    ranked, of = lead[order], heard.watched.event_patient[order]

    def median(drawn: Floats) -> Floats:
        if not len(ranked):
            return np.full(len(drawn), np.nan)
        reached = np.cumsum(drawn[:, of], axis=1)
        whole = reached[:, -1:]
        at = np.minimum((reached < whole / 2).sum(axis=1), len(ranked) - 1)
        return np.where(whole[:, 0] > 0, ranked[at], np.nan)

    return bootstrap(median, heard.watched.patients, replicates)[0]


def _curve(heard: Heard) -> dict[str, list[float]]:
    """Sensitivity and PPV against alarms per patient-day, rising."""
    tried = grid(heard.score, heard.watched, 60)
    found = alarms(heard.score, heard.watched, tried)
    everybody = np.ones((1, heard.watched.patients))
    per_day, sensitivity, ppv = (each[0] for each in rates(found, everybody))
    order = np.argsort(per_day, kind="stable")
    shown = np.array([heard.shown(threshold) for threshold in tried.tolist()])
    columns = {"threshold": shown, "per_day": per_day, "sensitivity": sensitivity, "ppv": ppv}
    return {name: column[order].tolist() for name, column in columns.items()}


def _odds(prob: Floats) -> Floats:
    kept = np.clip(prob, LEAST, 1 - LEAST)
    found: Floats = np.log(kept / (1 - kept))
    return found
