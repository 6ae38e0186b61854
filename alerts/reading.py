"""What one score says to one condition: its value, whether a low one may be believed, severity.

Not here: what follows from a reading (`alerts.conditions`).
"""

from __future__ import annotations

import msgspec

from alerts.policy_spec import ConditionSpec
from alerts.rules import Limits, Rule, personal_limits
from models.score import Evidence, Score

DECIMALS = 4  # scores are rounded before any threshold


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one score says to one condition."""

    end_us: int
    value: float | None  # in the score's own direction; None: no score
    complete: bool  # may a value that releases be believed
    severe: bool
    carried_by: tuple[str, ...]
    limits: Limits  # in force for this reading, in the rule's direction
    personal: bool = False  # the limits follow the patient's own baseline


def value_of(score: Score, spec: ConditionSpec) -> float | None:
    """Return what a condition reads of a score, rounded to 1e-4; None if there is nothing usable.

    A single input counts only if it is clean and fresh enough for the condition.
    """
    if spec.field == "input":
        item = input_of(score, spec)
        usable = item is not None and _usable(item, spec)
        return round(float(item.value), DECIMALS) if item is not None and usable else None
    value = None if score.value is None else getattr(score, spec.field)
    if value is None or value is msgspec.UNSET or value != value:
        return None  # not every score of a model compares its modalities
    return round(float(value), DECIMALS)


def input_of(score: Score, spec: ConditionSpec) -> Evidence | None:
    """Return the evidence of the one input a condition watches; None if the score went without."""
    for item in score.evidence:
        if item.code == spec.input or name_of(item.code, spec) == spec.input:
            return item
    return None


def read(score: Score, value: float | None, rule: Rule, carried_by: tuple[str, ...]) -> Reading:
    """Judge a score against what the condition knows.

    Parameters
    ----------
    score : Score
        The score.
    value : float or None
        Its field in question, from `value_of`.
    rule : Rule
        The condition's rule at the score's time.
    carried_by : tuple of str
        Inputs that carried points when they were last seen.
    """
    spec = rule.spec
    if spec.field == "input":
        return _read_input(score, value, rule)
    present = _inputs(score, spec)
    gone = tuple(name for name in carried_by if name not in present)
    complete = score.completeness >= spec.min_completeness and not gone
    severe = value is not None and _severe(score, value, rule)
    carried = tuple(sorted((*gone, *(name for name, points in present.items() if points > 0))))
    return Reading(score.end_us, value, complete, severe, carried, rule.limits)


def name_of(code: str, spec: ConditionSpec) -> str:
    """Return the one name under which all sources of an input go."""
    return next((group[0] for group in spec.same_input if code in group), code)


def _read_input(score: Score, value: float | None, rule: Rule) -> Reading:
    """Judge one measured input: a value that is there is complete by itself."""
    item = input_of(score, rule.spec)
    baseline = None if item is None else item.baseline
    if baseline is not None and baseline != baseline:
        baseline = None
    limits = personal_limits(rule, baseline)
    severe = (
        item is not None
        and value is not None
        and rule.spec.severe is not None
        and rule.sign * value >= rule.sign * rule.spec.severe
        and _trusted(item, rule.spec)
    )
    personal = rule.spec.personal is not None and baseline is not None
    return Reading(score.end_us, value, value is not None, severe, (), limits, personal)


def _inputs(score: Score, spec: ConditionSpec) -> dict[str, float]:
    """Return the inputs a score had, with their points: the rule's own, else its evidence.

    Evidence is named by its source; `same_input` says which sources stand for one another.
    """
    if score.news2 is not None:
        return {name: float(points) for name, points in score.news2.points.items()}
    return {name_of(item.code, spec): item.points for item in score.evidence}


def _severe(score: Score, value: float, rule: Rule) -> bool:
    """Say whether the score is severe on good, fresh evidence alone."""
    spec = rule.spec
    if spec.severe is None or rule.sign * value < rule.sign * spec.severe or not score.evidence:
        return False
    if score.completeness < spec.severe_completeness:
        return False
    doubtful = sum(e.points for e in score.evidence if e.points > 0 and not _trusted(e, spec))
    # Points of a calibrated model are not in the unit of its probability, and points of a score
    # that is bad when low do not add up to it: none may be doubtful.
    if score.calibrated or rule.sign < 0:
        return doubtful == 0
    return value - doubtful >= spec.severe


def _usable(item: Evidence, spec: ConditionSpec) -> bool:
    """Say whether an input's value may be compared at all."""
    good = item.quality >= spec.min_quality and item.age_s <= spec.max_age_s
    return good and item.value == item.value


def _trusted(item: Evidence, spec: ConditionSpec) -> bool:
    """Say whether this input is fresh and clean enough to page on at once."""
    return item.quality >= spec.severe_quality and item.age_s <= spec.severe_age_s
