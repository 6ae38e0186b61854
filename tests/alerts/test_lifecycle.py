"""The transition table: complete, and each row says what it may."""

from __future__ import annotations

import itertools

import pytest

from alerts.alert import Axes, Condition, Phase, Resolution, Responsibility, Suppression
from alerts.lifecycle import TRANSITIONS, Move, apply, may

EVERY_AXES = [
    Axes(*axes)
    for axes in itertools.product(
        Condition, Responsibility, Suppression, (False, True), (False, True), Resolution
    )
]


def test_every_move_has_a_row_and_every_phase_a_move() -> None:
    assert set(TRANSITIONS) == set(Move)
    assert {row.phase for row in TRANSITIONS.values()} == set(Phase)


def test_nothing_but_feedback_follows_a_closed_occurrence() -> None:
    closed = [axes for axes in EVERY_AXES if axes.resolution is not Resolution.OPEN]
    possible = {move for axes in closed for move in Move if may(axes, move)}
    assert possible == {Move.FEEDBACK}


def test_a_stale_alert_neither_clears_nor_resolves_by_itself() -> None:
    stale = [axes for axes in EVERY_AXES if axes.stale]
    possible = {move for axes in stale for move in Move if may(axes, move)}
    assert not possible & {Move.CLEAR, Move.CLEAR_LATCHED, Move.RESOLVE}


def test_pending_is_never_published() -> None:
    assert not any(may(Axes(Condition.PENDING), move) for move in Move)
    assert not any(Condition.PENDING in row.condition.values() for row in TRANSITIONS.values())


def test_an_escalation_in_priority_wipes_responsibility_and_suppression() -> None:
    axes = Axes(Condition.ACTIVE, Responsibility.ACCEPTED, Suppression.SNOOZED)
    phase, after = apply(axes, Move.ESCALATE)
    assert phase is Phase.ESCALATED
    assert after == Axes(Condition.ACTIVE)


def test_latched_is_set_exactly_with_the_latched_condition() -> None:
    for axes in EVERY_AXES:
        consistent = axes.latched == (axes.condition is Condition.LATCHED)
        for move in Move:
            if consistent and may(axes, move):
                after = apply(axes, move)[1]
                assert after.latched == (after.condition is Condition.LATCHED), (axes, move)


def test_an_impossible_move_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="no transition clear from"):
        apply(Axes(Condition.ACTIVE, stale=True), Move.CLEAR)
