"""Is a condition there? Hysteresis, `for`, `keep`, severe bypass and refractory, as a pure step.

Not here: what is said about it (`alerts.machine`). Event time only; nothing here knows a patient.

Choices that change the outcome:

* A level is pending from the first score at `hi`, survives down to `lo`, and is raised when it has
  held for `for` *and* the score stands at `hi`: noise around `hi` does not restart the clock, and
  no alert is raised on a score below its own threshold.
* `for` and `keep` count only time between two usable scores at most `max_gap` apart. Missing data
  proves nothing: it ends a pending level after `max_gap` and merely halts `keep`.
* A lower bound is certain, so a score at `lo` or above sustains however incomplete it is. A score
  below `lo` counts only when complete: no input that carried points when it was last seen may be
  missing, else a lost sensor would look like a recovery.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

from alerts.policy import ConditionSpec, LevelSpec, to_us
from models.score import Evidence, Score

DECIMALS = 4  # scores are rounded before any threshold
NO_LEVEL = -1


class Hold(IntEnum):
    """Where one level stands."""

    QUIET = 0
    PENDING = 1  # at `hi` once, `for` is running
    ON = 2
    KEEP = 3  # on, but below `lo`: `keep` is running


class LevelState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One level: since when pending or on, the time proven, the last score that proved any."""

    hold: Hold = Hold.QUIET
    since_us: int = 0
    held_us: int = 0
    last_us: int = 0
    paused: bool = False


class ConditionState(msgspec.Struct, frozen=True, array_like=True):
    """A condition that is not wholly quiet."""

    levels: tuple[LevelState, ...]
    carried_by: tuple[str, ...] = ()  # inputs that had points when last seen
    quiet_until_us: int = 0  # refractory
    last_level: int = NO_LEVEL  # highest level before it last cleared


class Reading(NamedTuple):
    """What one score says to one condition."""

    end_us: int
    value: float | None  # None: no score
    complete: bool  # may a low value be believed
    severe: bool
    carried_by: tuple[str, ...]


class Verdict(NamedTuple):
    """The condition after a reading: highest level on (-1: none), and since when."""

    state: ConditionState | None
    level: int
    onset_us: int
    usable: bool  # False: the reading could neither sustain nor release


def value_of(score: Score, field: str) -> float | None:
    """Return the field of `score` a condition reads, rounded to 1e-4; None if there is no score."""
    value: float | None = None if score.value is None else getattr(score, field)
    return None if value is None or value != value else round(float(value), DECIMALS)


def read(
    score: Score, value: float | None, spec: ConditionSpec, state: ConditionState | None
) -> Reading:
    """Judge a score against what the condition knows.

    Parameters
    ----------
    score : Score
        The score.
    value : float or None
        Its field in question, from `value_of`.
    spec : ConditionSpec
        The condition's policy.
    state : ConditionState or None
        Its state; None is quiet.
    """
    present = _inputs(score, spec)
    gone = () if state is None else tuple(n for n in state.carried_by if n not in present)
    complete = score.completeness >= spec.min_completeness and not gone
    severe = value is not None and _severe(score, value, spec)
    carried = tuple(sorted((*gone, *(name for name, points in present.items() if points > 0))))
    return Reading(score.end_us, value, complete, severe, carried)


def step(spec: ConditionSpec, state: ConditionState | None, reading: Reading) -> Verdict:
    """Move a condition by one reading.

    Parameters
    ----------
    spec : ConditionSpec
        The condition's policy.
    state : ConditionState or None
        Its state; None is quiet.
    reading : Reading
        Readings come in order of `end_us`.

    Returns
    -------
    Verdict
        With `state` None once everything is quiet again.
    """
    before = state or ConditionState(tuple(LevelState() for _ in spec.levels))
    was = top(before)
    levels = tuple(
        _level_step(spec, level, old, reading, was == NO_LEVEL and _held_back(before, i, reading))
        for i, (level, old) in enumerate(zip(spec.levels, before.levels, strict=True))
    )
    after = msgspec.structs.replace(before, levels=levels)
    now = top(after)
    if reading.value is not None:
        after = msgspec.structs.replace(after, carried_by=reading.carried_by)
    if was != NO_LEVEL and now == NO_LEVEL:
        until_us = reading.end_us + to_us(spec.refractory_s)
        after = msgspec.structs.replace(
            after, quiet_until_us=until_us, last_level=was, carried_by=()
        )
    usable = not any(level.paused for level in levels)
    return Verdict(_or_quiet(after, reading.end_us), now, _onset(levels), usable)


