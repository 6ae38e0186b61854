"""The numbers of a report: what `report.json` holds and `report.html` shows.

Everything is computed from the results alone, so the same results give the same report from every
runner. Not here: drawing (`service.report_plots`) and the page (`service.report`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from alerts.alert import PRIORITY_RANK, AlertEvent, Priority
from features.catalog import CATALOG
from models.score import Score
from service.marks import vital
from service.outputs import FeatureRow
from service.report_record import (
    NOTICE,
    AlertSummary,
    Burden,
    FeatureSummary,
    News2Summary,
    PatientSummary,
    Report,
    SignalSummary,
    Step,
)
from service.results import Results
from streams.windows import HOP_US

_ENDED = ("cleared", "resolved", "retracted")
_TOP_REASONS = 3
# One feature per signal tells how much of it there was: its first 60 s feature.
SIGNALS: dict[str, str] = {}
for _feature in CATALOG:
    if "60s" in _feature.windows:
        SIGNALS.setdefault(_feature.signal, _feature.name)


class PatientData(NamedTuple):
    """Last revisions of one patient, each in order of time."""

    patient_id: str
    start_us: int
    end_us: int
    minutes: list[FeatureRow]  # 60 s windows
    news2: list[Score]
    limits: list[Score]


def by_patient(results: Results, run: dict[str, Any]) -> dict[str, PatientData]:
    """Each patient's rows and scores, later revisions replacing earlier ones.

    A patient's data start where `run["recordings"]` says, else with what the windows hold.
    """
    starts: dict[str, int] = {}
    for recording in run.get("recordings", ()):
        patient_id, start_us = recording["patient_id"], recording["start_us"]
        starts[patient_id] = min(start_us, starts.get(patient_id, start_us))
    rows: dict[str, dict[tuple[str, int], FeatureRow]] = defaultdict(dict)
    for row in results.features:
        rows[row.patient_id][row.window, row.end_us] = row
    scores: dict[str, dict[tuple[str, int], Score]] = defaultdict(dict)
    for score in results.scores:
        scores[score.patient_id][score.scorer, score.end_us] = score
    raised = {event.subject: event.raised_us for event in reversed(results.alerts)}
    found = {}
    for patient_id in sorted({*rows, *scores, *raised, *starts}):
        own = sorted(rows[patient_id].values(), key=lambda row: (row.end_us, row.window))
        scored = sorted(scores[patient_id].values(), key=lambda score: score.end_us)
        minutes = [row for row in own if row.window == "60s"]
        start_us, end_us = _span(minutes, scored, raised.get(patient_id, 0))
        start_us = starts.get(patient_id, start_us)
        found[patient_id] = PatientData(
            patient_id,
            start_us,
            max(end_us, start_us),
            minutes,
            [score for score in scored if score.scorer == "news2"],
            [score for score in scored if score.scorer == "limits"],
        )
    return found


def summarise(
    results: Results, run: dict[str, Any], faults: Sequence[str], people: dict[str, PatientData]
) -> Report:
    """Compute the report.

    Parameters
    ----------
    results : Results
        Of the run.
    run : dict
        What `run.json` says, without the digests.
    faults : sequence of str
        Inputs that were refused, with the reason.
    people : dict
        Of `by_patient`.
    """
    alerts = _alerts(results.alerts, people)
    patients = [
        _patient(data, [a for a in alerts if a.patient_id == p]) for p, data in people.items()
    ]
    patients.sort(key=_severity)
    hours = sum(patient.minutes for patient in patients) / 60
    raised = Counter({"physiological": 0, "technical": 0})
    raised.update(alert.kind for alert in alerts)
    return Report(
        notice=NOTICE,
        run={**run, **results.digests},
        refused_inputs=tuple(faults),
        patients=tuple(patients),
        alerts=alerts,
        features=_features(results.features),
        burden=Burden(
            round(hours, 4),
            dict(raised),
            {kind: round(n / hours, 3) if hours else None for kind, n in raised.items()},
        ),
        dead_letters=dict(sorted(Counter(letter.reason for letter in results.dead).items())),
    )


def _span(minutes: list[FeatureRow], scored: list[Score], else_us: int) -> tuple[int, int]:
    """Start and end of a patient's data; the first window reaches back before its 10 s of data."""
    held = [row for row in minutes if any(row.coverage.values())]
    ends = [row.end_us for row in held] or [score.end_us for score in scored]
    return (min(ends) - HOP_US, max(ends)) if ends else (else_us, else_us)


def _seconds(us: int) -> float:
    return round(us / 1e6, 3)


def _alerts(
    events: Iterable[AlertEvent], people: dict[str, PatientData]
) -> tuple[AlertSummary, ...]:
    """Occurrences: about patients before equipment, then by priority, then as raised."""
    grouped: dict[str, list[AlertEvent]] = defaultdict(list)
    for event in events:
        grouped[event.occurrence_id].append(event)
    found = [_alert(own, people[own[0].subject].start_us) for own in grouped.values()]
    found.sort(
        key=lambda a: (
            a.kind == "technical",
            -PRIORITY_RANK[Priority(a.priority)],
            a.offset_s,
            a.patient_id,
            a.occurrence_id,
        )
    )
    return tuple(found)


