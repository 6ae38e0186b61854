"""Alarms as a ward hears them: how many a patient-day, which events they precede, how early.

A row alarms when its score reaches the threshold and no alarm of the patient rang within the
silence, or one did and the score is by so much louder, where the rule says so. It is true when an
event follows within the horizon. Rows after an event, for as long as the rule says, are not
watched: neither alarms nor patient-days. Policies with more than a threshold are judged by
`service.backtest_measure`, on what the alert machine did.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.bootstrap import Interval, Statistic, bootstrap

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_GRID: Final = 160  # thresholds of a curve
_REFINED: Final = 40  # more of them around a wanted rate
_AT_ONCE: Final = 40  # thresholds in memory at a time
LEADS_H: Final = (1.0, 6.0, 12.0)


class EventSpec(NamedTuple):
    """What counts, declared before anything is measured."""

    horizon_h: float = 24.0  # an alarm this long before an event is true
    silence_h: float = 12.0  # after an alarm
    after_h: float = np.inf  # after an event, not watched
    row_h: float = 1.0  # time that a row stands for
    louder_h: float = 12.0  # after an alarm; within the silence, from then on ...
    louder_by: float = np.inf  # ... a score so far above the threshold rings all the same


SEPSIS: Final = EventSpec()


class Watched(NamedTuple):
    """Rows that are watched, patients together and in time order, and their events."""

    patients: int
    row: Ints  # [N] of the rows given
    patient: Ints  # [N] rising
    time_h: Floats  # [N]
    event: Ints  # [N] the next one, -1 if none is within the horizon
    lead_h: Floats  # [N] until it, NaN if none
    event_patient: Ints  # [E] events with a watched row within the horizon
    lost_events: int  # nobody could have been warned of
    spec: EventSpec


class Alarms(NamedTuple):
    """Sums per patient and threshold, and the first true alarm of every event."""

    threshold: Floats  # [K]
    days: Floats  # [P]
    alarms: Floats  # [P, K]
    true: Floats  # [P, K]
    alerted: Floats  # [P, K] had any
    events: Floats  # [P]
    caught: Floats  # [P, K]
    lead_h: Floats  # [E, K] NaN where not caught
    event_patient: Ints  # [E]


class Burden(NamedTuple):
    """One threshold, with intervals by drawing patients."""

    threshold: float
    alarms_per_day: Interval
    sensitivity: Interval
    ppv: Interval
    alerted: Interval  # share of patients
    workup: Interval  # alarms for each true one
    lead_h: tuple[float, float, float]  # median and quartiles, of events that were caught
    lead_share: tuple[float, ...]  # of all events: caught at least LEADS_H before


def watch(
    patient: Ints,
    time_h: Floats,
    event_patient: Ints,
    event_h: Floats,
    spec: EventSpec = SEPSIS,
) -> Watched:
    """Lay rows and events out.

    Parameters
    ----------
    patient, time_h : (N,)
        Whose row, 0 up; when. Any order.
    event_patient, event_h : (E,)
        Whose event and when it began.
    spec : EventSpec
        Rules.
    """
    count = int(max(patient.max(initial=-1), event_patient.max(initial=-1))) + 1
    order = np.lexsort((time_h, patient))
    patient, time_h = patient[order], time_h[order]
    ranked = np.lexsort((event_h, event_patient))
    of, at = event_patient[ranked], event_h[ranked]
    place = _place(patient, time_h, of, at)
    whose, when = np.append(of, -1), np.append(at, np.nan)  # the last is nobody's
    upcoming = np.where(whose[place] == patient, place, -1)
    previous = np.where(whose[place - 1] == patient, place - 1, -1)
    lead = when[upcoming] - time_h
    kept = ~(time_h - when[previous] < spec.after_h)
    near = kept & (lead <= spec.horizon_h)
    seen = np.unique(upcoming[near])
    number = np.full(len(at) + 1, -1)
    number[seen] = np.arange(len(seen))
    event = np.where(near, number[upcoming], -1)
    return Watched(
        count,
        order[kept],
        patient[kept],
        time_h[kept],
        event[kept],
        np.where(near, lead, np.nan)[kept],
        of[seen],
        len(at) - len(seen),
        spec,
    )


def alarms(score: Floats, watched: Watched, threshold: Floats) -> Alarms:
    """What every threshold would have rung.

    Parameters
    ----------
    score : (N,) float64
        Of the rows given to `watch`; NaN never alarms.
    watched : Watched
        From `watch`.
    threshold : (K,) float64
        Thresholds.
    """
    parts = [
        _alarms(score[watched.row], watched, threshold[k : k + _AT_ONCE])
        for k in range(0, len(threshold), _AT_ONCE)
    ]
    columns = [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]
    rung, true, lead = columns
    caught = np.zeros_like(rung)
    np.add.at(caught, watched.event_patient, (~np.isnan(lead)).astype(float))
    days = np.bincount(watched.patient, minlength=watched.patients) * watched.spec.row_h / 24
    events = np.bincount(watched.event_patient, minlength=watched.patients).astype(float)
    alerted = (rung > 0).astype(float)
    of = watched.event_patient
    return Alarms(threshold, days, rung, true, alerted, events, caught, lead, of)


def grid(score: Floats, watched: Watched, count: int = _GRID) -> Floats:
    """Thresholds from the rarest alarms to many, rising: quantiles, closer at the top."""
    known = score[watched.row]
    known = known[~np.isnan(known)]
    if not len(known):
        return np.array([np.inf])
    share = np.geomspace(1 / len(known), 0.9, count)
    return np.unique(np.quantile(known, 1 - share))


def rates(found: Alarms, drawn: Floats) -> tuple[Floats, Floats, Floats]:
    """Alarms per patient-day, sensitivity and PPV of draws of patients.

    Parameters
    ----------
    found : Alarms
        From `alarms`.
    drawn : (R, P) float64
        How often every patient counts.

    Returns
    -------
    three (R, K) float64
        NaN where not defined.
    """
    rung = drawn @ found.alarms
    return (
        _share(rung, (drawn @ found.days)[:, None]),
        _share(drawn @ found.caught, (drawn @ found.events)[:, None]),
        _share(drawn @ found.true, rung),
    )


def threshold_at(score: Floats, watched: Watched, per_day: float) -> float:
    """Lowest threshold with at most so many alarms per patient-day.

    Parameters
    ----------
    score, watched
        See `alarms`.
    per_day : float
        Alarms per patient-day.

    Returns
    -------
    float
        +inf if every threshold tried rings more.
    """
    tried = grid(score, watched)
    for _ in range(2):
        found = alarms(score, watched, tried)
        rate = found.alarms.sum(axis=0) / found.days.sum()
        over = np.flatnonzero(rate > per_day)
        if not len(over):
            return float(tried[0])
        if over[-1] + 1 == len(tried):
            return np.inf
        low, high = tried[over[-1]], tried[over[-1] + 1]
        tried = np.unique(np.append(np.linspace(low, high, _REFINED), high))
    found = alarms(score, watched, tried)
    over = np.flatnonzero(found.alarms.sum(axis=0) / found.days.sum() > per_day)
    return float(tried[min(over[-1] + 1, len(tried) - 1)]) if len(over) else float(tried[0])


def burden(score: Floats, watched: Watched, threshold: float, replicates: int = 1000) -> Burden:
    """Everything about one threshold, intervals by drawing patients."""
    found = alarms(score, watched, np.array([threshold]))
    values = bootstrap(_burden_of(found), watched.patients, replicates)
    lead = found.lead_h[:, 0]
    caught = lead[~np.isnan(lead)]
    middle = np.percentile(caught, (50, 25, 75)) if len(caught) else np.full(3, np.nan)
    total = max(len(lead), 1)
    early = tuple(float((caught >= hours).sum() / total) for hours in LEADS_H)
    quartiles = (float(middle[0]), float(middle[1]), float(middle[2]))
    per_day, sensitivity, ppv, alerted, workup = values
    return Burden(threshold, per_day, sensitivity, ppv, alerted, workup, quartiles, early)


def _burden_of(found: Alarms) -> Statistic:
    def statistic(drawn: Floats) -> Floats:
        per_day, sensitivity, ppv = (each[:, 0] for each in rates(found, drawn))
        alerted = drawn @ found.alerted[:, 0] / drawn.sum(axis=1)
        return np.stack([per_day, sensitivity, ppv, alerted, 1 / np.where(ppv > 0, ppv, np.nan)], 1)

    return statistic


def _alarms(score: Floats, watched: Watched, threshold: Floats) -> tuple[Floats, Floats, Floats]:
    """Rung and true alarms [P, K] and leads of first true alarms [E, K]: hour by hour at once."""
    n, k = watched.patients, len(threshold)
    rung, true = np.zeros((n, k)), np.zeros((n, k))
    lead = np.full((len(watched.event_patient), k), np.nan)
    rang_h = np.full((n, k), -np.inf)  # last
    spec = watched.spec
    loud = threshold + spec.louder_by if np.isfinite(spec.louder_by) else np.full(k, np.nan)
    lowest = threshold.min(initial=np.inf)
    chosen = np.flatnonzero(score >= lowest)  # nothing else can ring
    for rows in _steps(watched.patient, chosen):
        who, now = watched.patient[rows], watched.time_h[rows][:, None]
        here = score[rows][:, None]
        free = now >= rang_h[who] + spec.silence_h
        louder = (now >= rang_h[who] + spec.louder_h) & (here >= loud)
        rings = (here >= threshold) & (free | louder)
        rang_h[who] = np.where(rings, now, rang_h[who])
        rung[who] += rings
        ahead = watched.event[rows] >= 0
        true[who[ahead]] += rings[ahead]
        event = watched.event[rows[ahead]]
        first = rings[ahead] & np.isnan(lead[event])
        lead[event] = np.where(first, watched.lead_h[rows[ahead]][:, None], lead[event])
    return rung, true, lead


def _steps(patient: Ints, rows: Ints) -> list[Ints]:
    """The first of everybody's rows, the second, ...; each patient at most once a step."""
    of = patient[rows]
    start = np.searchsorted(of, of)
    rank = np.arange(len(of)) - start
    order = np.argsort(rank, kind="stable")
    cuts = np.flatnonzero(np.diff(rank[order])) + 1
    return np.split(rows[order], cuts) if len(rows) else []


def _place(patient: Ints, time_h: Floats, of: Ints, at: Floats) -> Ints:
    """How many events are before or at (patient, time), in order of both."""
    whose = np.concatenate([of, patient])
    when = np.concatenate([at, time_h])
    row = np.concatenate([np.zeros(len(of), np.int64), np.ones(len(patient), np.int64)])
    order = np.lexsort((row, when, whose))
    before = np.cumsum(row[order] == 0)
    found = np.empty(len(order), np.int64)
    found[order] = before
    return found[len(of) :]


def _share(part: Floats, whole: Floats) -> Floats:
    found: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), np.nan)
    return found
