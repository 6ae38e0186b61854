"""Stored scores through the live alert machine, ticks included: event for event what it says.

A tick is fed only while an alert is open; without one it does nothing (`AlertMachine.on_tick`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from alerts.alert import AlertEvent
from alerts.machine import AlertMachine
from alerts.policy import Policy
from models.score import Score
from service.backtest_scores import ScoreTable

TICK_US: Final = 5_000_000


class Until(NamedTuple):
    """How a history ends: ticks up to `end_us`, or to each patient's own last score (None)."""

    end_us: int | None
    backfill_us: int | None = None  # windows known later than this page nobody


def first_tick_us(at_us: int) -> int:
    """The first tick at or after a time.

    Examples
    --------
    >>> first_tick_us(5_000_000), first_tick_us(5_000_001)
    (5000000, 10000000)
    """
    return -(-at_us // TICK_US) * TICK_US


def patient_events(
    table: ScoreTable, patient: int, bounds: tuple[int, int], policy: Policy, until: Until
) -> Iterator[AlertEvent]:
    """What the machine says of one patient's scores, in log order.

    Parameters
    ----------
    table : ScoreTable
        The scores.
    patient : int
        Number of the patient.
    bounds : (int, int)
        First row, and row after the last.
    policy : Policy
        The policy in force from the start.
    until : Until
        How the history ends.

    Notes
    -----
    Scores known at a tick's time come before it, as in the engine.
    """
    machine = AlertMachine(policy, table.patients[patient])
    tick_us = 0
    for group in _windows(table, *bounds):
        known_us = group[0].known_us
        if machine.records():
            for now_us in range(tick_us, first_tick_us(known_us), TICK_US):
                yield from machine.on_tick(now_us)
        tick_us = max(tick_us, first_tick_us(known_us))
        late = until.backfill_us is not None and known_us - group[0].end_us > until.backfill_us
        if not late:
            yield from machine.on_scores(group)
    last_us = until.end_us if until.end_us is not None else tick_us
    if machine.records():
        for now_us in range(tick_us, last_us + 1, TICK_US):
            yield from machine.on_tick(now_us)


def _windows(table: ScoreTable, begin: int, end: int) -> Iterator[list[Score]]:
    """Scores of one window together, one per scorer, as the engine hands them over."""
    group: list[Score] = []
    for row in range(begin, end):
        score = table.score(row)
        if group and not _together(group, score):
            yield group
            group = []
        group.append(score)
    if group:
        yield group


def _together(group: list[Score], score: Score) -> bool:
    first = group[0]
    same = (first.start_us, first.end_us, first.known_us, first.revision) == (
        score.start_us,
        score.end_us,
        score.known_us,
        score.revision,
    )
    return same and all(other.scorer != score.scorer for other in group)
