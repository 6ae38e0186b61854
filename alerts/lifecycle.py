"""How an occurrence may move: tables, read by the machine, the commands and the tests.

One row per move, one column per axis. A column maps each state the move may start from to the
state it leads to; a state that is absent forbids the move. Not here: when it moves
(`alerts.conditions`, `alerts.timers`, `alerts.suppress`) or who may ask (`alerts.commands`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar

from alerts.alert import Axes, Condition, Phase, Resolution, Responsibility, Suppression

_State = TypeVar("_State")


class Move(StrEnum):
    """Everything that can happen to an open occurrence. Several moves may share a phase."""

    REOPEN = "reopen"  # the condition came back before the occurrence was resolved
    RING_AGAIN = "ring_again"  # it has been there so long that it is told anew
    UPDATE = "update"
    ASSIGN = "assign"
    CONTINUE = "continue"
    ESCALATE = "escalate"  # a higher priority, by physiology
    ESCALATE_TIER = "escalate_tier"  # nobody answered in time
    DEESCALATE = "deescalate"
    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_LATCHED = "acknowledge_latched"  # seen after it had ended
    UNACKNOWLEDGE = "unacknowledge"  # given back
    EXPIRE = "expire"  # the acknowledgement ran out
    REJECT = "reject"
    SNOOZE = "snooze"
    UNSNOOZE = "unsnooze"
    SILENCE = "silence"
    INHIBIT = "inhibit"
    MAINTAIN = "maintain"
    RETIRE = "retire"  # what it watches was switched off
    RELEASE = "release"  # nothing holds it back any more
    RELEASE_SNOOZED = "release_snoozed"  # only its snooze still does
    STALE = "stale"
    REFRESH = "refresh"
    CLEAR = "clear"
    CLEAR_LATCHED = "clear_latched"  # ended, but unseen at a latching priority
    RESOLVE = "resolve"  # by itself, some time after it cleared
    CLOSE = "close"  # by a person, from any state
    RETRACT = "retract"
    FEEDBACK = "feedback"


class Row(NamedTuple):
    """A move: the phase it publishes, and where each axis goes from each state it may be in."""

    phase: Phase
    condition: Mapping[Condition, Condition]
    responsibility: Mapping[Responsibility, Responsibility]
    suppression: Mapping[Suppression, Suppression]
    stale: Mapping[bool, bool]
    resolution: Mapping[Resolution, Resolution]


def _stay(states: Iterable[_State]) -> dict[_State, _State]:
    """Each of `states` stays what it is."""
    return {state: state for state in states}


def _to(state: _State, states: Iterable[_State]) -> dict[_State, _State]:
    """Each of `states` becomes `state`."""
    return dict.fromkeys(states, state)


ACTIVE: Final = Condition.ACTIVE
LATCHED: Final = Condition.LATCHED
CLEARED: Final = Condition.CLEARED
UNSEEN: Final = (Responsibility.NONE, Responsibility.REJECTED, Responsibility.UNDEFINED)
HELD_BACK: Final = tuple(s for s in Suppression if s not in (Suppression.NONE, Suppression.SNOOZED))

_GOES_ON = _stay((ACTIVE,))
_VISIBLE = _stay((ACTIVE, LATCHED))
_ANY = _stay((ACTIVE, LATCHED, CLEARED))
_WHOEVER = _stay(Responsibility)
_NOBODY = _to(Responsibility.NONE, Responsibility)
_HOWEVER = _stay(Suppression)
_EITHER = _stay((False, True))
_FRESH = {False: False}
_OPEN = {Resolution.OPEN: Resolution.OPEN}
_END = {Resolution.OPEN: Resolution.CLOSED}
_SNOOZE: dict[Suppression, Suppression] = {**_HOWEVER, Suppression.NONE: Suppression.SNOOZED}
_UNSNOOZE: dict[Suppression, Suppression] = {
    **_stay(HELD_BACK),
    Suppression.SNOOZED: Suppression.NONE,
}
_ACCEPT = _to(Responsibility.ACCEPTED, Responsibility)
_UNSEEN = _stay(UNSEEN)
_GIVE_BACK = {Responsibility.ACCEPTED: Responsibility.NONE}
_RUN_OUT = {Responsibility.ACCEPTED: Responsibility.UNDEFINED}
_REFUSE = _to(Responsibility.REJECTED, Responsibility)
_UNANSWERED = _to(Responsibility.UNDEFINED, UNSEEN)
_BREAK_THROUGH = _to(Suppression.NONE, Suppression)


def _held(suppression: Suppression) -> Row:
    """Return the row of being held back for one reason, whatever held it back before."""
    return Row(Phase.SUPPRESSED, _ANY, _WHOEVER, _to(suppression, Suppression), _EITHER, _OPEN)


def _released(to: Suppression) -> Row:
    """Return the row of being held back no longer."""
    return Row(Phase.UNSUPPRESSED, _ANY, _WHOEVER, _to(to, HELD_BACK), _EITHER, _OPEN)


_BACK = {CLEARED: ACTIVE, LATCHED: ACTIVE}
_SEEN = {ACTIVE: ACTIVE, CLEARED: CLEARED}
_OVER = {ACTIVE: CLEARED}
_LATCH = {ACTIVE: LATCHED}
_UNLATCH = {LATCHED: CLEARED}
_STAYS_OVER = {CLEARED: CLEARED}
_RETRACTED = {Resolution.OPEN: Resolution.RETRACTED}

# Columns: phase, condition, responsibility, suppression, stale, resolution.
TRANSITIONS: Final[Mapping[Move, Row]] = {
    # Coming back is a new alarm: an acknowledgement of the last episode does not cover it.
    Move.REOPEN: Row(Phase.RAISED, _BACK, _NOBODY, _HOWEVER, _FRESH, _OPEN),
    Move.RING_AGAIN: Row(Phase.RAISED, _GOES_ON, _NOBODY, _HOWEVER, _FRESH, _OPEN),
    Move.UPDATE: Row(Phase.UPDATED, _ANY, _WHOEVER, _HOWEVER, _EITHER, _OPEN),
    Move.ASSIGN: Row(Phase.UPDATED, _ANY, _WHOEVER, _HOWEVER, _EITHER, _OPEN),
    Move.CONTINUE: Row(Phase.CONTINUED, _VISIBLE, _WHOEVER, _HOWEVER, _EITHER, _OPEN),
    Move.ESCALATE: Row(Phase.ESCALATED, _GOES_ON, _NOBODY, _BREAK_THROUGH, _FRESH, _OPEN),
    Move.ESCALATE_TIER: Row(Phase.ESCALATED, _GOES_ON, _UNANSWERED, _HOWEVER, _EITHER, _OPEN),
    Move.DEESCALATE: Row(Phase.DEESCALATED, _GOES_ON, _WHOEVER, _HOWEVER, _FRESH, _OPEN),
    Move.ACKNOWLEDGE: Row(Phase.ACKNOWLEDGED, _SEEN, _ACCEPT, _HOWEVER, _EITHER, _OPEN),
    Move.ACKNOWLEDGE_LATCHED: Row(Phase.ACKNOWLEDGED, _UNLATCH, _ACCEPT, _HOWEVER, _EITHER, _OPEN),
    Move.UNACKNOWLEDGE: Row(Phase.UNACKNOWLEDGED, _GOES_ON, _GIVE_BACK, _HOWEVER, _EITHER, _OPEN),
    Move.EXPIRE: Row(Phase.UNACKNOWLEDGED, _GOES_ON, _RUN_OUT, _HOWEVER, _EITHER, _OPEN),
    Move.REJECT: Row(Phase.REJECTED, _VISIBLE, _REFUSE, _HOWEVER, _EITHER, _OPEN),
    Move.SNOOZE: Row(Phase.SNOOZED, _VISIBLE, _WHOEVER, _SNOOZE, _EITHER, _OPEN),
    Move.UNSNOOZE: Row(Phase.UNSNOOZED, _ANY, _WHOEVER, _UNSNOOZE, _EITHER, _OPEN),
    Move.SILENCE: _held(Suppression.SILENCED),
    Move.INHIBIT: _held(Suppression.INHIBITED),
    Move.MAINTAIN: _held(Suppression.MAINTENANCE),
    Move.RETIRE: _held(Suppression.OUT_OF_SERVICE),
    Move.RELEASE: _released(Suppression.NONE),
    Move.RELEASE_SNOOZED: _released(Suppression.SNOOZED),
    Move.STALE: Row(Phase.STALE, _GOES_ON, _WHOEVER, _HOWEVER, {False: True}, _OPEN),
    Move.REFRESH: Row(Phase.REFRESHED, _GOES_ON, _WHOEVER, _HOWEVER, {True: False}, _OPEN),
    Move.CLEAR: Row(Phase.CLEARED, _OVER, _WHOEVER, _HOWEVER, _FRESH, _OPEN),
    Move.CLEAR_LATCHED: Row(Phase.CLEARED, _LATCH, _UNSEEN, _HOWEVER, _FRESH, _OPEN),
    Move.RESOLVE: Row(Phase.RESOLVED, _STAYS_OVER, _WHOEVER, _HOWEVER, _FRESH, _END),
    Move.CLOSE: Row(Phase.RESOLVED, _ANY, _WHOEVER, _HOWEVER, _EITHER, _END),
    Move.RETRACT: Row(Phase.RETRACTED, _ANY, _WHOEVER, _HOWEVER, _EITHER, _RETRACTED),
    Move.FEEDBACK: Row(Phase.FEEDBACK, _ANY, _WHOEVER, _HOWEVER, _EITHER, _stay(Resolution)),
}


def may(axes: Axes, move: Move) -> bool:
    """Say whether `move` is possible from `axes`.

    Examples
    --------
    >>> may(Axes(Condition.ACTIVE, stale=True), Move.CLEAR)
    False
    """
    row = TRANSITIONS[move]
    return (
        axes.condition in row.condition
        and axes.responsibility in row.responsibility
        and axes.suppression in row.suppression
        and axes.stale in row.stale
        and axes.resolution in row.resolution
    )


def apply(axes: Axes, move: Move) -> tuple[Phase, Axes]:
    """Return the phase that `move` publishes and the axes after it.

    Raises
    ------
    ValueError
        If the table does not allow the move: a programming error, never bad data.
    """
    if not may(axes, move):
        raise ValueError(f"no transition {move} from {axes}")
    row = TRANSITIONS[move]
    condition = row.condition[axes.condition]
    after = Axes(
        condition=condition,
        responsibility=row.responsibility[axes.responsibility],
        suppression=row.suppression[axes.suppression],
        stale=row.stale[axes.stale],
        latched=condition is Condition.LATCHED,
        resolution=row.resolution[axes.resolution],
    )
    return row.phase, after
