"""Is a condition there? Hysteresis, `for`, `keep`, smoothing, bypass, repeats, refractory: a step.

Not here: what a score says (`alerts.reading`), what is said about it (`alerts.clinical`). Event
time only; nothing here knows a patient. All values are in the rule's one direction: high is bad.

Choices that change the outcome:

* A level is pending from the first score at `hi`, survives down to `lo`, and is raised when it has
  held for `for` *and* the score stands at `hi`: noise around `hi` does not restart the clock, and
  no alert is raised on a score below its own threshold.
* `for` and `keep` count only time between two usable scores at most `max_gap` apart. Missing data
  proves nothing: it ends a pending level after `max_gap` and merely halts `keep`.
* A lower bound is certain, so a score at `lo` or above sustains however incomplete it is. A score
  below `lo` counts only when complete: no input that carried points when it was last seen may be
  missing, else a lost sensor would look like a recovery.
* With `repeats` n a level must have been reached n times within `within`, each time after it had
  been below `lo`. A severe score is not counted, it raises.
* Smoothing is a mean that forgets with time constant `ewma`, a gap starts it anew; or `past` mixes
  in the mean of the last day, which a gap does not end. The bypass looks at the score itself.
* With `again` a condition that rang is held back for so long, and one that is still there after it
  rings anew, at `hi` of its lowest level.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from alerts import memory
from alerts.reading import DECIMALS, Reading
from alerts.rules import Rule

NO_LEVEL = -1


class Hold(IntEnum):
    """Where one level stands."""

    QUIET = 0
    PENDING = 1  # at `hi` once, `for` is running
    ON = 2
    KEEP = 3  # on, but below `lo`: `keep` is running
    COUNTED = 4  # held, but it must be reached more often


class LevelState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One level: since when pending or on, the time proven, the last score that proved any."""

    hold: Hold = Hold.QUIET
    since_us: int = 0
    held_us: int = 0
    last_us: int = 0
    paused: bool = False
    hits_us: tuple[int, ...] = ()  # when it was reached, for `repeats`


class ConditionState(msgspec.Struct, frozen=True, array_like=True):
    """A condition that is not wholly quiet."""

    levels: tuple[LevelState, ...]
    carried_by: tuple[str, ...] = ()  # inputs that had points when last seen
    quiet_until_us: int = 0  # refractory
    last_level: int = NO_LEVEL  # highest level before it last cleared
    mean: float | None = None  # smoothed value, unsigned and unrounded
    mean_us: int = 0
    past: memory.Past = ()
    rang_us: int | None = None  # kept only where the rule has `again`


class Verdict(NamedTuple):
    """The condition after a reading."""

    state: ConditionState | None  # None: wholly quiet
    level: int  # highest level on, -1: none
    onset_us: int  # since when the earliest level is on
    usable: bool  # False: the reading could neither sustain nor release
    value: float | None  # what was compared, in the score's own direction
    again: bool = False  # on before and still, and it rings anew


def step(rule: Rule, state: ConditionState | None, reading: Reading) -> Verdict:
    """Move a condition by one reading.

    Parameters
    ----------
    rule : Rule
        The condition's rule at the reading's time.
    state : ConditionState or None
        Its state; None is quiet.
    reading : Reading
        Readings come in order of `end_us`.
    """
    before = state or ConditionState(_quiet(rule))
    past = _remembered(rule, before, reading)
    mean = _smoothed(rule, before, reading)
    if mean is not None and rule.past is not None:
        mean = memory.mixed(rule.past, past, mean)
    value = None if mean is None else round(mean, DECIMALS) + 0.0
    signed = None if value is None else rule.sign * value
    was = top(before)
    free = signed is not None and memory.may_ring(rule, before.rang_us, reading.end_us, signed)
    told_level = before.last_level if reading.end_us < before.quiet_until_us else NO_LEVEL
    levels = tuple(
        _level(
            rule, index, old, reading, signed, was == NO_LEVEL and (not free or index <= told_level)
        )
        for index, old in enumerate(before.levels)
    )
    now = top_of(levels)
    usable = not any(level.paused for level in levels)
    again = free and usable and _rings_again(rule, was, now, reading, signed)
    cleared = was != NO_LEVEL and now == NO_LEVEL
    carried = before.carried_by if value is None else reading.carried_by
    mean_us = before.mean_us if mean is None else reading.end_us
    after = ConditionState(
        levels=levels,
        carried_by=() if cleared else carried,
        quiet_until_us=reading.end_us + rule.refractory_us if cleared else before.quiet_until_us,
        last_level=was if cleared else before.last_level,
        mean=(before.mean if mean is None else mean) if rule.ewma_us else None,
        mean_us=mean_us if rule.ewma_us else 0,
        past=past,
        rang_us=reading.end_us if rule.again and (again or now > was) else before.rang_us,
    )
    after_all = _or_quiet(rule, after, reading.end_us)
    return Verdict(after_all, now, _onset(levels), usable, value, again)


