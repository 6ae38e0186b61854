"""What an alert looks like from outside: the value of `vigil.alert-state.v1` and `vigil.alerts.v1`.

Not here: when an alert speaks (`alerts.conditions`), how its state moves (`alerts.lifecycle`), how
it travels (`alerts.envelope`). Nothing that may differ between a live run and a replay is in it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

SCHEMA = "alert.v1"
CONDITION_SYSTEM = "urn:vigil:condition"


class Phase(StrEnum):
    """What happened to an occurrence; the `phase` of an event."""

    RAISED = "raised"
    UPDATED = "updated"
    CONTINUED = "continued"
    ESCALATED = "escalated"
    DEESCALATED = "deescalated"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    REJECTED = "rejected"
    SNOOZED = "snoozed"
    UNSNOOZED = "unsnoozed"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    STALE = "stale"
    REFRESHED = "refreshed"
    CLEARED = "cleared"
    RESOLVED = "resolved"
    RETRACTED = "retracted"
    FEEDBACK = "feedback"


class Priority(StrEnum):
    """Urgency of response after IEC 60601-1-8: immediate, prompt, awareness, information."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


PRIORITY_RANK = {priority: rank for rank, priority in enumerate(Priority)}


class Kind(StrEnum):
    """What the alert is about: the patient, the equipment, or advice."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"
    ADVISORY = "advisory"


class Condition(StrEnum):
    """Whether the cause is there. `LATCHED`: it ended, but nobody has seen it yet."""

    PENDING = "pending"
    ACTIVE = "active"
    LATCHED = "latched"
    CLEARED = "cleared"


class Responsibility(StrEnum):
    """Whether a person has taken it. Accepting is not silencing.

    `UNDEFINED`: somebody should have answered in time and nobody did.
    """

    NONE = "none"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDEFINED = "undefined"


class Suppression(StrEnum):
    """Whether its signal is held back, weakest first. The record is published either way."""

    NONE = "none"
    SNOOZED = "snoozed"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    MAINTENANCE = "maintenance"
    OUT_OF_SERVICE = "out_of_service"


class Trigger(StrEnum):
    """What moved an occurrence: a score, a device, a tick, a person or service, or another alert.

    An `escalated` event by `SCORE` rose in priority, one by `TIMER` in tier.
    """

    SCORE = "score"
    DEVICE = "device"
    TIMER = "timer"
    COMMAND = "command"
    ALERT = "alert"


class Resolution(StrEnum):
    """Whether the occurrence still runs."""

    OPEN = "open"
    CLOSED = "closed"
    RETRACTED = "retracted"


class Axes(msgspec.Struct, frozen=True, gc=False):
    """The orthogonal axes of an occurrence. One enum would lose "cleared but never seen"."""

    condition: Condition
    responsibility: Responsibility = Responsibility.NONE
    suppression: Suppression = Suppression.NONE
    stale: bool = False
    latched: bool = False
    resolution: Resolution = Resolution.OPEN


class ConditionRef(msgspec.Struct, frozen=True, gc=False):
    """Which condition, in codes and in words."""

    code: str
    display: str
    system: str = CONDITION_SYSTEM
    mdc: str | None = None


class Location(msgspec.Struct, frozen=True, gc=False):
    """Where the patient is."""

    ward: str
    bed: str


class Threshold(msgspec.Struct, frozen=True, gc=False):
    """The level in force when the event was made.

    `side` says whether values at or above `hi` count, or at or below it; `personal` that `hi`
    and `lo` follow the patient's own baseline.
    """

    hi: float
    lo: float
    side: str = "above"
    personal: bool = False


class ScoreView(msgspec.Struct, frozen=True, gc=False):
    """The score behind the alert; `lower` and `upper` are what missing inputs leave open.

    `decision` is the one of them that is compared with the threshold.
    """

    label: str
    decision: float
    value: float
    lower: float | None
    upper: float | None
    calibrated: bool
    horizon_s: float
    outcome: str | None
    trend_per_h: float | None
    baseline: float | None
    threshold: Threshold


class News2View(msgspec.Struct, frozen=True, gc=False):
    """NEWS2 with its bounds and what is missing from it."""

    total: int
    lower: int
    upper: int
    missing: tuple[str, ...]
    single3: bool
    scale: int


class EvidenceView(msgspec.Struct, frozen=True, gc=False):
    """One input behind the score: value, age, quality, what it contributed."""

    id: str
    code: str
    label: str
    value: float
    unit: str
    time_us: int
    age_s: float
    source: str
    quality: float
    contribution: float
    baseline: float | None
    explained_by: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET  # care that may have moved it


class ShareView(msgspec.Struct, frozen=True, gc=False):
    """How much of a score one modality carries, in the scorer's own additive unit."""

    modality: str
    share: float


