"""The occurrences of one patient: those open, one per condition, and the last few closed.

Invariant: a closed occurrence is never opened again, an open one is never forgotten. Not here: why
they change (`alerts.clinical`, `alerts.technical`, `alerts.timers`, `alerts.commands`).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from alerts import occurrence, timers
from alerts.alert import (
    PRIORITY_RANK,
    AlertEvent,
    Condition,
    Resolution,
    Responsibility,
    Suppression,
)
from alerts.lifecycle import Move, may
from alerts.occurrence import Changed, Moment, Occurrence, Start
from alerts.policy import Policy, to_us

MAX_CLOSED = 4  # closed occurrences kept, so that feedback still finds them

Events = tuple[AlertEvent, ...]


class Ledger:
    """Open and closed occurrences of one patient, by condition code.

    `onsets_us` holds the last onset of every condition ever raised: ids are made of onsets, so a
    condition never starts twice at the same one.
    """

    __slots__ = ("closed", "onsets_us", "open", "policy", "subject")

    def __init__(self, policy: Policy, subject: str) -> None:
        self.policy = policy
        self.subject = subject
        self.open: dict[str, Occurrence] = {}
        self.closed: tuple[Occurrence, ...] = ()
        self.onsets_us: dict[str, int] = {}

    def find(self, occurrence_id: str) -> Occurrence | None:
        """Return an occurrence by its id, None if it is unknown or long closed."""
        for occ in (*self.open.values(), *self.closed):
            if occ.record.occurrence_id == occurrence_id:
                return occ
        return None

    def active(self, code: str) -> Occurrence | None:
        """Return the open occurrence of `code` if its condition is there now."""
        occ = self.open.get(code)
        there = occ is not None and occ.record.state.condition is Condition.ACTIVE
        return occ if there else None

    def keep(self, occ: Occurrence) -> None:
        """Store an occurrence after a change, among the open or the closed."""
        code = occ.record.condition.code
        if occ.record.state.resolution is Resolution.OPEN:
            self.open[code] = occ
            return
        others = [old for old in self.closed if _id(old) != _id(occ)]
        if _id(self.open.get(code)) == _id(occ):
            del self.open[code]
            self.closed = (*others, occ)[-MAX_CLOSED:]
        else:  # feedback on a closed one keeps its place
            self.closed = tuple(occ if _id(old) == _id(occ) else old for old in self.closed)

    def kept(self, changed: Changed) -> Events:
        """Store a change and return its event."""
        self.keep(changed[0])
        return (changed[1],)

    def begin(self, start: Start, moment: Moment, cause: str, **fields: Any) -> Events:
        """Raise a condition: a new occurrence, or the open one if it had not been resolved."""
        if start.code in self.open:
            return self._reopen(start, moment, cause, fields)
        onset_us = max(start.onset_us, self.onsets_us.get(start.code, start.onset_us - 1) + 1)
        self.onsets_us[start.code] = onset_us
        start = start._replace(onset_us=onset_us)
        return self.kept(
            occurrence.begin(self.policy, self.subject, start, moment, cause, **fields)
        )

    def clear(self, code: str, moment: Moment, cause: str, **fields: Any) -> Events:
        """End a condition: latched if it should have been seen and was not."""
        occ = self.open[code]
        seen = occ.record.state.responsibility is Responsibility.ACCEPTED
        move = Move.CLEAR_LATCHED if occ.latch_due and not seen else Move.CLEAR
        occ = replace(occ, level=-1, cleared_recorded_us=moment.recorded_us)
        changed = occurrence.change(occ, move, moment, cause, cleared_us=moment.event_us, **fields)
        return self.kept(changed)

    def resolve_due(self, code: str, moment: Moment) -> Events:
        """Resolve what cleared long enough ago in event time."""
        occ = self.open.get(code)
        if occ is None or not may(occ.record.state, Move.RESOLVE):
            return ()
        past_us = moment.event_us - (occ.record.cleared_us or 0)
        if past_us < timers.rejoin_us(occ, self.policy):
            return ()
        return self.kept(timers.resolve(occ, moment))

    def _reopen(self, start: Start, moment: Moment, cause: str, fields: dict[str, Any]) -> Events:
        """Rejoin the occurrence that had cleared; a higher priority ends its snooze first."""
        occ = self.open[start.code]
        events: Events = ()
        higher = PRIORITY_RANK[start.priority] > PRIORITY_RANK[occ.record.priority]
        if higher and occ.record.state.suppression is Suppression.SNOOZED:
            occ = replace(occ, snoozed_until_us=0)
            events = self.kept(
                occurrence.change(occ, Move.UNSNOOZE, moment, "A higher priority breaks through")
            )
            occ = self.open[start.code]
        demands = self.policy.priorities[start.priority]
        occ = replace(
            occ,
            finding=start.finding,
            level=start.level,
            latch_due=occ.latch_due or demands.latching,
            accepted_until_us=0,
            reminded=False,
            unacked_since_us=moment.recorded_us,
            cleared_recorded_us=0,
        )
        changed = occurrence.change(
            occ,
            Move.REOPEN,
            moment,
            f"Back again: {cause}",
            priority=start.priority,
            tier=1,
            episode_count=occ.record.episode_count + 1,
            cleared_us=None,
            review_due_us=moment.recorded_us + to_us(demands.review_s),
            expires_us=occurrence.expires_us(occ),
            **fields,
        )
        return events + self.kept(changed)


def _id(occ: Occurrence | None) -> str:
    """Return an occurrence's id; empty for none."""
    return "" if occ is None else occ.record.occurrence_id
