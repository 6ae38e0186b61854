"""What the passing of time does to an open occurrence. Ticks are the only clock.

Not here: `for` and `keep`, which run in the event time of scores (`alerts.conditions`).
A timer fires on the first tick at or after its deadline. Two due in one tick fire in the order of
`run`: what ends comes before what repeats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from alerts import occurrence
from alerts.alert import (
    AlertEvent,
    Condition,
    Resolution,
    Responsibility,
    Suppression,
    Trigger,
)
from alerts.lifecycle import Move, may
from alerts.occurrence import Changed, Moment, Occurrence, change
from alerts.policy import Policy
from alerts.policy_spec import PrioritySpec
from alerts.rules import to_us
from alerts.text import clock, span
from alerts.views import Judged, views

Timer = Callable[[Occurrence, Policy, int], "Changed | None"]


def run(occ: Occurrence, policy: Policy, now_us: int) -> tuple[Occurrence, tuple[AlertEvent, ...]]:
    """Fire every timer of an open occurrence that is due.

    Parameters
    ----------
    occ : Occurrence
        Open.
    policy : Policy
        The policy in force.
    now_us : int
        `Tick.now_us`.
    """
    events: tuple[AlertEvent, ...] = ()
    for timer in TIMERS:
        fired = timer(occ, policy, now_us)
        if fired is not None:
            occ, event = fired
            events = (*events, event)
            if occ.record.state.resolution is not Resolution.OPEN:
                break
    return occ, events


def resolve(occ: Occurrence, moment: Moment) -> Changed:
    """Close a cleared occurrence that nothing came back to."""
    return change(occ, Move.RESOLVE, moment, "It did not come back", closed_reason="cleared")


def _resolved(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Close what cleared `rejoin` ago, counted from when the clearing was recorded."""
    if occ.record.state.condition is not Condition.CLEARED:
        return None
    due_us = occ.cleared_recorded_us + policy.rejoin_us(occ.code)
    return resolve(occ, _ticked(now_us)) if now_us >= due_us else None


def _unsnoozed(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """End a snooze; the wait for an acknowledgement starts anew."""
    if not 0 < occ.snoozed_until_us <= now_us:
        return None
    occ = replace(occ, snoozed_until_us=0, unacked_since_us=now_us)
    moment = _ticked(now_us)
    expires_us = occurrence.expires_us(occ)
    return change(occ, Move.UNSNOOZE, moment, "The snooze has ended", expires_us=expires_us)


def _reminder(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Recall an acknowledgement shortly before it ends."""
    ahead_us = to_us(_demands(occ, policy).ack_reminder_s)
    near = occ.accepted_until_us - ahead_us <= now_us < occ.accepted_until_us
    if not _accepted_and_active(occ) or not near or occ.reminded:
        return None
    occ = replace(occ, reminded=True)
    cause = f"Its acknowledgement ends at {clock(occ.accepted_until_us)}"
    return change(occ, Move.CONTINUE, _ticked(now_us), cause)


def _unacknowledged(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """End an acknowledgement: the alert asks again."""
    if not _accepted_and_active(occ) or now_us < occ.accepted_until_us:
        return None
    latching = policy.latches(occ.code, occ.record.priority)
    occ = replace(occ, accepted_until_us=0, unacked_since_us=now_us, latch_due=latching)
    moment = _ticked(now_us)
    cause = "The acknowledgement has ended"
    expires_us = occurrence.expires_us(occ)
    return change(occ, Move.EXPIRE, moment, cause, expires_us=expires_us)


def _stale(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Mark an alert whose last usable score is too old."""
    if occ.score is None or not may(occ.record.state, Move.STALE):
        return None
    if now_us - occ.score.known_us < to_us(policy.conditions[occ.code].stale_after_s):
        return None
    cause = f"No usable score since {clock(occ.score.end_us)}"
    return change(occ, Move.STALE, _ticked(now_us), cause)


def _escalated(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Hand an unanswered alert to the next tier."""
    demands = _demands(occ, policy)
    wait_us = to_us(demands.escalate_after_s)
    waiting = wait_us > 0 and occ.record.tier < demands.max_tier
    heard = occ.record.state.suppression is Suppression.NONE
    if not waiting or not heard or not may(occ.record.state, Move.ESCALATE_TIER):
        return None
    if now_us - occ.unacked_since_us < wait_us:
        return None
    cause = f"Nobody acknowledged it for {span((now_us - occ.unacked_since_us) / 1e6)}"
    occ = replace(occ, unacked_since_us=now_us)
    moment = _ticked(now_us)
    return change(occ, Move.ESCALATE_TIER, moment, cause, tier=occ.record.tier + 1)


def _review(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Recall a review that is due, once; who acknowledged it may not have looked yet."""
    due_us = occ.record.review_due_us
    if due_us is None or now_us < due_us or occ.review_told_us == due_us:
        return None
    if not may(occ.record.state, Move.CONTINUE):
        return None
    occ = replace(occ, review_told_us=due_us)
    return change(occ, Move.CONTINUE, _ticked(now_us), f"Its review was due at {clock(due_us)}")


def _continued(occ: Occurrence, policy: Policy, now_us: int) -> Changed | None:
    """Repeat an alert that has been quiet for long, with its latest evidence."""
    quiet_us = now_us - occ.record.recorded_us
    if quiet_us < policy.continued_us or not may(occ.record.state, Move.CONTINUE):
        return None
    fields = {}
    if occ.score is not None:
        rule = policy.variants[occ.code].plain
        judged = Judged(occ.score, rule, occ.value, occ.limits, occ.personal)
        fields = views(judged, occ.level, occ.calm)
    cause = f"No other news for {span(quiet_us / 1e6)}"
    return change(occ, Move.CONTINUE, _ticked(now_us), cause, **fields)


TIMERS: Final[tuple[Timer, ...]] = (
    _resolved,
    _unsnoozed,
    _reminder,
    _unacknowledged,
    _stale,
    _escalated,
    _review,
    _continued,
)


def _ticked(now_us: int) -> Moment:
    """Return a moment that a tick tells."""
    return Moment(now_us, now_us, trigger=Trigger.TIMER)


def _demands(occ: Occurrence, policy: Policy) -> PrioritySpec:
    """Return what the occurrence's priority asks of people."""
    return policy.priorities[occ.record.priority]


def _accepted_and_active(occ: Occurrence) -> bool:
    """Only an acknowledgement of what still goes on runs out."""
    state = occ.record.state
    accepted = state.responsibility is Responsibility.ACCEPTED
    return accepted and state.condition is Condition.ACTIVE
