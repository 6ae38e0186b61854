"""What people and services may do to an occurrence: one table of actions, pure checks, effects.

Not here: finding the occurrence and repeated commands (`alerts.machine`), commands that are about
no single alert (`alerts.requests`), who is who (the service that puts commands on the log). A
command that cannot apply is refused with words for a person, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from alerts import occurrence
from alerts.alert import Action, Condition, Resolution, Trigger
from alerts.lifecycle import Move, may
from alerts.occurrence import MAX_ACTIONS, Changed, Moment, Occurrence, change
from alerts.policy import Policy
from alerts.rules import to_us
from alerts.words import clean, nearest
from streams.records import ANYONE, AlertCommand, Reason

MAX_WORDS = 2000  # characters of a reason or comment
MAX_NAME = 200  # characters of an id, actor or role
OUTCOMES: Final = ("actionable", "not-actionable", "artefact", "known-condition")
CODES: Final = (  # coded reason of an outcome, after a slash
    "motion",
    "loose-sensor",
    "wrong-patient",
    "usual-for-patient",
    "already-treated",
    "end-of-life-care",
    "delayed",
    "other",
)


class Ask(NamedTuple):
    """One action: the move it makes on an occurrence, and what it must bring."""

    move: Move | None  # None: it is about no single alert
    reason: bool = False  # must say why
    broadcast: bool = False  # may be addressed to every patient


ASKS: Final[dict[str, Ask]] = {
    "acknowledge": Ask(Move.ACKNOWLEDGE),
    "unacknowledge": Ask(Move.UNACKNOWLEDGE),
    "reject": Ask(Move.REJECT),
    "snooze": Ask(Move.SNOOZE, reason=True),
    "unsnooze": Ask(Move.UNSNOOZE),
    "assign": Ask(Move.ASSIGN, reason=True),
    "comment": Ask(Move.FEEDBACK, reason=True),
    "feedback": Ask(Move.FEEDBACK, reason=True),
    "resolve": Ask(Move.CLOSE),
    "retract": Ask(Move.RETRACT, reason=True),
    "discharge": Ask(Move.CLOSE),
    "withdraw_consent": Ask(Move.CLOSE),
    "silence": Ask(None, reason=True, broadcast=True),
    "maintenance": Ask(None, reason=True, broadcast=True),
    "unsilence": Ask(None, broadcast=True),
    "lost": Ask(None, reason=True, broadcast=True),
    "regained": Ask(None, broadcast=True),
    "locate": Ask(None),
    "use_model": Ask(None, reason=True, broadcast=True),
}
CLOSE_ALL: Final = ("discharge", "withdraw_consent")  # name the patient, not an occurrence


class Refused(NamedTuple):
    """A command that changed nothing, and why; the engine makes it a `Rejected` record."""

    reason: Reason
    detail: str


Effect = tuple[Occurrence, dict[str, Any]]


def check(command: AlertCommand, policy: Policy, patient_id: str) -> Refused | None:
    """Judge a command by itself: known action, addressee, role, bounded words, a reason if due.

    Parameters
    ----------
    command : AlertCommand
        Any.
    policy : Policy
        Its `roles` say who may do what; an action that is not listed anybody may.
    patient_id : str
        Whose machine was asked.
    """
    ask = ASKS.get(command.action)
    if ask is None:
        near = nearest(command.action[:MAX_NAME], ASKS)
        return refuse(f"unknown action {clean(command.action[:MAX_NAME])!r}; {near}")
    names = (command.command_id, command.actor, command.role)
    if not (command.command_id and command.actor) or max(map(len, names)) > MAX_NAME:
        return refuse(f"command_id and actor must be given, and with role at most {MAX_NAME} long")
    return _addressee(command, ask, patient_id) or _role(command, policy) or _reason(command, ask)


def _addressee(command: AlertCommand, ask: Ask, patient_id: str) -> Refused | None:
    """Refuse what is meant for somebody else."""
    if command.patient_id == patient_id or (ask.broadcast and command.patient_id == ANYONE):
        return None
    if command.patient_id == ANYONE:
        return refuse(f"{command.action} must name one patient")
    return refuse("the command is for another patient")


def _role(command: AlertCommand, policy: Policy) -> Refused | None:
    """Refuse who may not do it."""
    allowed = policy.roles.get(command.action)
    if allowed is None or command.role in allowed:
        return None
    return refuse(f"{command.action} is for {', '.join(allowed)}, not {clean(command.role)!r}")


def _reason(command: AlertCommand, ask: Ask) -> Refused | None:
    """Refuse words that are too many, missing, or not coded where a code is due."""
    if len(command.reason) > MAX_WORDS:
        return refuse(f"reason has {len(command.reason)} characters, more than {MAX_WORDS}")
    if ask.reason and not command.reason.strip():
        return refuse(f"{command.action} needs a reason")
    if command.action != "feedback":
        return None
    outcome, code = coded(command.reason)
    if outcome not in OUTCOMES:
        near = nearest(outcome[:MAX_NAME], OUTCOMES)
        return refuse(f"feedback must begin with one of {', '.join(OUTCOMES)}; {near}")
    if code and code not in CODES:
        return refuse(f"unknown reason code {clean(code)!r}; {nearest(code[:MAX_NAME], CODES)}")
    return None


def coded(reason: str) -> tuple[str, str]:
    """Return the outcome and the reason code a feedback begins with; the code may be empty.

    Examples
    --------
    >>> coded("artefact/motion: turned in bed"), coded("actionable")
    (('artefact', 'motion'), ('actionable', ''))
    """
    outcome, _, code = reason.partition(":")[0].partition("/")
    return outcome.strip(), code.strip()


def for_everyone(command: AlertCommand) -> bool:
    """Say whether a command to `streams.records.ANYONE` is about every patient.

    Others sent there are about the alerts of who stands for all, a fleet outage say.
    """
    ask = ASKS.get(command.action)
    return ask is not None and ask.broadcast


def apply(
    occ: Occurrence, policy: Policy, command: AlertCommand, recorded_us: int
) -> Changed | Refused:
    """Carry out a checked command on the occurrence it names.

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
        return refuse(f"the occurrence is {record.state.resolution}")
    if command.expected_seq != -1 and not record.state_seq <= command.expected_seq <= record.seq:
        expected = f"expected_seq {command.expected_seq} is outdated"
        return refuse(f"{expected}: the state is of seq {record.state_seq}")
    if not may(record.state, move):
        return refuse(f"cannot {command.action} while {_state_words(occ)}")
    effect = EFFECTS.get(command.action, _no_effect)(occ, policy, command, recorded_us)
    if isinstance(effect, Refused):
        return effect
    occ, fields = effect
    action = _action(occ, command, recorded_us)
    actions = (*record.actions, action)[-MAX_ACTIONS:]
    expires_us = occurrence.expires_us(occ)
    cause = f"{command.action.replace('_', ' ').capitalize()} by {clean(command.actor)}"
    cause += f": {clean(command.reason)}" if command.reason.strip() else ""
    moment = Moment(recorded_us, recorded_us, trigger=Trigger.COMMAND)
    return change(occ, move, moment, cause, actions=actions, expires_us=expires_us, **fields)


