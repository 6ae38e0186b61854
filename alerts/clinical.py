"""Conditions of the patient: scores in, changes of their occurrences out.

Not here: which scores are heard (`alerts.hearing`), the decision itself (`alerts.conditions`),
corrections of the past (`alerts.late`), the occurrences (`alerts.ledger`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from alerts import conditions, occurrence, reading, revision
from alerts.alert import Kind
from alerts.conditions import NO_LEVEL, ConditionState, Verdict
from alerts.ledger import Events, Ledger
from alerts.lifecycle import Move, may
from alerts.occurrence import Moment, Occurrence, Start
from alerts.reading import Reading
from alerts.revision import Trail
from alerts.rules import Rule, Variants, to_us
from alerts.silences import modality_of
from alerts.text import number, span
from alerts.views import Judged, Past, missing, views
from models.score import Score

WEARABLE = "wearable"


class Case(NamedTuple):
    """One score before one condition: what is known and what it says."""

    score: Score
    moment: Moment
    rule: Rule
    reading: Reading
    verdict: Verdict

    def judged(self) -> Judged:
        """The score as the condition saw it; it has a value."""
        assert self.verdict.value is not None
        found = self.reading
        return Judged(self.score, self.rule, self.verdict.value, found.limits, found.personal)


class Clinical:
    """The policy's conditions of one patient.

    `states` holds the conditions that are not quiet, `trails` how they came there, `calm` what a
    condition read when it was last quiet, `seen_us` the end of the last window per scorer.
    """

    __slots__ = ("calm", "ledger", "seen_us", "states", "trails")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.states: dict[str, ConditionState] = {}
        self.trails: dict[str, Trail] = {}
        self.calm: dict[str, Past] = {}
        self.seen_us: dict[str, int] = {}

    def forget(self, code: str) -> None:
        """Drop what is known of a condition: a person closed it, a new one starts from nothing."""
        self.states.pop(code, None)
        self.trails.pop(code, None)

    def pause(self, code: str) -> None:
        """Halt the clocks of an active condition until its next usable score."""
        trail = self.trails[code]
        rule = self.ledger.policy.variants[code].plain
        nothing = Reading(trail.readings[-1].end_us + 1, None, False, False, (), rule.limits)
        self._advance(code, rule, nothing)

    def rule_at(self, variants: Variants, time_us: int) -> Rule:
        """Return the rule in force for this patient at an event time."""
        return variants.at(time_us, self.ledger.labels.ward or None)

    def lose_signal(self, signal: str, moment: Moment, finding: str) -> Events:
        """Mark stale what rests on a lost signal; an empty `signal` takes every wearable one."""
        events: Events = ()
        for code, occ in list(self.ledger.open.items()):
            if may(occ.record.state, Move.STALE) and _rests_on(occ, signal):
                self.pause(code)
                events += self.ledger.kept(occurrence.change(occ, Move.STALE, moment, finding))
        return events

    def quiet(self, score: Score, variants: Variants) -> bool:
        """Say whether a quiet condition stays quiet; the short way for nearly every score."""
        code = variants.code
        if variants.watchful or code in self.states or code in self.ledger.open:
            return False
        value = None if score.value is None else getattr(score, variants.field)
        if value is None or value != value:
            return True
        if variants.sign * value >= variants.quiet_below:
            return False
        self.calm[code] = Past(round(value, reading.DECIMALS), score.end_us)
        return True

    def judge(self, score: Score, variants: Variants) -> Events:
        """Step one condition by one score and tell what changed."""
        code, moment = variants.code, moment_of(score)
        events = self.ledger.resolve_due(code, moment)
        rule = self.rule_at(variants, score.end_us)
        state = self.states.get(code)
        carried_by = () if state is None else state.carried_by
        value = reading.value_of(score, rule.spec)
        found = reading.read(score, value, rule, carried_by)
        verdict = self._advance(code, rule, found)
        case = Case(score, moment, rule, found, verdict)
        occ = self.ledger.active(code)
        if occ is not None:
            return events + self.follow(occ, case)
        if verdict.level != NO_LEVEL:
            return events + self.raise_(case)
        at_rest = verdict.state is None or not _pending(verdict.state)
        if at_rest and verdict.value is not None:
            self.calm[code] = Past(verdict.value, score.end_us)
        return events

    def _advance(self, code: str, rule: Rule, found: Reading) -> Verdict:
        """Step a condition and its trail by a reading."""
        before = self.states.get(code)
        verdict = conditions.step(rule, before, found)
        if verdict.state is None:
            self.forget(code)
            return verdict
        self.states[code] = verdict.state
        trail = revision.extended(self.trails.get(code), before, found, verdict.state)
        oldest_us = found.end_us - self.ledger.policy.revise_us
        self.trails[code] = revision.pruned(trail, oldest_us)
        return verdict

    def raise_(self, case: Case) -> Events:
        """Raise a condition, or rejoin its last episode."""
        spec, code = case.rule.spec, case.rule.code
        level, calm = case.verdict.level, self.calm.get(code)
        start = Start(
            code,
            Kind.PHYSIOLOGICAL,
            spec.display,
            spec.levels[level].priority,
            case.verdict.onset_us,
            level=level,
            calm=calm,
        )
        shown = views(case.judged(), level, calm)
        events = self.ledger.begin(start, case.moment, _why_raised(case), **shown)
        self.ledger.open[code] = _with_score(self.ledger.open[code], case.judged())
        return events

    def _turn_stale(self, occ: Occurrence, case: Case) -> Events:
        """Say once that the inputs are gone; the evidence stays the last usable one."""
        if occ.record.state.stale:
            return ()
        changed = occurrence.change(
            occ,
            Move.STALE,
            case.moment,
            "The latest score lacks inputs this alert rests on",
            missing_modalities=missing(case.score),
            completeness=round(float(case.score.completeness), reading.DECIMALS),
        )
        return self.ledger.kept(changed)

    def follow(self, occ: Occurrence, case: Case) -> Events:
        """Tell how an active condition moved under a score."""
        if case.verdict.value is None or not case.verdict.usable:
            return self._turn_stale(occ, case)
        code, moment, judged = occ.code, case.moment, case.judged()
        occ = _with_score(occ, judged)
        events: Events = ()
        if occ.record.state.stale:
            shown = views(judged, occ.level, occ.calm)
            occ, event = occurrence.change(occ, Move.REFRESH, moment, "Usable again", **shown)
            events = (event,)
        self.ledger.keep(occ)
        if case.verdict.level == NO_LEVEL:
            shown = views(judged, NO_LEVEL, occ.calm)
            return events + self.ledger.clear(code, moment, _why_cleared(case), **shown)
        level = case.verdict.level
        if level != occ.level:
            events += self.change_level(occ, judged, level, moment)
        elif not case.verdict.again:
            events += self._update(occ, judged, moment)
        if case.verdict.again and level <= occ.level:  # a higher level has just rung
            shown = views(judged, level, occ.calm)
            events += self.ledger.ring_again(
                self.ledger.open[code], moment, _why_again(case), **shown
            )
        return events

    def _update(self, occ: Occurrence, judged: Judged, moment: Moment) -> Events:
        """Tell a material change, at most so often."""
        spec, value = judged.rule.spec, judged.value
        told = value if occ.told is None else occ.told.value
        quiet_us = moment.recorded_us - occ.record.recorded_us
        if quiet_us < to_us(spec.update_s) or abs(value - told) < spec.update_delta:
            return ()
        cause = f"{spec.label} changed from {number(told)} to {number(value)}"
        shown = views(judged, occ.level, occ.calm)
        return self.ledger.kept(occurrence.change(occ, Move.UPDATE, moment, cause, **shown))

    def change_level(self, occ: Occurrence, judged: Judged, level: int, moment: Moment) -> Events:
        """Escalate or de-escalate; a higher priority breaks acknowledgement and suppression."""
        spec = judged.rule.spec
        priority = spec.levels[level].priority
        fields: dict[str, Any] = views(judged, level, occ.calm)
        if level > occ.level:
            move = Move.ESCALATE
            cause = f"{spec.label} {_reached(judged.rule, level)}"
            demands = self.ledger.policy.priorities[priority]
            fields["review_due_us"] = moment.recorded_us + to_us(demands.review_s)
            fields["expires_us"] = fields["suppressed_by"] = None
            occ = replace(
                occ,
                accepted_until_us=0,
                snoozed_until_us=0,
                broke_through_us=moment.recorded_us,
                reminded=False,
                unacked_since_us=moment.recorded_us,
                latch_due=occ.latch_due or self.ledger.policy.latches(occ.code, priority),
            )
        else:
            move = Move.DEESCALATE
            beyond = _left(judged.rule, level + 1)
            cause = f"{spec.label} {beyond} for {span(spec.keep_s)}"
        occ = replace(occ, level=level)
        changed = occurrence.change(occ, move, moment, cause, priority=priority, **fields)
        return self.ledger.kept(changed)


def moment_of(score: Score) -> Moment:
    """Return when a score is news."""
    return Moment(score.end_us, score.known_us, score.revision > 0)


def _with_score(occ: Occurrence, judged: Judged) -> Occurrence:
    """Note the last usable score."""
    return replace(
        occ,
        score=judged.score,
        value=judged.value,
        limits=judged.limits,
        personal=judged.personal,
    )


def _why_raised(case: Case) -> str:
    """Say in words which rule raised the condition."""
    rule, judged = case.rule, case.judged()
    spec = rule.spec
    if case.reading.severe:
        return f"{spec.label} {number(judged.value)} on good, fresh inputs: raised at once"
    level = case.verdict.level
    low = number(rule.sign * judged.limits[level][1])
    held = f"stayed at {low} or {spec.side} for {span(spec.for_s)}"
    often = f", {spec.repeats} times within {span(spec.within_s)}" if spec.repeats > 1 else ""
    return f"{spec.label} {_reached(rule, level, judged)} and {held}{often}"


def _why_again(case: Case) -> str:
    """Say in words why a condition that goes on rings anew."""
    rule, judged = case.rule, case.judged()
    assert rule.again is not None
    if rule.sign * judged.value >= rule.again.louder:
        return f"{rule.spec.label} {number(judged.value)}: still there, and louder"
    return f"{rule.spec.label} {number(judged.value)}: still there after all this time"


def _why_cleared(case: Case) -> str:
    """Say in words why the condition is over."""
    return f"{case.rule.spec.label} {_left(case.rule, 0)} for {span(case.rule.spec.keep_s)}"


def _reached(rule: Rule, level: int, judged: Judged | None = None) -> str:
    """Say which limit was reached; a personal one by its own value."""
    limits = rule.limits if judged is None else judged.limits
    verb = "reached" if rule.sign > 0 else "fell to"
    own = ", from this patient's own baseline," if judged is not None and judged.personal else ""
    return f"{verb} {number(rule.sign * limits[level][0])}{own}"


def _left(rule: Rule, level: int) -> str:
    """Say which limit was left."""
    side = "below" if rule.sign > 0 else "above"
    return f"{side} {number(rule.sign * rule.limits[level][1])}"


def _pending(state: ConditionState) -> bool:
    """Say whether any level has begun."""
    return any(level.hold is not conditions.Hold.QUIET for level in state.levels)


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
