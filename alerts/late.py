"""Corrections: what a late or corrected score does to an alert that was raised without it.

The rule: if the alert would not have been raised, it is retracted, but only while nobody has
accepted it and the raise is younger than the policy's `revise_s`; otherwise it is updated and says
`revised`. Nothing is deleted and no id is computed again. A score older than the readings that are
kept is a backfill and changes nothing. Not here: playing the past again (`alerts.revision`).
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from alerts import occurrence, reading, revision
from alerts.alert import Responsibility
from alerts.clinical import Case, Clinical, moment_of
from alerts.conditions import NO_LEVEL, ConditionState, LevelState, Verdict
from alerts.ledger import Events
from alerts.lifecycle import Move
from alerts.occurrence import Occurrence
from alerts.revision import Replayed
from alerts.rules import Rule, Variants
from alerts.text import number
from alerts.views import Judged
from models.score import Score

LATE_DATA: Final = "late_data"
NOT_NEEDED: Final = "With data that came late it would not have been raised"


def correctable(clinical: Clinical, score: Score, variants: Variants) -> bool:
    """Say whether the readings that are kept reach back to a score's window."""
    return revision.covers(clinical.trails.get(variants.code), score.end_us)


def correct(clinical: Clinical, score: Score, variants: Variants) -> Events:
    """Play the condition's recent past again with a corrected score, and tell what that changes.

    Parameters
    ----------
    clinical : Clinical
        The patient's conditions.
    score : Score
        Of a window judged before, `revision` above 0 and `correctable`.
    variants : Variants
        The condition.

    Notes
    -----
    Which inputs were missing is taken as the other readings found it when they were first judged.
    """
    code = variants.code
    trail = clinical.trails[code]

    def rule_at(end_us: int) -> Rule:
        return clinical.rule_at(variants, end_us)

    rule = rule_at(score.end_us)
    carried_by = () if trail.base is None else trail.base.carried_by
    found = reading.read(score, reading.value_of(score, rule.spec), rule, carried_by)
    again = revision.replayed(trail, rule_at, found)
    case = Case(score, moment_of(score), rule, found, again.verdict)
    occ = clinical.ledger.active(code)
    if occ is None:
        return _without(clinical, again, case)
    if not again.ever_on:
        return _unfounded(clinical, occ, again, case)
    case = case._replace(verdict=_untold(clinical, again.verdict, case))
    newest = score.end_us >= clinical.seen_us[score.scorer]
    if newest and (again.verdict.usable or again.verdict.level == occ.level):
        _take_over(clinical, code, again)
        return clinical.follow(occ, case)
    return _still(clinical, occ, again, case)


def _without(clinical: Clinical, again: Replayed, case: Case) -> Events:
    """No alert is active: the correction may raise one, if it has a value to show."""
    raised = again.verdict.level != NO_LEVEL
    if raised and case.reading.value is None:
        return ()
    _take_over(clinical, case.rule.code, again)
    if not raised:
        return ()
    return clinical.raise_(case._replace(verdict=again.verdict._replace(value=case.reading.value)))


def _unfounded(clinical: Clinical, occ: Occurrence, again: Replayed, case: Case) -> Events:
    """It would not have been raised: retract it, or say so where people already act on it."""
    record, moment = occ.record, case.moment
    young = moment.recorded_us - record.raised_us <= clinical.ledger.policy.revise_us
    accepted = record.state.responsibility is Responsibility.ACCEPTED
    if accepted or not young or record.episode_count > 1:
        return clinical.ledger.kept(occurrence.change(occ, Move.UPDATE, moment, NOT_NEEDED))
    _take_over(clinical, occ.code, again, rang=False)
    changed = occurrence.change(occ, Move.RETRACT, moment, NOT_NEEDED, closed_reason=LATE_DATA)
    return clinical.ledger.kept(changed)


def _still(clinical: Clinical, occ: Occurrence, again: Replayed, case: Case) -> Events:
    """It would have been raised: tell how an older window's correction moves it, if at all.

    What is stale neither clears nor changes its priority by evidence that is older than its own.
    """
    ledger, moment, level = clinical.ledger, case.moment, again.verdict.level
    told = f"A late correction: {case.rule.spec.label} {_was(case)}"
    assert occ.score is not None  # raised by a score
    judged = Judged(occ.score, case.rule, occ.value, occ.limits, occ.personal)
    if level == occ.level or occ.record.state.stale or not again.verdict.usable:
        if level == occ.level:
            _take_over(clinical, occ.code, again)
        return ledger.kept(occurrence.change(occ, Move.UPDATE, moment, told))
    _take_over(clinical, occ.code, again)
    if level == NO_LEVEL:
        return ledger.clear(occ.code, moment, told)
    return clinical.change_level(occ, judged, level, moment)


def _was(case: Case) -> str:
    """Say what the corrected window says now."""
    value = case.reading.value
    return "had no usable value then" if value is None else f"was {number(value)} then"


def _untold(clinical: Clinical, verdict: Verdict, case: Case) -> Verdict:
    """The verdict, ringing anew only where the window has not rung yet."""
    before = clinical.states.get(case.rule.code)
    rang_us = None if before is None else before.rang_us
    told = rang_us is not None and rang_us >= case.score.end_us
    return verdict._replace(again=verdict.again and not told)


def _take_over(clinical: Clinical, code: str, again: Replayed, rang: bool = True) -> None:
    """Go on from the corrected past; that it `rang` is not undone by it."""
    state, before = again.verdict.state, clinical.states.get(code)
    if rang and before is not None and before.rang_us is not None:
        state = state or ConditionState(tuple(LevelState() for _ in before.levels))
        state = replace(state, rang_us=max(before.rang_us, state.rang_us or before.rang_us))
    if state is None:
        clinical.forget(code)
        return
    clinical.states[code] = state
    clinical.trails[code] = again.trail
