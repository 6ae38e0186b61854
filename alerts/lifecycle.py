"""How an occurrence may move: one table, read by the machine, the commands and the tests.

Not here: when it moves (`alerts.conditions`, `alerts.timers`) or who may ask (`alerts.commands`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from alerts.alert import Axes, Condition, Phase, Resolution, Responsibility, Suppression

A, L, C = Condition.ACTIVE, Condition.LATCHED, Condition.CLEARED


class Move(StrEnum):
    """Everything that can happen to an open occurrence. Several moves may share a phase."""

    REOPEN = "reopen"  # the condition came back before the occurrence was resolved
    UPDATE = "update"
    CONTINUE = "continue"
    ESCALATE = "escalate"  # a higher priority, by physiology
    ESCALATE_TIER = "escalate_tier"  # nobody answered in time
    DEESCALATE = "deescalate"
    ACKNOWLEDGE = "acknowledge"
    ACKNOWLEDGE_LATCHED = "acknowledge_latched"  # seen after it had ended
    UNACKNOWLEDGE = "unacknowledge"
    REJECT = "reject"
    SNOOZE = "snooze"
    UNSNOOZE = "unsnooze"
    STALE = "stale"
    REFRESH = "refresh"
    CLEAR = "clear"
    CLEAR_LATCHED = "clear_latched"  # ended, but unseen at a latching priority
    RESOLVE = "resolve"  # by itself, some time after it cleared
    CLOSE = "close"  # by a person, from any state
    RETRACT = "retract"
    FEEDBACK = "feedback"


class Transition(NamedTuple):
    """A row of the table: the phase published, where it may start, what it sets."""

    phase: Phase
    conditions: tuple[Condition, ...]
    sets: Mapping[str, Any]
    responsibility: tuple[Responsibility, ...] = tuple(Responsibility)
    suppression: tuple[Suppression, ...] = tuple(Suppression)
    stale: tuple[bool, ...] = (False, True)
    resolution: tuple[Resolution, ...] = (Resolution.OPEN,)


UNSEEN: Final = (Responsibility.NONE, Responsibility.REJECTED)
ACCEPTED: Final = (Responsibility.ACCEPTED,)
FRESH: Final = (False,)
ACCEPT: Final = {"responsibility": Responsibility.ACCEPTED}
REALARM: Final = {"responsibility": Responsibility.NONE, "suppression": Suppression.NONE}

TRANSITIONS: Final[Mapping[Move, Transition]] = {
    # Coming back is a new alarm: an acknowledgement of the last episode does not cover it.
    Move.REOPEN: Transition(
        Phase.RAISED,
        (C, L),
        {"condition": A, "latched": False, "responsibility": Responsibility.NONE},
    ),
    Move.UPDATE: Transition(Phase.UPDATED, (A,), {}),
    Move.CONTINUE: Transition(Phase.CONTINUED, (A, L), {}),
    Move.ESCALATE: Transition(Phase.ESCALATED, (A,), REALARM, stale=FRESH),
    Move.ESCALATE_TIER: Transition(Phase.ESCALATED, (A,), {}, responsibility=UNSEEN),
    Move.DEESCALATE: Transition(Phase.DEESCALATED, (A,), {}, stale=FRESH),
    Move.ACKNOWLEDGE: Transition(Phase.ACKNOWLEDGED, (A, C), ACCEPT),
    Move.ACKNOWLEDGE_LATCHED: Transition(
        Phase.ACKNOWLEDGED, (L,), {**ACCEPT, "condition": C, "latched": False}
    ),
    Move.UNACKNOWLEDGE: Transition(
        Phase.UNACKNOWLEDGED,
        (A,),
        {"responsibility": Responsibility.NONE},
        responsibility=ACCEPTED,
    ),
    Move.REJECT: Transition(Phase.REJECTED, (A, L), {"responsibility": Responsibility.REJECTED}),
    Move.SNOOZE: Transition(Phase.SNOOZED, (A, L), {"suppression": Suppression.SNOOZED}),
    Move.UNSNOOZE: Transition(
        Phase.UNSNOOZED,
        (A, L, C),
        {"suppression": Suppression.NONE},
        suppression=(Suppression.SNOOZED,),
    ),
    Move.STALE: Transition(Phase.STALE, (A,), {"stale": True}, stale=FRESH),
    Move.REFRESH: Transition(Phase.REFRESHED, (A,), {"stale": False}, stale=(True,)),
    Move.CLEAR: Transition(Phase.CLEARED, (A,), {"condition": C}, stale=FRESH),
    Move.CLEAR_LATCHED: Transition(
        Phase.CLEARED, (A,), {"condition": L, "latched": True}, UNSEEN, stale=FRESH
    ),
    Move.RESOLVE: Transition(Phase.RESOLVED, (C,), {"resolution": Resolution.CLOSED}, stale=FRESH),
    Move.CLOSE: Transition(Phase.RESOLVED, (A, L, C), {"resolution": Resolution.CLOSED}),
    Move.RETRACT: Transition(Phase.RETRACTED, (A, L, C), {"resolution": Resolution.RETRACTED}),
    Move.FEEDBACK: Transition(Phase.FEEDBACK, (A, L, C), {}, resolution=tuple(Resolution)),
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
        axes.condition in row.conditions
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
    return row.phase, msgspec.structs.replace(axes, **row.sets)
