"""What a policy costs and what it finds, with intervals by resampling patients. Pure.

A raise counts when it rang. It is true when an event follows within the horizon; after an event,
for as long, it is neither true nor false. An event is caught by a raise within its horizon that is
on time, and covered when an alert was on at any moment of it. An event whose horizon lies outside
what was watched is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.backtest_run import OPEN_END, Episode, Outcome, Stay

Floats = NDArray[np.float64]
DAY_US: Final = 86_400_000_000
RESAMPLES: Final = 400
SEED: Final = 20_260_101
TOP: Final = 0.1  # share of patients whose share of alerts is shown
EventsOf = Callable[[str], Sequence[int]]


class Judged(NamedTuple):
    """Every raise that rang, in the outcome's order; `true` is None after an event."""

    true: list[bool | None]
    lead_s: list[float | None]  # to the event that follows


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


class Figures(NamedTuple):
    """One policy on one history."""

    patients: int
    patient_days: float
    events: int
    raises: int
    occurrences: int
    technical: int
    alerts_per_day: Estimate  # per patient
    false_per_day: Estimate
    sensitivity: Estimate
    covered: Estimate
    ppv: Estimate
    lead_h: Estimate  # median
    time_in_alert: Estimate  # share
    top_share: Estimate


class _Counts(NamedTuple):
    """Per patient: what the figures are sums of."""

    days: Floats
    raises: Floats
    true: Floats
    false: Floats
    events: Floats
    caught: Floats
    covered: Floats
    alert_days: Floats
    lead_of: NDArray[np.int64]  # patient of each caught event, by lead
    lead_h: Floats  # rising


def judge(outcome: Outcome, events_of: EventsOf, horizon_us: int) -> Judged:
    """Say of every raise that rang whether an event followed.

    Parameters
    ----------
    outcome : Outcome
        What the policy did.
    events_of : callable
        Event times of a patient, rising.
    horizon_us : int
        How long before an event a raise is of use.
    """
    true: list[bool | None] = []
    lead_s: list[float | None] = []
    for episode in _rung(outcome.episodes):
        events = events_of(outcome.stays[episode.patient].patient)
        ahead = [e - episode.at_us for e in events if 0 < e - episode.at_us <= horizon_us]
        behind = any(0 <= episode.at_us - e <= horizon_us for e in events)
        true.append(True if ahead else None if behind else False)
        lead_s.append(min(ahead) / 1e6 if ahead else None)
    return Judged(true, lead_s)


def measure(
    outcome: Outcome, events_of: EventsOf, horizon_us: int, resamples: int = RESAMPLES
) -> Figures:
    """Sum an outcome up.

    Parameters
    ----------
    outcome : Outcome
        What the policy did.
    events_of : callable
        Event times of a patient, rising; empty for one without.
    horizon_us : int
        How long before an event a raise is of use.
    resamples : int
        Draws of patients with replacement behind the intervals; 0 leaves them NaN.
    """
    counts = _count(outcome, events_of, horizon_us)
    n = len(outcome.stays)
    draws = np.empty((resamples, len(_FIGURES)))
    random = np.random.default_rng(SEED)
    for row in range(resamples):
        weight = np.bincount(random.integers(0, n, n), minlength=n).astype(np.float64)
        draws[row] = [figure(counts, weight) for figure in _FIGURES]
    whole = [figure(counts, np.ones(n)) for figure in _FIGURES]
    estimates = [_interval(value, draws[:, i]) for i, value in enumerate(whole)]
    rung = list(_rung(outcome.episodes))
    return Figures(
        n,
        float(counts.days.sum()),
        int(counts.events.sum()),
        len(rung),
        sum(episode.first for episode in rung),
        sum(episode.technical for episode in outcome.episodes),
        *estimates,
    )


def caught_by(
    outcome: Outcome, events_of: EventsOf, horizon_us: int
) -> dict[tuple[str, int], bool]:
    """Per event that was watched: was it caught."""
    found = {}
    for stay, own in zip(outcome.stays, _by_patient(outcome), strict=True):
        for event_us in _watched(stay, events_of(stay.patient), horizon_us):
            on_time = any(0 < event_us - e.at_us <= horizon_us for e in _rung(own))
            found[stay.patient, event_us] = on_time
    return found


