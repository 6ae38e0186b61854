"""A condition of the policy made ready to judge: numbers in µs, levels in one direction.

`Rule.limits` and every value compared with them are multiplied by `sign`, so that "at or above"
is the only comparison there is. Not here: judging (`alerts.conditions`).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from alerts.policy_spec import ConditionSpec, WhenSpec

US_PER_S: Final = 1_000_000
MINUTE_US: Final = 60 * US_PER_S
DAY_MIN: Final = 24 * 60
SLOTS: Final = 24  # of the past a condition remembers

Limits = tuple[tuple[float, float], ...]  # (hi, lo) per level, times the rule's sign


class PastRule(NamedTuple):
    """How much of the value compared is the mean of the past, and how it is kept."""

    share: float
    slot_us: int
    logit: bool


class AgainRule(NamedTuple):
    """From when on after it rang it may ring anew."""

    after_us: int
    louder_after_us: int
    louder: float  # times the rule's sign; +inf: no score is loud enough


class Rule(NamedTuple):
    """One condition as it stands at one time in one ward."""

    code: str
    spec: ConditionSpec
    sign: float
    limits: Limits
    for_us: int
    keep_us: int
    ewma_us: int
    refractory_us: int
    max_gap_us: int
    within_us: int
    past: PastRule | None
    again: AgainRule | None


class Variants:
    """All forms of one condition: the first whose hours and ward fit, else the plain one.

    Parameters
    ----------
    code : str
        The condition.
    spec : ConditionSpec
        As written.
    utc_offset_min : int
        Local time minus UTC, in minutes; fixed, so that a replay sees the same nights.
    """

    __slots__ = (
        "_offset_min",
        "_when",
        "code",
        "field",
        "plain",
        "quiet_below",
        "sign",
        "spec",
        "watchful",
    )  # fmt: skip

    def __init__(self, code: str, spec: ConditionSpec, utc_offset_min: int) -> None:
        self.code, self.spec, self.field = code, spec, spec.field
        self.sign = 1.0 if spec.side == "above" else -1.0
        self.plain = _rule(code, spec)
        self._offset_min = utc_offset_min
        self._when = tuple(_variant(code, spec, when) for when in spec.when)
        forms = (self.plain, *(rule for _, rule in self._when))
        lowest = min(form.limits[0][0] for form in forms)
        if spec.personal is not None:
            edge = spec.personal.floor if self.sign > 0 else -spec.personal.ceiling
            lowest = min(lowest, edge)
        # Below this a quiet condition stays quiet whatever hour, ward and baseline; rounding aside.
        self.quiet_below = lowest - 1e-3
        # Smoothing has a memory, and an input must be looked up: no short cut for either.
        remembers = spec.ewma_s > 0 or spec.past is not msgspec.UNSET
        self.watchful = remembers or spec.field == "input"

    def at(self, time_us: int, ward: str | None) -> Rule:
        """Return the rule in force at an event time in a ward (None: not known)."""
        minute = (time_us // MINUTE_US + self._offset_min) % DAY_MIN
        for when, rule in self._when:
            if when.hours(minute) and when.ward(ward):
                return rule
        return self.plain


class _When(NamedTuple):
    """A part of the day and a set of wards; empty means any."""

    start_min: int
    end_min: int
    wards: tuple[str, ...]

    def hours(self, minute: int) -> bool:
        """Say whether a minute of the day lies in [start, end), over midnight too."""
        if self.start_min == self.end_min:
            return True
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def ward(self, ward: str | None) -> bool:
        """Say whether a ward is meant; an unknown one is not."""
        return not self.wards or (ward is not None and any(fits(w, ward) for w in self.wards))


def fits(pattern: str, word: str) -> bool:
    """Say whether `word` is `pattern`, or begins with it where it ends in "*".

    Examples
    --------
    >>> fits("no_data:*", "no_data:ecg"), fits("no_data", "no_data:ecg")
    (True, False)
    """
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


def personal_limits(rule: Rule, baseline: float | None) -> Limits:
    """Return the limits for a patient whose own baseline of the input is known.

    Parameters
    ----------
    rule : Rule
        Its `spec.personal` says how; without it, or without a baseline, the fixed limits count.
    baseline : float or None
        In the input's unit.

    Notes
    -----
    The absolute floor and ceiling bound the limit, not the baseline: a slowly worsening patient
    cannot drag the limit beyond them (after van Rossum 2021, JCMC: adaptive thresholds).
    """
    personal = rule.spec.personal
    if personal is None or baseline is None:
        return rule.limits
    wanted = baseline * personal.ratio + rule.sign * personal.offset
    hi = rule.sign * min(max(wanted, personal.floor), personal.ceiling)
    moved = hi - rule.limits[0][0]
    return tuple((high + moved, low + moved) for high, low in rule.limits)


def minutes(clock: str) -> int | None:
    """Return minutes since midnight of "HH:MM"; None if it is no such time.

    Examples
    --------
    >>> minutes("22:30"), minutes("24:00"), minutes("9")
    (1350, None, None)
    """
    hour, _, minute = clock.partition(":")
    if not (len(hour) == len(minute) == 2 and hour.isascii() and minute.isascii()):
        return None
    if not (hour.isdigit() and minute.isdigit()):
        return None
    total = int(hour) * 60 + int(minute)
    return total if int(hour) < 24 and int(minute) < 60 else None


def to_us(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return round(seconds * US_PER_S)


def _variant(code: str, spec: ConditionSpec, when: WhenSpec) -> tuple[_When, Rule]:
    """Return a `when` and the rule with its values."""
    changed = {
        name: value
        for name in ("levels", "for_s", "keep_s", "severe")
        if (value := getattr(when, name)) not in (None, ())
    }
    span = _When(minutes(when.from_time) or 0, minutes(when.to) or 0, when.wards)
    return span, _rule(code, replace(spec, **changed))


def _rule(code: str, spec: ConditionSpec) -> Rule:
    """Compile one form of a condition."""
    sign = 1.0 if spec.side == "above" else -1.0
    return Rule(
        code=code,
        spec=spec,
        sign=sign,
        limits=tuple((sign * level.hi, sign * level.lo) for level in spec.levels),
        for_us=to_us(spec.for_s),
        keep_us=to_us(spec.keep_s),
        ewma_us=to_us(spec.ewma_s),
        refractory_us=to_us(spec.refractory_s),
        max_gap_us=to_us(spec.max_gap_s),
        within_us=to_us(spec.within_s),
        past=_past(spec),
        again=_again(spec, sign),
    )


def _past(spec: ConditionSpec) -> PastRule | None:
    own = spec.past
    if own is msgspec.UNSET:
        return None
    return PastRule(own.share, to_us(own.span_s / SLOTS), own.scale == "logit")


def _again(spec: ConditionSpec, sign: float) -> AgainRule | None:
    own = spec.again
    if own is msgspec.UNSET:
        return None
    louder = math.inf if own.louder_hi is None else sign * own.louder_hi
    return AgainRule(to_us(own.after_s), to_us(own.louder_after_s), louder)