def top(state: ConditionState | None) -> int:
    """Return the highest level that is on, -1 if none."""
    return NO_LEVEL if state is None else top_of(state.levels)


def top_of(levels: tuple[LevelState, ...]) -> int:
    """Return the highest of `levels` that is on, -1 if none."""
    for index in range(len(levels) - 1, -1, -1):
        if levels[index].hold in (Hold.ON, Hold.KEEP):
            return index
    return NO_LEVEL


def _level(
    rule: Rule, index: int, old: LevelState, reading: Reading, value: float | None, held_back: bool
) -> LevelState:
    """Move one level; `held_back` keeps it from being raised (refractory)."""
    hi, lo = reading.limits[index]
    if value is None or (value < lo and not reading.complete):
        return old if old.hold is Hold.QUIET else replace(old, paused=True)
    end_us = reading.end_us
    gap_us = end_us - old.last_us
    broken = gap_us > rule.max_gap_us
    credit_us = 0 if broken or old.paused else gap_us
    if old.hold in (Hold.ON, Hold.KEEP):
        return _kept(rule, lo, old, end_us, value, credit_us)
    hits_us = tuple(us for us in old.hits_us if end_us - us <= rule.within_us)
    if value < lo:
        return LevelState(hits_us=hits_us)
    if old.hold is Hold.COUNTED:
        return LevelState(Hold.COUNTED, old.since_us, 0, end_us, hits_us=hits_us)
    if old.hold is Hold.QUIET or broken:
        if value < hi:
            return LevelState(hits_us=hits_us)
        old, credit_us = LevelState(Hold.QUIET, end_us), 0
    held_us = old.held_us + credit_us
    due = value >= hi and (reading.severe or (held_us >= rule.for_us and not held_back))
    if not due:
        return LevelState(Hold.PENDING, old.since_us, held_us, end_us, hits_us=hits_us)
    return _reached(rule, old.since_us, end_us, (*hits_us, old.since_us), reading.severe)


def _reached(
    rule: Rule, since_us: int, end_us: int, hits_us: tuple[int, ...], severe: bool
) -> LevelState:
    """Raise a level that has held, or count it until it has often enough."""
    if len(hits_us) < rule.spec.repeats and not severe:
        return LevelState(Hold.COUNTED, since_us, 0, end_us, hits_us=hits_us)
    return LevelState(Hold.ON, hits_us[0], 0, end_us)


def _kept(
    rule: Rule, lo: float, old: LevelState, end_us: int, value: float, credit_us: int
) -> LevelState:
    """Move a level that is on: sustained, or one step further through `keep`."""
    if value >= lo:
        return LevelState(Hold.ON, old.since_us, 0, end_us)
    held_us = old.held_us + credit_us if old.hold is Hold.KEEP else 0
    if held_us >= rule.keep_us:
        return LevelState()
    return LevelState(Hold.KEEP, old.since_us, held_us, end_us)


def _smoothed(rule: Rule, state: ConditionState, reading: Reading) -> float | None:
    """Return the value to compare: the reading's, or its mean with what came before."""
    value = reading.value
    if value is None or not rule.ewma_us or state.mean is None:
        return value
    gap_us = reading.end_us - state.mean_us
    if gap_us > rule.max_gap_us:
        return value
    return state.mean + (1.0 - math.exp(-gap_us / rule.ewma_us)) * (value - state.mean)


def _remembered(rule: Rule, state: ConditionState, reading: Reading) -> memory.Past:
    """Return the past with the reading in it."""
    if rule.past is None:
        return ()
    if reading.value is None:
        return state.past
    return memory.remembered(rule.past, state.past, reading.value, reading.end_us)


def _rings_again(rule: Rule, was: int, now: int, reading: Reading, value: float | None) -> bool:
    """Say whether a condition that goes on stands where it would be raised."""
    if rule.again is None or value is None or NO_LEVEL in (was, now) or now > was:
        return False
    return value >= reading.limits[0][0]


def _or_quiet(rule: Rule, state: ConditionState, end_us: int) -> ConditionState | None:
    """Forget a condition that is quiet, owes no count, no mean, and is not refractory."""
    if rule.ewma_us or rule.past or end_us < state.quiet_until_us:
        return state
    if rule.again and state.rang_us is not None and end_us - state.rang_us < rule.again.after_us:
        return state
    quiet = all(level.hold is Hold.QUIET and not level.hits_us for level in state.levels)
    return None if quiet else state


def _onset(levels: tuple[LevelState, ...]) -> int:
    """Return when the earliest level that is on began; 0 if none is."""
    on = (level.since_us for level in levels if level.hold in (Hold.ON, Hold.KEEP))
    return min(on, default=0)


def _quiet(rule: Rule) -> tuple[LevelState, ...]:
    """Return the levels of a condition nothing is known of."""
    return (_QUIET,) * len(rule.limits)


_QUIET = LevelState()