def top(state: ConditionState | None) -> int:
    """Return the highest level that is on, -1 if none."""
    levels = state.levels if state is not None else ()
    on = (i for i, level in enumerate(levels) if level.hold in (Hold.ON, Hold.KEEP))
    return max(on, default=NO_LEVEL)


def pause(state: ConditionState) -> ConditionState:
    """Halt every running clock until the next usable score: its inputs are known to be gone."""
    levels = tuple(
        level if level.hold is Hold.QUIET else msgspec.structs.replace(level, paused=True)
        for level in state.levels
    )
    return msgspec.structs.replace(state, levels=levels)


def _level_step(
    spec: ConditionSpec, level: LevelSpec, old: LevelState, reading: Reading, held_back: bool
) -> LevelState:
    """Move one level; `held_back` keeps it from being raised (refractory)."""
    value, end_us = reading.value, reading.end_us
    if value is None or (value < level.lo and not reading.complete):
        return old if old.hold is Hold.QUIET else msgspec.structs.replace(old, paused=True)
    gap_us = end_us - old.last_us
    broken = gap_us > to_us(spec.max_gap_s)
    credit_us = 0 if broken or old.paused else gap_us
    if old.hold in (Hold.ON, Hold.KEEP):
        return _kept(spec, level, old, reading, credit_us)
    if old.hold is Hold.QUIET or broken:
        old = LevelState(Hold.QUIET, end_us, 0, end_us)
        credit_us = 0
        if value < level.hi:
            return LevelState()
    if value < level.lo:
        return LevelState()
    held_us = old.held_us + credit_us
    raised = value >= level.hi and (held_us >= to_us(spec.for_s) or reading.severe)
    if raised and (reading.severe or not held_back):
        return LevelState(Hold.ON, old.since_us, 0, end_us)
    return LevelState(Hold.PENDING, old.since_us, held_us, end_us)


def _kept(
    spec: ConditionSpec, level: LevelSpec, old: LevelState, reading: Reading, credit_us: int
) -> LevelState:
    """Move a level that is on: sustained, or one step further through `keep`."""
    assert reading.value is not None
    if reading.value >= level.lo:
        return LevelState(Hold.ON, old.since_us, 0, reading.end_us)
    held_us = old.held_us + credit_us if old.hold is Hold.KEEP else 0
    if held_us >= to_us(spec.keep_s):
        return LevelState()
    return LevelState(Hold.KEEP, old.since_us, held_us, reading.end_us)


def _held_back(state: ConditionState, index: int, reading: Reading) -> bool:
    """Refractory holds back the priority of the last occurrence and those below it."""
    return reading.end_us < state.quiet_until_us and index <= state.last_level


def _or_quiet(state: ConditionState, end_us: int) -> ConditionState | None:
    """Forget a condition that is quiet and no longer refractory."""
    quiet = all(level.hold is Hold.QUIET for level in state.levels)
    return None if quiet and end_us >= state.quiet_until_us else state


def _onset(levels: tuple[LevelState, ...]) -> int:
    """Return when the earliest level that is on began; 0 if none is."""
    on = (level.since_us for level in levels if level.hold in (Hold.ON, Hold.KEEP))
    return min(on, default=0)


def _inputs(score: Score, spec: ConditionSpec) -> dict[str, float]:
    """Return the inputs a score had, with their points: the rule's own, else its evidence.

    Evidence is named by its source; `same_input` says which sources stand for one another.
    """
    if score.news2 is not None:
        return {name: float(points) for name, points in score.news2.points.items()}
    return {_input(item.code, spec): item.points for item in score.evidence}


def _input(code: str, spec: ConditionSpec) -> str:
    """Return the one name under which all sources of an input go."""
    return next((group[0] for group in spec.same_input if code in group), code)


def _severe(score: Score, value: float, spec: ConditionSpec) -> bool:
    """Say whether the score is severe on good, fresh evidence alone."""
    if spec.severe is None or value < spec.severe or not score.evidence:
        return False
    if score.completeness < spec.severe_completeness:
        return False
    doubtful = sum(e.points for e in score.evidence if e.points > 0 and not _trusted(e, spec))
    # Points of a calibrated model are not in the unit of its probability: none may be doubtful.
    return doubtful == 0 if score.calibrated else value - doubtful >= spec.severe


def _trusted(item: Evidence, spec: ConditionSpec) -> bool:
    """Say whether this input is fresh and clean enough to page on at once."""
    return item.quality >= spec.severe_quality and item.age_s <= spec.severe_age_s