def _alert(events: list[AlertEvent], start_us: int) -> AlertSummary:
    first, last = events[0], events[-1]
    ended_us = last.cleared_us
    if ended_us is None and last.phase.value in _ENDED:
        ended_us = last.event_us
    return AlertSummary(
        patient_id=first.subject,
        occurrence_id=first.occurrence_id,
        kind=first.kind.value,
        condition=first.condition.display,
        priority=max((e.priority for e in events), key=lambda p: PRIORITY_RANK[p]).value,
        raised_us=first.raised_us,
        offset_s=_seconds(first.raised_us - start_us),
        ended_offset_s=None if ended_us is None else _seconds(ended_us - start_us),
        summary=first.text.summary,
        why=first.text.why,
        steps=tuple(
            Step(
                _seconds(event.event_us - start_us),
                event.event_us,
                event.phase.value,
                event.priority.value,
                event.text.summary,
                event.text.why,
            )
            for event in events
        ),
    )


def _patient(data: PatientData, alerts: list[AlertSummary]) -> PatientSummary:
    scored = [(score.news2, score.end_us) for score in data.news2 if score.news2 is not None]
    news2 = None
    if scored:
        rule, end_us = max(scored, key=lambda pair: pair[0].lower)
        news2 = News2Summary(rule.lower, rule.upper, _seconds(end_us - data.start_us), rule.missing)
    limits = [s.value for s in data.limits if s.value is not None]
    human = [Priority(a.priority) for a in alerts if a.kind != "technical"]
    return PatientSummary(
        patient_id=data.patient_id,
        start_us=data.start_us,
        minutes=round((data.end_us - data.start_us) / 6e7, 3),
        windows=len(data.minutes),
        news2=news2,
        limits_max=max(limits, default=None),
        raised=dict(Counter(alert.kind for alert in alerts)),
        worst_priority=max(human, key=lambda p: PRIORITY_RANK[p]).value if human else None,
        medians={name: _median(data.minutes, name) for name in ("hr", "rr", "spo2", "temp")},
        signals=_signals(data),
    )


def _severity(patient: PatientSummary) -> tuple[Any, ...]:
    """Worst first: highest NEWS2 that was proven, then limits, alerts, what may be hidden."""
    news2 = patient.news2
    rank = -1 if patient.worst_priority is None else PRIORITY_RANK[Priority(patient.worst_priority)]
    return (
        -(news2.lower if news2 else -1),
        -rank,
        -(patient.limits_max or 0),
        -(news2.upper if news2 else 0),
        patient.patient_id,
    )


def _median(rows: list[FeatureRow], name: str) -> float | None:
    found = [value for row in rows if (value := vital(row.values, name)) is not None]
    return round(median(found), 2) if found else None


def _signals(data: PatientData) -> tuple[SignalSummary, ...]:
    """Signals that the patient has at all, over the windows that lie within the recording."""
    rows = [row for row in data.minutes if row.start_us >= data.start_us] or data.minutes
    found = []
    for signal, name in SIGNALS.items():
        seen = [row for row in rows if row.reason.get(name, "no_signal") != "no_signal"]
        if seen:
            coverage = fmean(row.coverage.get(name, 0.0) for row in seen)
            valued = [row.quality[name] for row in seen if row.values.get(name) is not None]
            quality = round(fmean(valued), 4) if valued else None
            found.append(SignalSummary(signal, round(coverage, 4), quality))
    return tuple(found)


def _features(rows: list[FeatureRow]) -> tuple[FeatureSummary, ...]:
    """Every feature in every window length it was computed over; those of no patient left out."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    reasons: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    latest = {(row.patient_id, row.window, row.end_us): row for row in rows}
    for row in latest.values():
        for name, value in row.values.items():
            if value is None:
                reasons[name, row.window][row.reason[name]] += 1
            else:
                values[name, row.window].append(value)
    found = []
    for feature, window in ((f, window) for f in CATALOG for window in f.windows):
        own, lost = sorted(values[feature.name, window]), reasons[feature.name, window]
        if not own and not lost:
            continue
        ranked = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
        found.append(
            FeatureSummary(
                name=feature.name,
                label=feature.label,
                unit=feature.unit,
                window=window,
                windows=len(own) + lost.total(),
                with_value=len(own),
                median=_quantile(own, 0.5),
                q1=_quantile(own, 0.25),
                q3=_quantile(own, 0.75),
                missing=dict(ranked[:_TOP_REASONS]),
            )
        )
    return tuple(found)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Quantile of ordered values with linear interpolation; None without any."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return round(ordered[below] + (place - below) * (ordered[above] - ordered[below]), 4)
