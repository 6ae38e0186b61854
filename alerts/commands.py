"""What people and services may do to an occurrence: one table of actions, pure checks, effects.

Not here: finding the occurrence and repeated commands (`alerts.machine`), who may send one (the
service). A command that cannot apply is refused with words for a person, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from alerts import occurrence
from alerts.alert import Action, Condition, Resolution
from alerts.lifecycle import Move, may
from alerts.occurrence import MAX_ACTIONS, Changed, Moment, Occurrence, change
from alerts.policy import Policy, nearest, to_us
from streams.records import AlertCommand, Reason

MAX_WORDS = 2000  # characters of a reason or comment
MAX_NAME = 200  # characters of an id, actor or role
OUTCOMES: Final = ("actionable", "not-actionable", "artefact", "known-condition")
CLOSE_ALL: Final = ("discharge", "withdraw_consent")  # name the patient, not an occurrence
NEEDS_REASON: Final = ("snooze", "retract", "comment", "feedback")

MOVES: Final[dict[str, Move]] = {
    "acknowledge": Move.ACKNOWLEDGE,
    "unacknowledge": Move.UNACKNOWLEDGE,
    "reject": Move.REJECT,
    "snooze": Move.SNOOZE,
    "unsnooze": Move.UNSNOOZE,
    "resolve": Move.CLOSE,
    "retract": Move.RETRACT,
    "comment": Move.FEEDBACK,
    "feedback": Move.FEEDBACK,
    **dict.fromkeys(CLOSE_ALL, Move.CLOSE),
}


class Refused(NamedTuple):
    """A command that changed nothing, and why; the engine makes it a `Rejected` record."""

    reason: Reason
    detail: str


Effect = tuple[Occurrence, dict[str, Any]]


def check(command: AlertCommand) -> Refused | None:
    """Judge a command by itself: known action, bounded words, a reason where one is due."""
    if command.action not in MOVES:
        return _refuse(f"unknown action {command.action[:MAX_NAME]!r}; {_near(command.action)}")
    names = (command.command_id, command.actor, command.role)
    if not command.command_id or max(map(len, names)) > MAX_NAME:
        return _refuse(f"command_id, actor and role must have at most {MAX_NAME} characters")
    if len(command.reason) > MAX_WORDS:
        return _refuse(f"reason has {len(command.reason)} characters, more than {MAX_WORDS}")
    if command.action in NEEDS_REASON and not command.reason.strip():
        return _refuse(f"{command.action} needs a reason")
    if command.action == "feedback" and _outcome(command) not in OUTCOMES:
        return _refuse(f"feedback must begin with one of {', '.join(OUTCOMES)}")
    return None


def apply(
    occ: Occurrence, policy: Policy, command: AlertCommand, recorded_us: int
) -> Changed | Refused:
    """Carry out a checked command.

    Parameters
    ----------
    occ : Occurrence
        The occurrence it names, open or closed.
    policy : Policy
        The policy in force.
    command : AlertCommand
        Has passed `check`. `expected_seq` is any seq since the last change of priority,
        responsibility or resolution, so that `continued` and `updated` refuse nobody.
    recorded_us : int
        Append time of the command.

    Returns
    -------
    Changed or Refused
    """
    record = occ.record
    move = _move(occ, command.action)
    if record.state.resolution is not Resolution.OPEN and move is not Move.FEEDBACK:
        return _refuse(f"the occurrence is {record.state.resolution}")
    if command.expected_seq != -1 and not record.state_seq <= command.expected_seq <= record.seq:
        expected = f"expected_seq {command.expected_seq} is outdated"
        return _refuse(f"{expected}: the state is of seq {record.state_seq}")
    if not may(record.state, move):
        return _refuse(f"cannot {command.action} while {_state_words(occ)}")
    effect = EFFECTS.get(command.action, _no_effect)(occ, policy, command, recorded_us)
    if isinstance(effect, Refused):
        return effect
    occ, fields = effect
    action = _action(occ, command, recorded_us)
    actions = (*record.actions, action)[-MAX_ACTIONS:]
    expires_us = occurrence.expires_us(occ)
    cause = f"{command.action.replace('_', ' ').capitalize()} by {command.actor}"
    cause += f": {command.reason}" if command.reason else ""
    moment = Moment(recorded_us, recorded_us)
    return change(occ, move, moment, cause, actions=actions, expires_us=expires_us, **fields)


def _acknowledge(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Accept, for as long as asked but never longer than the policy allows."""
    latest_us = now_us + to_us(policy.priorities[occ.record.priority].ack_s)
    until_us = min(command.until_us or latest_us, latest_us)
    if until_us <= now_us:
        return _refuse("until_us is not after now")
    return replace(occ, accepted_until_us=until_us, reminded=False, latch_due=False), {}


