"""What a condition would have done had it known: recent readings, played again with one replaced.

A trail is the state a condition had before its oldest kept reading, and the readings since. Playing
it gives the present state; playing it with a corrected reading gives the state that would be.
Not here: what is then said (`alerts.clinical`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from alerts.conditions import NO_LEVEL, ConditionState, Verdict, step, top
from alerts.reading import Reading
from alerts.rules import Rule

MAX_TRAIL: Final = 64  # readings; older ones are final

RuleAt = Callable[[int], Rule]


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """`base` is the condition before the first of `readings`, `states` that after each."""

    base: ConditionState | None
    readings: tuple[Reading, ...]
    states: tuple[ConditionState | None, ...]


class Replayed(NamedTuple):
    """The trail with the corrected reading, and what comes of it."""

    trail: Trail
    verdict: Verdict  # after the last reading
    ever_on: bool  # whether any level was on after any reading, or before the first


def extended(
    trail: Trail | None, base: ConditionState | None, reading: Reading, state: ConditionState
) -> Trail:
    """Add the newest reading and the state after it; a trail that starts here starts at `base`."""
    if trail is None:
        return Trail(base, (reading,), (state,))
    return Trail(trail.base, (*trail.readings, reading), (*trail.states, state))


def pruned(trail: Trail, oldest_us: int) -> Trail:
    """Make final what is older than `oldest_us` or beyond the bound; the newest stays."""
    readings = trail.readings
    drop = max(0, len(readings) - MAX_TRAIL)
    while drop < len(readings) - 1 and readings[drop].end_us < oldest_us:
        drop += 1
    if drop == 0:
        return trail
    return Trail(trail.states[drop - 1], readings[drop:], trail.states[drop:])


def covers(trail: Trail | None, end_us: int) -> bool:
    """Say whether a reading of that time can still be corrected."""
    return trail is not None and end_us >= trail.readings[0].end_us


def replayed(trail: Trail, rule_at: RuleAt, corrected: Reading) -> Replayed:
    """Play a trail with one reading replaced, or put in where there was none."""
    others = [r for r in trail.readings if r.end_us != corrected.end_us]
    readings = tuple(sorted((*others, corrected), key=_end_us))
    state = trail.base
    ever_on = top(state) != NO_LEVEL
    states: list[ConditionState | None] = []
    verdict = Verdict(state, NO_LEVEL, 0, True, None)
    for reading in readings:
        verdict = step(rule_at(reading.end_us), state, reading)
        state = verdict.state
        states.append(state)
        ever_on = ever_on or verdict.level != NO_LEVEL
    return Replayed(Trail(trail.base, readings, tuple(states)), verdict, ever_on)


def _end_us(reading: Reading) -> int:
    return reading.end_us
