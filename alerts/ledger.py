"""The occurrences of one patient: those open, one per condition, and the last few closed.

Invariant: a closed occurrence is never opened again, an open one is never forgotten. Not here: why
they change (`alerts.clinical`, `alerts.technical`, `alerts.timers`, `alerts.commands`).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from alerts import occurrence, suppress, timers
from alerts.alert import (
    PRIORITY_RANK,
    AlertEvent,
    Condition,
    Resolution,
    Responsibility,
    Suppression,
    Trigger,
)
from alerts.lifecycle import HELD_BACK, Move, may
from alerts.occurrence import Changed, Labels, Moment, Occurrence, Start
from alerts.policy import Policy
from alerts.rules import to_us
from alerts.suppress import Scene, Standing

MAX_CLOSED = 4  # closed occurrences kept, so that feedback still finds them

Events = tuple[AlertEvent, ...]

_HOLD: Final = {
    Suppression.OUT_OF_SERVICE: Move.RETIRE,
    Suppression.MAINTENANCE: Move.MAINTAIN,
    Suppression.INHIBITED: Move.INHIBIT,
    Suppression.SILENCED: Move.SILENCE,
    Suppression.SNOOZED: Move.RELEASE_SNOOZED,
    Suppression.NONE: Move.RELEASE,
}
_WHY_HELD: Final = {
    Suppression.OUT_OF_SERVICE: "What it watches is switched off",
    Suppression.MAINTENANCE: "Maintenance is under way",
    Suppression.INHIBITED: "A more telling alert speaks for it",
    Suppression.SILENCED: "A silence is in force",
    Suppression.SNOOZED: "Only its snooze still holds it back",
    Suppression.NONE: "Nothing holds it back any more",
}


class Ledger:
    """Open and closed occurrences of one patient, by condition code.

    `onsets_us` holds the last onset of every condition ever raised: ids are made of onsets, so a
    condition never starts twice at the same one. `standing` and `labels` are what holds beyond one
    alert; `retired` are codes of conditions whose devices are off.
    """

    __slots__ = ("closed", "labels", "onsets_us", "open", "policy", "retired", "standing",
                 "subject")  # fmt: skip

    def __init__(self, policy: Policy, subject: str) -> None:
        self.policy = policy
        self.subject = subject
        self.open: dict[str, Occurrence] = {}
        self.closed: tuple[Occurrence, ...] = ()
        self.onsets_us: dict[str, int] = {}
        self.standing = Standing()
        self.labels = Labels()
        self.retired: tuple[str, ...] = ()

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
        code = occ.code
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
        who = (self.subject, self.labels)
        occ, event = occurrence.begin(self.policy, who, start, moment, cause, **fields)
        held = suppress.held(occ, self._scene(moment.recorded_us))
        if held.suppression is not Suppression.NONE:  # born quiet: nobody is called first
            occ, event = occurrence.begin(
                self.policy, who, start, moment, cause, **fields, held=held
            )
        self.keep(occ)
        return (event,)

    def ring_again(self, occ: Occurrence, moment: Moment, cause: str, **fields: Any) -> Events:
        """Raise anew what is still there: as after a return, nobody has it until they take it."""
        demands = self.policy.priorities[occ.record.priority]
        now_us = moment.recorded_us
        occ = replace(occ, accepted_until_us=0, reminded=False, unacked_since_us=now_us)
        changed = occurrence.change(
            occ,
            Move.RING_AGAIN,
            moment,
            cause,
            tier=1,
            episode_count=occ.record.episode_count + 1,
            review_due_us=now_us + to_us(demands.review_s),
            expires_us=occurrence.expires_us(occ),
            **fields,
        )
        return self.kept(changed)

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
        if past_us < self.policy.rejoin_us(code):
            return ()
        return self.kept(timers.resolve(occ, moment))

    def settle(self, now_us: int) -> Events:
        """Hold back what is to be held back now, and let go of what is not.

        Conditions are taken in an order in which every source of inhibition comes before its
        targets, so that one pass is enough.
        """
        self.standing = self.standing.without_past(now_us)
        events: Events = ()
        for code in sorted(self.open, key=lambda code: (suppress.rank(code, self.policy), code)):
            events += self._hold(self.open[code], now_us)
        return events

    def locate(self, labels: Labels, moment: Moment) -> Events:
        """Note where the patient is now, on every open alert too."""
        self.labels = labels
        events: Events = ()
        for occ in tuple(self.open.values()):
            fields = occurrence.places(occ.record, labels, self.policy)
            words = "The patient was moved"
            events += self.kept(occurrence.change(occ, Move.UPDATE, moment, words, **fields))
        return events

    def _scene(self, now_us: int) -> Scene:
        """Return what decides about holding back."""
        return Scene(self.policy, self.standing, self.open, self.retired, now_us)

    def _hold(self, occ: Occurrence, now_us: int) -> Events:
        """Bring one occurrence's suppression to what it should be."""
        is_, by = occ.record.state.suppression, occ.record.suppressed_by
        wanted = suppress.held(occ, self._scene(now_us))
        if wanted == (is_, by) or (is_ not in HELD_BACK and wanted.suppression not in HELD_BACK):
            return ()
        if wanted.suppression is Suppression.NONE:
            occ = replace(occ, unacked_since_us=now_us)
        moment = Moment(now_us, now_us, trigger=Trigger.ALERT)
        cause = _WHY_HELD[wanted.suppression]
        move = _HOLD[wanted.suppression]
        return self.kept(occurrence.change(occ, move, moment, cause, suppressed_by=wanted.by))

    def _reopen(self, start: Start, moment: Moment, cause: str, fields: dict[str, Any]) -> Events:
        """Rejoin the occurrence that had cleared; a higher priority breaks through first."""
        occ = self.open[start.code]
        events: Events = ()
        higher = PRIORITY_RANK[start.priority] > PRIORITY_RANK[occ.record.priority]
        if higher and occ.record.state.suppression is not Suppression.NONE:
            snoozed = occ.record.state.suppression is Suppression.SNOOZED
            move = Move.UNSNOOZE if snoozed else Move.RELEASE
            occ = replace(occ, snoozed_until_us=0, broke_through_us=moment.recorded_us)
            words = "A higher priority breaks through"
            events = self.kept(occurrence.change(occ, move, moment, words, suppressed_by=None))
            occ = self.open[start.code]
        demands = self.policy.priorities[start.priority]
        occ = replace(
            occ,
            finding=start.finding,
            level=start.level,
            calm=start.calm,
            latch_due=occ.latch_due or self.policy.latches(start.code, start.priority),
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