def _acknowledge(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Accept, for as long as asked but never longer than the policy allows."""
    latest_us = now_us + to_us(policy.priorities[occ.record.priority].ack_s)
    until_us = min(command.until_us or latest_us, latest_us)
    if until_us <= now_us:
        return refuse("until_us is not after now")
    return replace(occ, accepted_until_us=until_us, reminded=False, latch_due=False), {}


def _unacknowledge(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Give it back."""
    latching = policy.latches(occ.code, occ.record.priority)
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
        latch_due=occ.latch_due or policy.latches(occ.code, occ.record.priority),
    )
    return refused, {"tier": tier}


def _snooze(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Hold the signal back for a bounded time."""
    longest_s = policy.priorities[occ.record.priority].snooze_max_s
    if not now_us < command.until_us <= now_us + to_us(longest_s):
        return refuse(f"until_us must be at most {longest_s:g} s ahead")
    return replace(occ, snoozed_until_us=command.until_us), {}


def _unsnooze(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Let the signal sound again."""
    if occ.snoozed_until_us == 0:
        return refuse(f"cannot unsnooze while {_state_words(occ)}")
    return replace(occ, snoozed_until_us=0, unacked_since_us=now_us), {}


def _assign(
    occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int
) -> Effect | Refused:
    """Name who is to look after it: the first word of the reason. It changes no responsibility."""
    assignee = clean(command.reason).split(" ")[0]
    if len(assignee) > MAX_NAME:
        return refuse(f"the assignee's name must have at most {MAX_NAME} characters")
    return occ, {"assignee": assignee}


def _close(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """End the occurrence for good; no clock of it runs on."""
    ended = replace(occ, accepted_until_us=0, snoozed_until_us=0)
    words = clean(command.reason)
    return ended, {"closed_reason": command.action + (f": {words}" if words else "")}


def _no_effect(occ: Occurrence, policy: Policy, command: AlertCommand, now_us: int) -> Effect:
    """Leave the clocks alone."""
    return occ, {}


EFFECTS: Final[dict[str, Callable[[Occurrence, Policy, AlertCommand, int], Effect | Refused]]] = {
    "acknowledge": _acknowledge,
    "unacknowledge": _unacknowledge,
    "reject": _reject,
    "snooze": _snooze,
    "unsnooze": _unsnooze,
    "assign": _assign,
    "resolve": _close,
    "retract": _close,
    **dict.fromkeys(CLOSE_ALL, _close),
}


def _move(occ: Occurrence, action: str) -> Move:
    """Return the row of the table; a latched alert that is seen is also over."""
    latched = occ.record.state.condition is Condition.LATCHED
    if action == "acknowledge" and latched:
        return Move.ACKNOWLEDGE_LATCHED
    move = ASKS[action].move
    assert move is not None  # those without are `alerts.requests`
    return move


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
        by=clean(command.actor),
        role=clean(command.role),
        at_us=at_us,
        until_us=until_us,
        reason=clean(command.reason) or None,
        client=None,
        outcome=coded(command.reason)[0] if command.action == "feedback" else None,
    )


def _state_words(occ: Occurrence) -> str:
    """Say where an occurrence stands."""
    state = occ.record.state
    return f"{state.condition}, responsibility {state.responsibility}, {state.suppression}"


def refuse(detail: str) -> Refused:
    """Return a refusal in words for a person."""
    return Refused(Reason.BAD_COMMAND, detail)