def _count(outcome: Outcome, events_of: EventsOf, horizon_us: int) -> _Counts:
    n = len(outcome.stays)
    columns = np.zeros((8, n))
    leads: list[tuple[float, int]] = []
    judged = judge(outcome, events_of, horizon_us)
    for episode, true in zip(_rung(outcome.episodes), judged.true, strict=True):
        columns[1, episode.patient] += 1
        columns[2, episode.patient] += true is True
        columns[3, episode.patient] += true is False
    for p, (stay, own) in enumerate(zip(outcome.stays, _by_patient(outcome), strict=True)):
        columns[0, p] = (stay.end_us - stay.start_us) / DAY_US
        columns[7, p] = _alert_us(stay, own) / DAY_US
        for event_us in _watched(stay, events_of(stay.patient), horizon_us):
            columns[4, p] += 1
            ahead = [event_us - e.at_us for e in _rung(own) if 0 < event_us - e.at_us <= horizon_us]
            if ahead:
                columns[5, p] += 1
                leads.append((max(ahead) / 3.6e9, p))
            columns[6, p] += any(_overlaps(e, event_us - horizon_us, event_us) for e in own)
    leads.sort()
    of = np.array([p for _, p in leads], np.int64)
    return _Counts(
        days=columns[0],
        raises=columns[1],
        true=columns[2],
        false=columns[3],
        events=columns[4],
        caught=columns[5],
        covered=columns[6],
        alert_days=columns[7],
        lead_of=of,
        lead_h=np.array([lead for lead, _ in leads]),
    )


def _rung(episodes: Sequence[Episode]) -> list[Episode]:
    return [e for e in episodes if e.rings and not e.technical]


def _by_patient(outcome: Outcome) -> list[list[Episode]]:
    """Episodes about the patient, by patient."""
    found: list[list[Episode]] = [[] for _ in outcome.stays]
    for episode in outcome.episodes:
        if not episode.technical:
            found[episode.patient].append(episode)
    return found


def _watched(stay: Stay, events: Sequence[int], horizon_us: int) -> list[int]:
    """Events whose horizon touches the stay."""
    return [e for e in events if e - horizon_us < stay.end_us and e > stay.start_us]


def _overlaps(episode: Episode, from_us: int, to_us: int) -> bool:
    ends_us = to_us if episode.end_us == OPEN_END else episode.end_us
    return episode.at_us < to_us and ends_us > from_us


def _alert_us(stay: Stay, episodes: Sequence[Episode]) -> int:
    """Time with an alert on, however many."""
    total, until = 0, stay.start_us
    for episode in sorted(episodes, key=lambda e: e.at_us):
        end_us = stay.end_us if episode.end_us == OPEN_END else min(episode.end_us, stay.end_us)
        begin_us = max(episode.at_us, until)
        if end_us > begin_us:
            total += end_us - begin_us
            until = end_us
    return total


def _ratio(part: str, whole: str) -> Callable[[_Counts, Floats], float]:
    def figure(counts: _Counts, weight: Floats) -> float:
        below = float((getattr(counts, whole) * weight).sum())
        return float((getattr(counts, part) * weight).sum()) / below if below > 0 else np.nan

    return figure


def _ppv(counts: _Counts, weight: Floats) -> float:
    true, false = float((counts.true * weight).sum()), float((counts.false * weight).sum())
    return true / (true + false) if true + false > 0 else np.nan


def _lead(counts: _Counts, weight: Floats) -> float:
    """Weighted median; leads are rising."""
    if not len(counts.lead_h):
        return np.nan
    reached = np.cumsum(weight[counts.lead_of])
    if reached[-1] == 0:
        return np.nan
    return float(counts.lead_h[np.searchsorted(reached, reached[-1] / 2)])


def _top(counts: _Counts, weight: Floats) -> float:
    """Share of raises by the tenth of patients with most of them."""
    order = np.argsort(-counts.raises, kind="stable")
    people, raises = np.cumsum(weight[order]), np.cumsum((counts.raises * weight)[order])
    if raises[-1] == 0:
        return np.nan
    return float(np.interp(TOP * people[-1], np.r_[0, people], np.r_[0, raises]) / raises[-1])


_FIGURES: Final = (
    _ratio("raises", "days"),
    _ratio("false", "days"),
    _ratio("caught", "events"),
    _ratio("covered", "events"),
    _ppv,
    _lead,
    _ratio("alert_days", "days"),
    _top,
)


def _interval(value: float, draws: Floats) -> Estimate:
    known = draws[~np.isnan(draws)]
    if value != value or len(known) < 20:
        return Estimate(value, np.nan, np.nan)
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(value, float(low), float(high))
