"""One occurrence: its public record plus the few clocks it needs, and the one way to change it.

Invariant: every change goes through `change`, which takes the transition from the table, raises
`seq` by exactly one and returns the event. Not here: when (`alerts.machine`, `alerts.timers`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from alerts import alert, identity, lifecycle
from alerts.alert import (
    AlertEvent,
    AlertRecord,
    Kind,
    Location,
    Phase,
    Priority,
    Responsibility,
    Suppression,
    Trigger,
)
from alerts.conditions import NO_LEVEL
from alerts.lifecycle import Move
from alerts.policy import Policy
from alerts.rules import Limits, to_us
from alerts.silences import modalities
from alerts.text import compose
from alerts.views import Past, change_view
from models.score import Score

MAX_ACTIONS = 16


class Moment(NamedTuple):
    """When something happened, the append time of the log record that says so, and what it was."""

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
    calm: Past | None = None


class Labels(msgspec.Struct, frozen=True, gc=False):
    """Where the patient is, as far as the log says."""

    ward: str = ""
    bed: str = ""
    encounter: str = ""


class Held(NamedTuple):
    """What holds a signal back, and its name."""

    suppression: Suppression = Suppression.NONE
    by: str | None = None


class Occurrence(msgspec.Struct, frozen=True):
    """A record and its private clocks; a time of 0 means that clock is not running.

    `score`, `value`, `limits`, `personal` are those of the last usable score. Silences made
    before `broke_through_us` do not hold it back any more: it has become more urgent since.
    """

    record: AlertRecord
    finding: str
    level: int
    calm: Past | None = None
    score: Score | None = None
    value: float = 0.0
    limits: Limits = ()
    personal: bool = False
    told: Past | None = None  # the value last published
    latch_due: bool = False  # clears to latched unless accepted
    accepted_until_us: int = 0
    reminded: bool = False
    snoozed_until_us: int = 0
    broke_through_us: int = 0
    unacked_since_us: int = 0
    cleared_recorded_us: int = 0
    review_told_us: int = 0  # the review that was said to be due

    @property
    def code(self) -> str:
        """Code of its condition."""
        return self.record.condition.code


Changed = tuple[Occurrence, AlertEvent]


def begin(
    policy: Policy,
    who: tuple[str, Labels],
    start: Start,
    moment: Moment,
    cause: str,
    **fields: Any,
) -> Changed:
    """Raise a new occurrence.

    Parameters
    ----------
    policy : Policy
        The policy in force.
    who : tuple of str and Labels
        Patient, as in the log, and where.
    start : Start
        What begins.
    moment : Moment
        When.
    cause : str
        The first line of why.
    **fields
        Further fields of the record: score, evidence, ...; `held` is what holds its signal back.
    """
    subject, labels = who
    record = _first_record(policy, subject, start, moment, fields)
    record = replace(record, **places(record, labels, policy))
    record = replace(record, change=change_view(record, start.calm, record))
    record = replace(record, text=compose(Phase.RAISED, record, start.finding, cause))
    occurrence = Occurrence(
        record,
        start.finding,
        start.level,
        calm=start.calm,
        told=_told(record),
        latch_due=policy.latches(start.code, start.priority),
        unacked_since_us=moment.recorded_us,
    )
    return occurrence, _event(record, Phase.RAISED, moment)


def _first_record(
    policy: Policy, subject: str, start: Start, moment: Moment, fields: dict[str, Any]
) -> AlertRecord:
    """The record of seq 1, before its place and its words are in it."""
    key = identity.dedup_key(policy.tenant, subject, start.code)
    model = fields.get("model")
    name = identity.occurrence_id(
        key, policy.ref.id, start.onset_us, (model and model.digest) or ""
    )
    held: Held = fields.pop("held", Held())
    return AlertRecord(
        occurrence_id=name,
        seq=1,
        state_seq=1,
        dedup_key=key,
        tenant=policy.tenant,
        subject=subject,
        kind=start.kind,
        condition=alert.ConditionRef(start.code, start.display),
        priority=start.priority,
        priority_at_raise=start.priority,
        state=alert.Axes(alert.Condition.ACTIVE, suppression=held.suppression),
        suppressed_by=held.by,
        onset_us=start.onset_us,
        raised_us=moment.event_us,
        recorded_us=moment.recorded_us,
        last_evidence_us=fields.pop("last_evidence_us", start.onset_us),
        review_due_us=moment.recorded_us + to_us(policy.priorities[start.priority].review_s),
        policy=policy.ref,
        text=alert.Text("", ()),
        links=alert.Links(f"/alerts/{name}", None),
        **fields,
    )


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
    if record.priority is not old.priority:
        record = replace(record, previous_priority=old.priority)
    record = replace(record, change=change_view(old, occ.told, record))
    record = replace(record, text=compose(phase, record, occ.finding, cause))
    occ = replace(occ, record=record, told=_told(record))
    return occ, _event(record, phase, moment)


def places(record: AlertRecord, labels: Labels, policy: Policy) -> dict[str, Any]:
    """Return the fields of a record that follow from where the patient is."""
    where = Location(labels.ward, labels.bed) if labels.ward else None
    words = {
        "subject": record.subject,
        "ward": labels.ward,
        "kind": str(record.kind),
        "condition": record.condition.code,
        "modality": "+".join(sorted(modalities(record))),
    }
    return {
        "encounter": labels.encounter or None,
        "location": where,
        "group": "|".join(identity.escape(words[label]) for label in policy.group_by),
    }


def expires_us(occ: Occurrence) -> int | None:
    """Return when the present acknowledgement or snooze ends, whichever is first."""
    return min((t for t in (occ.accepted_until_us, occ.snoozed_until_us) if t > 0), default=None)


def _event(record: AlertRecord, phase: Phase, moment: Moment) -> AlertEvent:
    """Return a record as what happened."""
    return alert.make_event(record, phase, moment.event_us, moment.revised, moment.trigger)


def _told(record: AlertRecord) -> Past | None:
    """Return the value a record publishes, and when it was true."""
    score = record.score
    return None if score is None else Past(score.decision, record.last_evidence_us)


def _responds_to(record: AlertRecord) -> tuple[Priority, Responsibility, alert.Resolution]:
    """Return what a command must have seen.

    That nobody answered in time is no news to the one who answers now.
    """
    owner = record.state.responsibility
    if owner is Responsibility.UNDEFINED:
        owner = Responsibility.NONE
    return record.priority, owner, record.state.resolution
