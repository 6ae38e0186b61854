"""Where an alert stands, in the words of four other vocabularies, and back as far as they reach.

ISA-18.2 states as alerta writes them, ThingsBoard's alarm states, IHE ACM alarm state and
inactivation state (MDC 68482, 68483), and presence and signal of FHIR R6 DeviceAlert; further
MDC words for priority, kind and phase. `calls` says which steps ask somebody to come. Not here:
messages (`service.emitters`).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

from alerts.alert import (
    AlertEvent,
    AlertRecord,
    Axes,
    Condition,
    Kind,
    Phase,
    Priority,
    Resolution,
    Responsibility,
    Suppression,
)


class Position(StrEnum):
    """The rows of the table: where an alert stands, seen from outside."""

    NORMAL = "normal"  # nothing open, or pending
    OUT_OF_SERVICE = "out_of_service"
    SUPPRESSED = "suppressed"  # inhibited, or maintenance
    SHELVED = "shelved"  # snoozed or silenced: bounded
    UNACKED = "unacked"
    ACKED = "acked"
    LATCHED = "latched"  # over, unseen, stays
    OVER_UNACKED = "over_unacked"  # over, unseen, does not latch
    OVER_ACKED = "over_acked"


class Outward(NamedTuple):
    """One row in the words of others; None where a vocabulary has no word."""

    isa: str
    thingsboard: str | None
    acm_state: str
    acm_inactivation: str
    presence: bool
    signal: str
    activation: str = "on"  # DeviceAlert signal.activationState


class _Fits(NamedTuple):
    """The axes a row stands for; the first row that fits counts."""

    conditions: Collection[Condition]
    responsibilities: Collection[Responsibility]
    suppressions: Collection[Suppression]


_ALL_C, _ALL_R, _ALL_S = tuple(Condition), tuple(Responsibility), tuple(Suppression)
_ACTIVE = (Condition.ACTIVE,)
_SEEN = (Responsibility.ACCEPTED,)
_UNSEEN = tuple(r for r in Responsibility if r is not Responsibility.ACCEPTED)
_DESIGNED = (Suppression.INHIBITED, Suppression.MAINTENANCE)
_BOUNDED = (Suppression.SNOOZED, Suppression.SILENCED)

# Suppression speaks for what is active; what is over is told as over, held back or not.
ROWS: Final[dict[Position, _Fits]] = {
    Position.NORMAL: _Fits((Condition.PENDING,), _ALL_R, _ALL_S),
    Position.OUT_OF_SERVICE: _Fits(_ALL_C, _ALL_R, (Suppression.OUT_OF_SERVICE,)),
    Position.SUPPRESSED: _Fits(_ACTIVE, _ALL_R, _DESIGNED),
    Position.SHELVED: _Fits(_ACTIVE, _ALL_R, _BOUNDED),
    Position.UNACKED: _Fits(_ACTIVE, _UNSEEN, _ALL_S),
    Position.ACKED: _Fits(_ACTIVE, _SEEN, _ALL_S),
    Position.LATCHED: _Fits((Condition.LATCHED,), _ALL_R, _ALL_S),
    Position.OVER_UNACKED: _Fits((Condition.CLEARED,), _UNSEEN, _ALL_S),
    Position.OVER_ACKED: _Fits((Condition.CLEARED,), _SEEN, _ALL_S),
}

# Columns: ISA-18.2, ThingsBoard, ACM 68482, ACM 68483, presence, signal.presence, activationState.
WORDS: Final[dict[Position, Outward]] = {
    Position.NORMAL: Outward("NORM", None, "inactive", "enabled", False, "off"),
    Position.OUT_OF_SERVICE: Outward("OOSRV", None, "inactive", "alarm-off", False, "off", "off"),
    Position.SUPPRESSED: Outward("DSUPR", None, "active", "alarm-off", True, "off", "off"),
    Position.SHELVED: Outward("SHLVD", None, "active", "alarm-paused", True, "off", "paused"),
    Position.UNACKED: Outward("UNACK", "ACTIVE_UNACK", "active", "enabled", True, "on"),
    Position.ACKED: Outward("ACKED", "ACTIVE_ACK", "active", "alert-acknowledged", True, "ack"),
    Position.LATCHED: Outward("RTNUN", "CLEARED_UNACK", "latched", "enabled", False, "latched"),
    Position.OVER_UNACKED: Outward("RTNUN", "CLEARED_UNACK", "inactive", "enabled", False, "off"),
    Position.OVER_ACKED: Outward(
        "NORM", "CLEARED_ACK", "inactive", "alert-acknowledged", False, "off"
    ),
}

PRIORITIES: Final[dict[Priority, str]] = {  # MDC 68484
    Priority.HIGH: "PH",
    Priority.MEDIUM: "PM",
    Priority.LOW: "PL",
    Priority.INFO: "PI",
}

TYPES: Final[dict[Kind, str]] = {  # MDC 68485
    Kind.PHYSIOLOGICAL: "SP",
    Kind.TECHNICAL: "ST",
    Kind.ADVISORY: "SA",
}

PHASES: Final[dict[Phase, str]] = {  # IHE ACM, MDC 68481; empty: not reported
    Phase.RAISED: "start",
    Phase.UPDATED: "update",
    Phase.CONTINUED: "continue",
    Phase.ESCALATED: "escalate",
    Phase.DEESCALATED: "deescalate",
    Phase.ACKNOWLEDGED: "update",
    Phase.UNACKNOWLEDGED: "update",
    Phase.REJECTED: "update",
    Phase.SNOOZED: "update",
    Phase.UNSNOOZED: "update",
    Phase.SUPPRESSED: "update",
    Phase.UNSUPPRESSED: "update",
    Phase.STALE: "update",
    Phase.REFRESHED: "update",
    Phase.CLEARED: "end",
    Phase.RESOLVED: "",  # an unlatched alert has ended already
    Phase.RETRACTED: "end",
    Phase.FEEDBACK: "",
}

CALLS: Final = (  # steps that may ask somebody to come
    Phase.RAISED,
    Phase.ESCALATED,
    Phase.UNACKNOWLEDGED,
    Phase.REJECTED,
    Phase.UNSUPPRESSED,
    Phase.UNSNOOZED,
)


def calls(event: AlertEvent) -> bool:
    """Say whether a step asks somebody to come: its signal is on and nobody has taken it.

    An alert may be raised already held back; then the step that lets it go is the one that calls.
    """
    state = event.state
    there = state.condition in (Condition.ACTIVE, Condition.LATCHED)
    heard = state.suppression is Suppression.NONE and state.resolution is Resolution.OPEN
    free = state.responsibility is not Responsibility.ACCEPTED
    return event.phase in CALLS and there and heard and free


def position(axes: Axes | None) -> Position:
    """Return where an alert with these axes stands; None is no alert at all."""
    if axes is None or axes.resolution is not Resolution.OPEN:
        return Position.NORMAL
    return next(
        row
        for row, fits in ROWS.items()
        if axes.condition in fits.conditions
        and axes.responsibility in fits.responsibilities
        and axes.suppression in fits.suppressions
    )


def outward(axes: Axes | None) -> Outward:
    """Return the words of the four vocabularies for an alert with these axes.

    Examples
    --------
    >>> outward(Axes(Condition.ACTIVE)).isa, outward(None).acm_state
    ('UNACK', 'inactive')
    """
    return WORDS[position(axes)]


def inward(vocabulary: str, *words: str | bool | None) -> tuple[Position, ...]:
    """Return the rows that an outside word may mean; more than one where it cannot tell.

    Parameters
    ----------
    vocabulary : str
        "isa", "thingsboard", "acm" (state, inactivation) or "device_alert" (presence, signal,
        activation).
    *words
        As `Outward` gives them.

    Examples
    --------
    >>> [str(row) for row in inward("isa", "RTNUN")]
    ['latched', 'over_unacked']
    """
    fields = VOCABULARIES[vocabulary]
    return tuple(
        row for row, said in WORDS.items() if tuple(getattr(said, f) for f in fields) == words
    )


def acm_phase(phase: Phase, record: AlertRecord) -> str:
    """Return the IHE ACM event phase of a step; empty where ACM reports nothing.

    Parameters
    ----------
    phase : Phase
        What happened.
    record : AlertRecord
        The alert after it.

    Notes
    -----
    A latched alert does not end, it is updated; acknowledging or closing it is its reset. One that
    a person closes while it is active ends then (IHE SDPi).
    """
    condition = record.state.condition
    if phase is Phase.CLEARED and condition is Condition.LATCHED:
        return "update"
    if phase is Phase.ACKNOWLEDGED and condition is Condition.CLEARED:
        return "reset"
    if phase is Phase.RESOLVED:
        return {Condition.ACTIVE: "end", Condition.LATCHED: "reset"}.get(condition, "")
    return PHASES[phase]


VOCABULARIES: Final[dict[str, tuple[str, ...]]] = {
    "isa": ("isa",),
    "thingsboard": ("thingsboard",),
    "acm": ("acm_state", "acm_inactivation"),
    "device_alert": ("presence", "signal", "activation"),
}
