"""Conditions of the patient: scores in, changes of their occurrences out.

Not here: the decision itself (`alerts.conditions`), the occurrences (`alerts.ledger`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alerts import conditions, occurrence
from alerts.alert import Kind
from alerts.conditions import NO_LEVEL, ConditionState, Verdict
from alerts.ledger import Events, Ledger
from alerts.lifecycle import Move, may
from alerts.occurrence import Moment, Occurrence, Start
from alerts.policy import ConditionSpec, to_us
from alerts.technical import WEARABLE, modality_of
from alerts.text import number, span
from models.score import Score


class Clinical:
    """The policy's conditions of one patient.

    `states` holds the conditions that are not quiet, `seen_us` the end of the last window per
    scorer.
    """

    __slots__ = ("ledger", "seen_us", "states")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.states: dict[str, ConditionState] = {}
        self.seen_us: dict[str, int] = {}

    def on_scores(self, scores: Sequence[Score]) -> Events:
        """Judge scores in their order; see `AlertMachine.on_scores`."""
        events: Events = ()
        by_scorer = self.ledger.policy.by_scorer
        for score in scores:
            if score.end_us < self.seen_us.get(score.scorer, score.end_us):
                continue  # a backfill pages nobody and clears nothing
            self.seen_us[score.scorer] = score.end_us
            for code, spec in by_scorer.get(score.scorer, ()):
                value = conditions.value_of(score, spec.field)
                low = value is None or value < spec.levels[0].hi
                if low and code not in self.states and code not in self.ledger.open:
                    continue
                events += self._judge(code, spec, score, value)
        return events

    def forget(self, code: str) -> None:
        """Drop what is known of a condition: a person closed it, a new one starts from nothing."""
        self.states.pop(code, None)

    def pause(self, code: str) -> None:
        """Halt the clocks of an active condition until its next usable score."""
        self.states[code] = conditions.pause(self.states[code])

    def lose_signal(self, signal: str, moment: Moment, finding: str) -> Events:
        """Mark stale what rests on a lost signal; an empty `signal` takes every wearable one."""
        events: Events = ()
        for code, occ in list(self.ledger.open.items()):
            if may(occ.record.state, Move.STALE) and _rests_on(occ, signal):
                self.pause(code)
                events += self.ledger.kept(occurrence.change(occ, Move.STALE, moment, finding))
        return events

    def _judge(self, code: str, spec: ConditionSpec, score: Score, value: float | None) -> Events:
        """Step one condition by one score and tell what changed."""
        moment = Moment(score.end_us, score.known_us, score.revision > 0)
        events = self.ledger.resolve_due(code, moment)
        state = self.states.get(code)
        reading = conditions.read(score, value, spec, state)
        verdict = conditions.step(spec, state, reading)
        if verdict.state is not None:
            self.states[code] = verdict.state
        else:
            self.forget(code)
        occ = self.ledger.active(code)
        if occ is None:
            if verdict.level == NO_LEVEL or value is None:
                return events
            cause = _why_raised(spec, verdict, value, reading.severe)
            return events + self._raise(code, spec, score, verdict, cause)
        if value is None or not verdict.usable:
            return events + self._turn_stale(occ, moment, score)
        return events + self._follow(occ, spec, score, verdict.level, value)

    def _raise(
        self, code: str, spec: ConditionSpec, score: Score, verdict: Verdict, cause: str
    ) -> Events:
        """Raise a condition, or rejoin its last episode."""
        moment = Moment(score.end_us, score.known_us, score.revision > 0)
        level, onset_us = verdict.level, verdict.onset_us
        priority = spec.levels[level].priority
        start = Start(code, Kind.PHYSIOLOGICAL, spec.display, priority, onset_us, level=level)
        events = self.ledger.begin(start, moment, cause, **occurrence.views(score, spec, level))
        self.ledger.open[code] = replace(self.ledger.open[code], score=score)
        return events

    def _turn_stale(self, occ: Occurrence, moment: Moment, score: Score) -> Events:
        """Say once that the inputs are gone; the evidence stays the last usable one."""
        if occ.record.state.stale:
            return ()
        changed = occurrence.change(
            occ,
            Move.STALE,
            moment,
            "The latest score lacks inputs this alert rests on",
            missing_modalities=occurrence.missing(score),
            completeness=round(float(score.completeness), 4),
        )
        return self.ledger.kept(changed)

    def _follow(
        self, occ: Occurrence, spec: ConditionSpec, score: Score, level: int, value: float
    ) -> Events:
        """Tell how an active condition moved under a usable score."""
        moment = Moment(score.end_us, score.known_us, score.revision > 0)
        occ = replace(occ, score=score)
        events: Events = ()
        if occ.record.state.stale:
            fields = occurrence.views(score, spec, occ.level)
            occ, event = occurrence.change(occ, Move.REFRESH, moment, "Usable again", **fields)
            events = (event,)
        self.ledger.keep(occ)
        if level == NO_LEVEL:
            cause = f"{spec.label} below {number(spec.levels[0].lo)} for {span(spec.keep_s)}"
            fields = occurrence.views(score, spec, NO_LEVEL)
            code = occ.record.condition.code
            return events + self.ledger.clear(code, moment, cause, **fields)
        if level != occ.level:
            return events + self._change_level(occ, spec, score, level)
        return events + self._update(occ, spec, score, value)

    def _update(self, occ: Occurrence, spec: ConditionSpec, score: Score, value: float) -> Events:
        """Tell a material change, at most so often."""
        told = occ.told if occ.told is not None else value
        quiet_us = score.known_us - occ.record.recorded_us
        if quiet_us < to_us(spec.update_s) or abs(value - told) < spec.update_delta:
            return ()
        moment = Moment(score.end_us, score.known_us, score.revision > 0)
        cause = f"{spec.label} changed from {number(told)} to {number(value)}"
        fields = occurrence.views(score, spec, occ.level)
        return self.ledger.kept(occurrence.change(occ, Move.UPDATE, moment, cause, **fields))

    def _change_level(
        self, occ: Occurrence, spec: ConditionSpec, score: Score, level: int
    ) -> Events:
        """Escalate or de-escalate; a higher priority breaks acknowledgement and snooze."""
        moment = Moment(score.end_us, score.known_us, score.revision > 0)
        priority = spec.levels[level].priority
        demands = self.ledger.policy.priorities[priority]
        fields = occurrence.views(score, spec, level)
        if level > occ.level:
            move, cause = Move.ESCALATE, f"{spec.label} reached {number(spec.levels[level].hi)}"
            fields["review_due_us"] = moment.recorded_us + to_us(demands.review_s)
            fields["expires_us"] = None
            occ = replace(
                occ,
                accepted_until_us=0,
                snoozed_until_us=0,
                reminded=False,
                unacked_since_us=moment.recorded_us,
                latch_due=occ.latch_due or demands.latching,
            )
        else:
            low = number(spec.levels[level + 1].lo)
            move, cause = Move.DEESCALATE, f"{spec.label} below {low} for {span(spec.keep_s)}"
        occ = replace(occ, level=level)
        changed = occurrence.change(occ, move, moment, cause, priority=priority, **fields)
        return self.ledger.kept(changed)


def _why_raised(spec: ConditionSpec, verdict: Verdict, value: float, severe: bool) -> str:
    """Say in words which rule raised the condition."""
    if severe:
        return f"{spec.label} {number(value)} on good, fresh inputs: raised at once"
    level = spec.levels[verdict.level]
    held = f"stayed at {number(level.lo)} or above for {span(spec.for_s)}"
    return f"{spec.label} reached {number(level.hi)} and {held}"


def _rests_on(occ: Occurrence, signal: str) -> bool:
    """Say whether a lost signal carried points in the last usable score."""
    carrying = () if occ.score is None else occ.score.evidence
    wanted = modality_of(signal)
    return any(
        item.points > 0
        and item.source == WEARABLE
        and (not signal or modality_of(item.code) == wanted)
        for item in carrying
    )