class InputChange(msgspec.Struct, frozen=True, gc=False):
    """One input that differs from what was last told."""

    code: str
    label: str
    unit: str
    was: float
    now: float


class ChangeView(msgspec.Struct, frozen=True, gc=False):
    """What changed since `since_us`: the score's decision value, and the inputs that moved."""

    since_us: int
    was: float
    now: float
    inputs: tuple[InputChange, ...] = ()


class PolicyRef(msgspec.Struct, frozen=True, gc=False):
    """The policy that raised the occurrence, by content."""

    id: str
    version: str
    digest: str


class ModelRef(msgspec.Struct, frozen=True, gc=False):
    """The scorer that spoke."""

    name: str
    version: str | None
    digest: str | None
    feature_schema: str | None


class Action(msgspec.Struct, frozen=True, gc=False):
    """What a person or service did to the occurrence."""

    seq: int
    command_id: str
    type: str
    by: str
    role: str
    at_us: int
    until_us: int | None
    reason: str | None
    client: str | None
    outcome: str | None = None  # of a feedback, one of `alerts.commands.OUTCOMES`


class Text(msgspec.Struct, frozen=True, gc=False):
    """The alert in plain words: one line to show, and the lines that say why."""

    summary: str
    why: tuple[str, ...]


class Links(msgspec.Struct, frozen=True, gc=False):
    """Where to read more, relative to the service."""

    detail: str
    runbook: str | None


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """State of one occurrence: the value of `vigil.alert-state.v1`.

    `seq` rises by exactly 1 per event; `state_seq` is the seq of the last event that changed
    priority, responsibility or resolution, and is what a command must know. `onset_us` is when
    the score first went over, `raised_us` when the alert spoke (both event time), `recorded_us`
    the append time of the log record that caused the event. `expires_us` is when the present
    acknowledgement or snooze ends, whichever is first. `duplicate_count` counts further sources
    merged into the occurrence (a second silent device). `suppressed_by` names what holds the
    signal back: a silence's id or the occurrence that inhibits this one. `disagreement` names
    the modalities that speak against each other.
    """

    schema: str = SCHEMA
    occurrence_id: str
    seq: int
    state_seq: int
    dedup_key: str
    supersedes: str | None = None
    tenant: str
    subject: str
    encounter: str | None = None
    location: Location | None = None
    kind: Kind
    condition: ConditionRef
    priority: Priority
    priority_at_raise: Priority
    previous_priority: Priority | None = None
    tier: int = 1
    state: Axes
    onset_us: int
    raised_us: int
    recorded_us: int
    last_evidence_us: int
    cleared_us: int | None = None
    review_due_us: int | None = None
    expires_us: int | None = None
    episode_count: int = 1
    duplicate_count: int = 0
    closed_reason: str | None = None
    assignee: str | None = None
    suppressed_by: str | None = None
    group: str | None = None
    score: ScoreView | None = None
    news2: News2View | None = None
    evidence: tuple[EvidenceView, ...] = ()
    shares: tuple[ShareView, ...] = ()
    change: ChangeView | None = None
    disagreement: tuple[str, ...] = ()
    missing_modalities: tuple[str, ...] = ()
    completeness: float | None = None
    policy: PolicyRef
    model: ModelRef | None = None
    window: tuple[int, int] | None = None
    actions: tuple[Action, ...] = ()
    text: Text
    links: Links


class AlertEvent(AlertRecord, frozen=True, kw_only=True):
    """One step of an occurrence: the record after it, and what happened.

    `event_us` is when it happened (window end, tick, or append time of the command); `revised`
    says that a re-computed score caused it; `trigger` what kind of thing did.
    """

    phase: Phase
    event_us: int
    revised: bool = False
    trigger: Trigger = Trigger.SCORE

    @property
    def event_id(self) -> str:
        """`occurrence_id:seq`, the primary key every sink may rely on."""
        return f"{self.occurrence_id}:{self.seq}"

    def record(self) -> AlertRecord:
        """Return the state after this event, without what happened: the compacted topic's value."""
        return AlertRecord(**{name: getattr(self, name) for name in AlertRecord.__struct_fields__})


def make_event(
    record: AlertRecord, phase: Phase, event_us: int, revised: bool, trigger: Trigger
) -> AlertEvent:
    """Return `record` as the event `phase` that happened at `event_us`, moved by `trigger`."""
    fields = {name: getattr(record, name) for name in AlertRecord.__struct_fields__}
    return AlertEvent(**fields, phase=phase, event_us=event_us, revised=revised, trigger=trigger)
