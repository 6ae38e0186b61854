"""What a policy may hold: every value that cannot work is refused with its key and the rule.

Not here: unknown keys and wrong types (`alerts.policy`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec

from alerts.alert import PRIORITY_RANK, Priority
from alerts.policy_spec import (
    FIELDS,
    LABELS,
    TECHNICAL,
    ConditionSpec,
    InhibitSpec,
    LevelSpec,
    PersonalSpec,
    PolicyFile,
    WhenSpec,
)
from alerts.rules import SLOTS, minutes
from alerts.words import nearest

YEAR_S = 366 * 86_400
MAX_OFFSET_MIN = 14 * 60  # the widest time zone there is
MAX_REPEATS = 16
EQUAL = ("modality",)  # within one patient's log subject and ward are always the same


def check(file: PolicyFile) -> None:
    """Refuse values that cannot work.

    Raises
    ------
    ValueError
        Naming the key, the rule and the value.
    """
    head = file.policy
    for word in ("id", "version", "tenant"):
        _require(bool(getattr(head, word)), f"policy.{word} must not be empty")
    _durations("policy", head)
    _require(head.continued_s > 0, "policy.continued_s must be greater than 0")
    _require(head.silence_max_s > 0, "policy.silence_max_s must be greater than 0")
    within = abs(head.utc_offset_min) <= MAX_OFFSET_MIN
    _require(within, f"policy.utc_offset_min must be in -{MAX_OFFSET_MIN} to {MAX_OFFSET_MIN}")
    _one_of("policy.group_by", head.group_by, LABELS)
    _require(bool(file.condition), "at least one [condition.NAME] is needed")
    for name in TECHNICAL:
        _require(name in file.technical, f"[technical.{name}] is missing")
        _durations(f"technical.{name}", file.technical[name])
    for priority in Priority:
        _require(priority in file.priority, f"[priority.{priority}] is missing")
        _durations(f"priority.{priority}", file.priority[priority])
        _require(file.priority[priority].max_tier >= 1, f"priority.{priority}.max_tier: at least 1")
    for name, spec in file.condition.items():
        _condition(f"condition.{name}", name, spec)
    for index, rule in enumerate(file.inhibit):
        _inhibit(f"inhibit[{index}]", rule)


def _condition(path: str, name: str, spec: ConditionSpec) -> None:
    """Refuse a condition that could not be raised, kept or told apart."""
    reserved = name in TECHNICAL or ":" in name or "*" in name
    _require(not reserved, f"{path}: the name is reserved")
    _require(bool(spec.scorer), f"{path}.source must be '<scorer>.<field>', got {spec.source!r}")
    _one_of(f"{path}.source {spec.source!r}", (spec.field,), FIELDS)
    needs = (spec.field == "input") == bool(spec.input)
    _require(needs, f"{path}: input is named exactly when source ends in '.input'")
    _durations(path, spec)
    for key in ("min_completeness", "min_quality", "severe_quality", "severe_completeness"):
        _require(0 <= getattr(spec, key) <= 1, f"{path}.{key} must be in 0 to 1")
    _require(spec.update_delta > 0, f"{path}.update_delta must be greater than 0")
    _require(all(spec.same_input), f"{path}.same_input must not hold an empty list")
    counted = 1 <= spec.repeats <= MAX_REPEATS
    _require(counted, f"{path}.repeats must be in 1 to {MAX_REPEATS}, got {spec.repeats}")
    timed = spec.repeats == 1 or spec.within_s > 0
    _require(timed, f"{path}.within_s must be greater than 0 when repeats is")
    disagree = spec.disagree is None or spec.disagree > 0
    _require(disagree, f"{path}.disagree must be greater than 0")
    _levels(path, spec.side, spec.levels)
    _severe(path, spec, spec.levels, spec.severe)
    _personal(f"{path}.personal", spec, spec.personal)
    _past(f"{path}.past", spec)
    _again(f"{path}.again", spec)
    for index, when in enumerate(spec.when):
        _when(f"{path}.when[{index}]", spec, when)


def _levels(path: str, side: str, levels: Sequence[LevelSpec]) -> None:
    """Refuse levels that do not rise in priority with distance from normal."""
    sign = 1 if side == "above" else -1
    _require(bool(levels), f"{path}.levels must hold at least one level")
    for index, level in enumerate(levels):
        at = f"{path}.levels[{index}]"
        _require(math.isfinite(level.hi) and math.isfinite(level.lo), f"{at}: hi, lo not finite")
        order = "exceed" if sign > 0 else "be below"
        _require(sign * level.lo <= sign * level.hi, f"{at}: lo must not {order} hi")
    for low, high in itertools.pairwise(levels):
        rising = sign * low.hi < sign * high.hi and sign * low.lo <= sign * high.lo
        rising = rising and PRIORITY_RANK[low.priority] < PRIORITY_RANK[high.priority]
        way = "rise" if sign > 0 else "fall (priority: rise)"
        _require(rising, f"{path}.levels: hi, lo and priority must {way} from level to level")


def _severe(
    path: str, spec: ConditionSpec, levels: Sequence[LevelSpec], severe: float | None
) -> None:
    """Refuse a bypass that would be reached before the highest level."""
    if severe is not None:
        top, sign = levels[-1].hi, 1 if spec.side == "above" else -1
        words = "at least" if sign > 0 else "at most"
        reached = math.isfinite(severe) and sign * severe >= sign * top
        _require(reached, f"{path}.severe must be {words} the highest level's hi ({top:g})")


def _personal(path: str, spec: ConditionSpec, personal: PersonalSpec | None) -> None:
    """Refuse a baseline limit without an input, or with bounds that leave no room."""
    if personal is None:
        return
    _require(spec.field == "input", f"{path} needs a source that ends in '.input'")
    numbers = (personal.floor, personal.ceiling, personal.offset, personal.ratio)
    _require(all(map(math.isfinite, numbers)), f"{path}: all values must be finite")
    _require(personal.floor <= personal.ceiling, f"{path}: floor must not exceed ceiling")
    _require(
        personal.offset >= 0, f"{path}.offset must not be negative; `side` gives the direction"
    )
    _require(personal.ratio > 0, f"{path}.ratio must be greater than 0")


def _past(path: str, spec: ConditionSpec) -> None:
    """Refuse a past of nothing, and one beside another smoothing."""
    own = spec.past
    if own is msgspec.UNSET:
        return
    _durations(path, own)
    _require(0 < own.share <= 1, f"{path}.share must be above 0 and at most 1, got {own.share:g}")
    _require(own.span_s >= SLOTS, f"{path}.span_s must be at least {SLOTS}")
    _require(spec.ewma_s == 0, f"{path}: ewma_s must be 0 beside it")
    inside = all(0 < level.lo <= 1 and 0 < level.hi < 1 for level in spec.levels)
    _require(own.scale != "logit" or inside, f"{path}: log-odds need levels between 0 and 1")


def _again(path: str, spec: ConditionSpec) -> None:
    """Refuse a second threshold that comes too late or is lower than the first."""
    own = spec.again
    if own is msgspec.UNSET:
        return
    _durations(path, own)
    _require(own.after_s > 0, f"{path}.after_s must be greater than 0")
    _require(own.louder_after_s <= own.after_s, f"{path}.louder_after_s must not exceed after_s")
    if own.louder_hi is None:
        _require(own.louder_after_s == 0, f"{path}.louder_after_s needs louder_hi")
        return
    sign, words = (1, "at least") if spec.side == "above" else (-1, "at most")
    hi = spec.levels[0].hi
    beyond = math.isfinite(own.louder_hi) and sign * own.louder_hi >= sign * hi
    _require(beyond, f"{path}.louder_hi must be {words} the lowest level's hi ({hi:g})")


def _when(path: str, spec: ConditionSpec, when: WhenSpec) -> None:
    """Refuse hours that are none, and levels that do not match the condition's own."""
    for key, clock in (("from", when.from_time), ("to", when.to)):
        good = not clock or minutes(clock) is not None
        _require(good, f"{path}.{key} must be a time like '22:00', got {clock!r}")
    both = bool(when.from_time) == bool(when.to)
    _require(both, f"{path}: from and to are given together")
    _require(bool(when.from_time or when.wards), f"{path} needs hours or wards")
    for key in ("for_s", "keep_s"):
        value = getattr(when, key)
        _require(value is None or 0 <= value <= YEAR_S, f"{path}.{key} must be in 0 to {YEAR_S}")
    levels = when.levels or spec.levels
    same = [a.priority for a in levels] == [b.priority for b in spec.levels]
    _require(same, f"{path}.levels must have the priorities of the condition's own levels")
    _levels(path, spec.side, levels)
    _severe(path, spec, levels, spec.severe if when.severe is None else when.severe)


def _inhibit(path: str, rule: InhibitSpec) -> None:
    """Refuse an inhibition by nothing or of nothing."""
    _require(bool(rule.source and rule.target), f"{path}: source and target must not be empty")
    _one_of(f"{path}.equal", rule.equal, EQUAL)


def _one_of(path: str, words: Sequence[str], valid: Sequence[str]) -> None:
    """Refuse a word that is none of the valid ones, with the nearest."""
    for word in words:
        _require(word in valid, f"{path}: {word!r}; {nearest(word, valid)}")


def _durations(path: str, spec: msgspec.Struct) -> None:
    """Refuse a duration that is negative, not finite or longer than a year."""
    for name in spec.__struct_fields__:
        value = getattr(spec, name)
        if name.endswith("_s"):
            good = 0 <= value <= YEAR_S
            _require(good, f"{path}.{name} must be in 0 to {YEAR_S} seconds, got {value:g}")


def _require(holds: bool, message: str) -> None:
    """Raise with `message` unless `holds`."""
    if not holds:
        raise ValueError(message)
