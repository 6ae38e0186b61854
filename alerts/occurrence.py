"""One occurrence: its public record plus the few clocks it needs, and the one way to change it.

Invariant: every change goes through `change`, which takes the transition from the table, raises
`seq` by exactly one and returns the event. Not here: when (`alerts.machine`, `alerts.timers`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from alerts import alert, lifecycle
from alerts.alert import AlertEvent, AlertRecord, Kind, Phase, Priority, Responsibility, Trigger
from alerts.conditions import NO_LEVEL, value_of
from alerts.lifecycle import Move
from alerts.policy import ConditionSpec, Policy, to_us
from alerts.text import compose
from models.score import Evidence, Score

MAX_EVIDENCE = 16
MAX_ACTIONS = 16


class Moment(NamedTuple):
    """When something happened, and the append time of the log record that says so."""

    event_us: int
    recorded_us: int
    revised: bool = False
    trigger: Trigger = Trigger.SCORE


class Start(NamedTuple):
    """What begins: enough to name an occurrence for ever."""

    code: str
    kind: Kind
    display: str
    priority: Priority
    onset_us: int
    finding: str = ""  # technical: what is lost
    level: int = NO_LEVEL


class Occurrence(msgspec.Struct, frozen=True):
    """A record and its private clocks; a time of 0 means that clock is not running."""

    record: AlertRecord
    finding: str
    level: int
    score: Score | None = None  # the last usable one
    told: float | None = None  # the value last published
    latch_due: bool = False  # clears to latched unless accepted
    accepted_until_us: int = 0
    reminded: bool = False
    snoozed_until_us: int = 0
    unacked_since_us: int = 0
    cleared_recorded_us: int = 0


Changed = tuple[Occurrence, AlertEvent]


def begin(
    policy: Policy, subject: str, start: Start, moment: Moment, cause: str, **fields: Any
) -> Changed:
    """Raise a new occurrence.

    Parameters
    ----------
    policy : Policy
        The policy in force.
    subject : str
        Patient, as in the log.
    start : Start
        What begins.
    moment : Moment
        When.
    cause : str
        The first line of why.
    **fields
        Further fields of the record: score, evidence, ...
    """
    key = alert.dedup_key(policy.tenant, subject, start.code)
    demands = policy.priorities[start.priority]
    identity = alert.occurrence_id(key, policy.ref.id, start.onset_us)
    record = AlertRecord(
        occurrence_id=identity,
        seq=1,
        state_seq=1,
        dedup_key=key,
        tenant=policy.tenant,
        subject=subject,
        kind=start.kind,
        condition=alert.ConditionRef(start.code, start.display),
        priority=start.priority,
        priority_at_raise=start.priority,
        state=alert.Axes(alert.Condition.ACTIVE),
        onset_us=start.onset_us,
        raised_us=moment.event_us,
        recorded_us=moment.recorded_us,
        last_evidence_us=fields.pop("last_evidence_us", start.onset_us),
        review_due_us=moment.recorded_us + to_us(demands.review_s),
        policy=policy.ref,
        text=alert.Text("", ()),
        links=alert.Links(f"/alerts/{identity}", None),
        **fields,
    )
    record = replace(record, text=compose(Phase.RAISED, record, start.finding, None, cause))
    occurrence = Occurrence(
        record,
        start.finding,
        start.level,
        told=None if record.score is None else record.score.decision,
        latch_due=demands.latching,
        unacked_since_us=moment.recorded_us,
    )
    event = alert.make_event(record, Phase.RAISED, moment.event_us, moment.revised, moment.trigger)
    return occurrence, event


def change(occ: Occurrence, move: Move, moment: Moment, cause: str = "", **fields: Any) -> Changed:
    """Move an occurrence by one step of the table.

    Parameters
    ----------
    occ : Occurrence
        Before.
    move : Move
        The step; the table must allow it.
    moment : Moment
        When.
    cause : str
        The first line of why.
    **fields
        Fields of the record that change with it.
    """
    old = occ.record
    phase, axes = lifecycle.apply(old.state, move)
    record = replace(old, **fields, state=axes, seq=old.seq + 1, recorded_us=moment.recorded_us)
    if _responds_to(record) != _responds_to(old):
        record = replace(record, state_seq=record.seq)
    told = record.score
    record = replace(record, text=compose(phase, record, occ.finding, occ.told, cause))
    occ = replace(occ, record=record, told=occ.told if told is None else told.decision)
    return occ, alert.make_event(record, phase, moment.event_us, moment.revised, moment.trigger)


def views(score: Score, spec: ConditionSpec, level: int) -> dict[str, Any]:
    """Return the record's fields that come from a score.

    Parameters
    ----------
    score : Score
        The last usable score; the field the condition reads has a value.
    spec : ConditionSpec
        The condition's policy.
    level : int
        The level on, -1 for none (the lowest level's thresholds are shown).
    """
    limits = spec.levels[max(level, 0)]
    value = value_of(score, spec.field)
    assert value is not None  # a score without a value is not usable
    name, _, rest = score.model.partition("/")
    version, _, digest = rest.partition("/")
    rule = score.news2
    return {
        "score": alert.ScoreView(
            label=spec.label,
            decision=value,
            value=value if score.value is None else round(float(score.value), 4),
            lower=_rounded(score.lower),
            upper=_rounded(score.upper),
            calibrated=score.calibrated,
            horizon_s=float(score.horizon_s),
            outcome=None,
            trend_per_h=None,
            baseline=None,
            threshold=alert.Threshold(float(limits.hi), float(limits.lo)),
        ),
        "news2": None
        if rule is None
        else alert.News2View(
            rule.total, rule.lower, rule.upper, rule.missing, rule.single3, rule.scale
        ),
        "evidence": tuple(_evidence(item) for item in score.evidence[:MAX_EVIDENCE]),
        "missing_modalities": missing(score),
        "completeness": round(float(score.completeness), 4),
        "model": alert.ModelRef(name, version or None, digest or None, None),
        "window": (score.start_us, score.end_us),
        "last_evidence_us": score.end_us,
    }


def missing(score: Score) -> tuple[str, ...]:
    """Return the modalities a score went without, in alphabetical order."""
    return tuple(sorted(name for name, there in score.present.items() if not there))


def expires_us(occ: Occurrence) -> int | None:
    """Return when the present acknowledgement or snooze ends, whichever is first."""
    return min((t for t in (occ.accepted_until_us, occ.snoozed_until_us) if t > 0), default=None)


def _responds_to(record: AlertRecord) -> tuple[Priority, Responsibility, alert.Resolution]:
    """Return what a command must have seen.

    That nobody answered in time is no news to the one who answers now.
    """
    owner = record.state.responsibility
    if owner is Responsibility.UNDEFINED:
        owner = Responsibility.NONE
    return record.priority, owner, record.state.resolution


def _rounded(value: float | None) -> float | None:
    """Round to the resolution thresholds use."""
    return None if value is None else round(float(value), 4)


def _evidence(item: Evidence) -> alert.EvidenceView:
    """Return one input as the record shows it."""
    return alert.EvidenceView(
        id=f"obs/{item.code}/{item.time_us}",
        code=item.code,
        label=item.label,
        value=round(float(item.value), 4),
        unit=item.unit,
        time_us=item.time_us,
        age_s=round(float(item.age_s), 3),
        source=item.source,
        quality=round(float(item.quality), 4),
        contribution=round(float(item.points), 4),
        baseline=None,
    )