def _unacknowledge(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Give it back."""
    latching = policy.priorities[occ.record.priority].latching
    given_back = replace(occ, accepted_until_us=0, unacked_since_us=now_us, latch_due=latching)
    return given_back, {}


def _reject(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Refuse responsibility: the next tier at once."""
    demands = policy.priorities[occ.record.priority]
    tier = min(occ.record.tier + 1, max(demands.max_tier, occ.record.tier))
    refused = replace(
        occ,
        accepted_until_us=0,
        unacked_since_us=now_us,
        latch_due=occ.latch_due or demands.latching,
    )
    return refused, {"tier": tier}


def _snooze(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Hold the signal back for a bounded time."""
    longest_s = policy.priorities[occ.record.priority].snooze_max_s
    if not now_us < command.until_us <= now_us + to_us(longest_s):
        return _refuse(f"until_us must be at most {longest_s:g} s ahead")
    return replace(occ, snoozed_until_us=command.until_us), {}


def _unsnooze(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Let the signal sound again."""
    return replace(occ, snoozed_until_us=0, unacked_since_us=now_us), {}


def _close(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """End the occurrence for good; no clock of it runs on."""
    ended = replace(occ, accepted_until_us=0, snoozed_until_us=0)
    reason = command.action + (f": {command.reason}" if command.reason else "")
    return ended, {"closed_reason": reason}


def _no_effect(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Words only."""
    return occ, {}


EFFECTS: Final[dict[str, Callable[[Occurrence, Policy, AlertCommand, int], Effect | Refused]]] = {
    "acknowledge": _acknowledge,
    "unacknowledge": _unacknowledge,
    "reject": _reject,
    "snooze": _snooze,
    "unsnooze": _unsnooze,
    "resolve": _close,
    "retract": _close,
    **dict.fromkeys(CLOSE_ALL, _close),
}


def _move(occ: Occurrence, action: str) -> Move:
    """Return the row of the table; a latched alert that is seen is also over."""
    latched = occ.record.state.condition is Condition.LATCHED
    if action == "acknowledge" and latched:
        return Move.ACKNOWLEDGE_LATCHED
    return MOVES[action]


def _action(occ: Occurrence, command: AlertCommand, at_us: int) -> Action:
    """Return the entry the record keeps of a command, with the time it really holds until."""
    until_us = {
        "acknowledge": occ.accepted_until_us,
        "snooze": occ.snoozed_until_us,
    }.get(command.action)
    return Action(
        seq=occ.record.seq + 1,
        command_id=command.command_id,
        type=command.action,
        by=command.actor,
        role=command.role,
        at_us=at_us,
        until_us=until_us,
        reason=command.reason or None,
        client=None,
    )


def _outcome(command: AlertCommand) -> str:
    """Return the coded outcome a feedback begins with."""
    return command.reason.partition(":")[0].strip()


def _near(action: str) -> str:
    """Return the nearest action in words."""
    return nearest(action[:MAX_NAME], MOVES)


def _state_words(occ: Occurrence) -> str:
    """Say where an occurrence stands."""
    state = occ.record.state
    return f"{state.condition}, responsibility {state.responsibility}, {state.suppression}"


def _refuse(detail: str) -> Refused:
    """Refuse a command."""
    return Refused(Reason.BAD_COMMAND, detail)
