"""Corrections: retract what would not have been raised, revise the rest, delete nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from alerts.alert import AlertEvent, Condition, Phase, Resolution
from alerts.conditions import Hold
from alerts.late import NOT_NEEDED
from alerts.machine import AlertMachine
from alerts.revision import MAX_TRAIL
from tests.alerts.alert_kit import ask, conditions, phases, play, risk, us

RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }, { priority = "high", hi = 0.8, lo = 0.7 }]
for_s = 60
keep_s = 60
rejoin_s = 600
update_delta = 0.05
update_s = 0
"""
POLICY = conditions(RISK)
UP: Mapping[float, float] = {0: 0.2, 30: 0.5, 60: 0.5, 90: 0.5}  # pending at 30, raised at 90


@pytest.fixture
def machine() -> AlertMachine:
    return AlertMachine(POLICY, "p1")


def correct(machine: AlertMachine, at_s: float, value: float | None, known_s: float) -> Any:
    late = risk(at_s, value, revision=1, known_s=known_s - at_s)
    before = machine.snapshot()
    events = machine.on_scores((late,))
    twin = AlertMachine.restore(POLICY, "p1", before)
    assert twin.on_scores((late,)) == events
    assert twin.snapshot() == machine.snapshot()
    return events


def raised(machine: AlertMachine) -> AlertEvent:
    (event,) = play(machine, UP)
    assert event.phase is Phase.RAISED
    return event


def test_a_raise_that_late_data_takes_the_ground_from_is_retracted(machine: AlertMachine) -> None:
    before = raised(machine)
    (event,) = correct(machine, 60, 0.1, known_s=100)
    assert (event.phase, event.revised, event.closed_reason) == (
        Phase.RETRACTED, True, "late_data",
    )  # fmt: skip
    assert event.occurrence_id == before.occurrence_id
    assert event.seq == 2
    assert event.text.why[0] == NOT_NEEDED
    assert machine.records() == ()


def test_what_is_retracted_goes_on_from_the_corrected_past(machine: AlertMachine) -> None:
    raised(machine)
    correct(machine, 60, 0.1, known_s=100)
    # corrected: pending since 90, so that 150 is the first score that has held for 60 s
    assert phases(play(machine, {120: 0.5})) == []
    (again,) = play(machine, {150: 0.5})
    assert (again.phase, again.onset_us) == (Phase.RAISED, us(90))


def test_one_that_somebody_accepted_is_only_revised(machine: AlertMachine) -> None:
    before = raised(machine)
    ask(machine, "acknowledge", before.occurrence_id, 95)
    (event,) = correct(machine, 60, 0.1, known_s=100)
    assert (event.phase, event.revised) == (Phase.UPDATED, True)
    assert event.state.condition is Condition.ACTIVE
    assert event.text.why[0] == NOT_NEEDED


def test_one_that_was_given_back_or_refused_may_be_retracted(machine: AlertMachine) -> None:
    before = raised(machine)
    ask(machine, "reject", before.occurrence_id, 95)
    assert phases(correct(machine, 60, 0.1, known_s=100)) == ["retracted"]


@pytest.mark.parametrize(("known_s", "phase"), [(210, "retracted"), (211, "updated")])
def test_one_that_is_older_than_revise_s_is_only_revised(
    machine: AlertMachine, known_s: float, phase: str
) -> None:
    raised(machine)  # at 90, revise_s is 120
    assert phases(correct(machine, 60, 0.1, known_s=known_s)) == [phase]


def test_a_later_episode_is_never_retracted(machine: AlertMachine) -> None:
    raised(machine)
    ups = {120: 0.1, 150: 0.1, 180: 0.1, 210: 0.5, 240: 0.5, 270: 0.5}
    assert phases(play(machine, ups)) == ["updated", "cleared", "raised"]
    (event,) = correct(machine, 240, 0.1, known_s=280)
    assert (event.phase, event.state.resolution) == (Phase.UPDATED, Resolution.OPEN)


def test_a_correction_that_changes_nothing_decided_is_told_and_changes_nothing(
    machine: AlertMachine,
) -> None:
    raised(machine)
    (event,) = correct(machine, 60, 0.45, known_s=100)
    assert (event.phase, event.revised, event.episode_count) == (Phase.UPDATED, True, 1)
    assert event.text.why[0] == "A late correction: Risk was 0.45 then"
    play(machine, {120: 0.5, 150: 0.5})
    (again,) = correct(machine, 120, None, known_s=155)
    assert again.text.why[0] == "A late correction: Risk had no usable value then"


def test_a_corrected_low_between_two_highs_raises_from_the_first(machine: AlertMachine) -> None:
    play(machine, {0: 0.2, 30: 0.5, 60: 0.45, 90: 0.45})
    (event,) = correct(machine, 90, 0.6, known_s=100)
    assert (event.phase, event.revised, event.onset_us) == (Phase.RAISED, True, us(30))


def test_the_corrected_past_is_what_goes_on(machine: AlertMachine) -> None:
    raised(machine)
    play(machine, {120: 0.1, 150: 0.1})  # `keep` has run 30 s
    correct(machine, 120, 0.5, known_s=155)
    assert phases(play(machine, {180: 0.1})) == []  # it began at 150, not at 120
    assert phases(play(machine, {210: 0.1})) == ["cleared"]


def test_a_stale_alert_goes_on_from_the_past_it_had(machine: AlertMachine) -> None:
    raised(machine)
    play(machine, {120: 0.1, 150: 0.45, 180: 0.1, 210: None})
    correct(machine, 150, 0.1, known_s=215)
    assert machine.state().conditions["a"].levels[0].hold is Hold.KEEP
    # refreshed with `keep` begun at 180, which the missing score of 210 has halted
    assert phases(play(machine, {240: 0.1})) == ["refreshed"]
    assert phases(play(machine, {270: 0.1, 300: 0.1})) == ["cleared"]


def test_a_correction_of_what_is_only_pending_says_nothing(machine: AlertMachine) -> None:
    assert play(machine, {30: 0.5, 60: 0.5}) == []
    assert correct(machine, 30, 0.3, known_s=65) == ()
    assert phases(play(machine, {90: 0.5})) == []  # pending since 60 now
    (event,) = play(machine, {120: 0.5})
    assert event.onset_us == us(60)


def test_a_correction_of_an_older_window_may_raise(machine: AlertMachine) -> None:
    policy = conditions(RISK.replace("for_s = 60", "for_s = 30"))
    own = AlertMachine(policy, "p1")
    assert play(own, {30: 0.5, 60: 0.3 + 0.1, 90: 0.45}) == []
    (event,) = own.on_scores((risk(60, 0.6, revision=1),))
    assert (event.phase, event.onset_us, event.event_us) == (Phase.RAISED, us(30), us(60))


def test_a_correction_without_a_value_raises_nothing() -> None:
    own = AlertMachine(conditions(RISK + "ewma_s = 0.001\n"), "p1")  # remembers quiet readings too
    assert play(own, {0: 0.5, 30: 0.5, 60: 0.1, 90: 0.5, 120: 0.5}) == []
    # without the low of 60 the score would have held since 0; but there is nothing to show
    assert own.on_scores((risk(60, None, revision=1),)) == ()
    (event,) = play(own, {150: 0.5})
    assert (event.phase, event.onset_us) == (Phase.RAISED, us(90))


def test_the_newest_window_corrected_upwards_escalates(machine: AlertMachine) -> None:
    raised(machine)
    assert phases(play(machine, {120: 0.85, 150: 0.85, 180: 0.79})) == ["updated", "updated"]
    (event,) = correct(machine, 180, 0.85, known_s=182)
    assert (event.phase, event.revised, event.event_us) == (Phase.ESCALATED, True, us(180))


def test_a_correction_of_an_older_window_may_change_the_priority(machine: AlertMachine) -> None:
    raised(machine)
    # high pending at 120, below its lo at 150, pending again at 180
    play(machine, {120: 0.85, 150: 0.6, 180: 0.85})
    (event,) = correct(machine, 150, 0.75, known_s=190)
    assert (event.phase, event.priority, event.revised) == (Phase.ESCALATED, "high", True)
    assert event.score is not None
    assert event.score.decision == 0.85  # the newest evidence, not the corrected one


def test_a_correction_may_say_that_it_is_over_already(machine: AlertMachine) -> None:
    raised(machine)
    play(machine, {120: 0.1, 150: 0.45, 180: 0.1})
    (event,) = correct(machine, 150, 0.1, known_s=190)
    assert (event.phase, event.revised) == (Phase.CLEARED, True)


def test_a_stale_alert_is_not_moved_by_a_correction_of_what_was_before(
    machine: AlertMachine,
) -> None:
    raised(machine)
    play(machine, {120: 0.1, 150: 0.45, 180: 0.1})
    assert phases(play(machine, {210: None})) == ["stale"]
    (event,) = correct(machine, 150, 0.1, known_s=215)
    assert event.phase is Phase.UPDATED
    assert event.state.stale
    assert event.state.condition is Condition.ACTIVE


def test_the_newest_window_losing_its_value_turns_the_alert_stale(machine: AlertMachine) -> None:
    raised(machine)
    play(machine, {120: 0.5})
    (event,) = correct(machine, 120, None, known_s=125)
    assert (event.phase, event.revised) == (Phase.STALE, True)


def test_the_newest_window_losing_what_cleared_a_level_changes_no_priority(
    machine: AlertMachine,
) -> None:
    raised(machine)
    play(machine, {120: 0.9, 150: 0.9, 180: 0.9, 210: 0.5, 240: 0.5})
    (down,) = play(machine, {270: 0.5})
    assert down.phase is Phase.DEESCALATED
    (event,) = correct(machine, 270, None, known_s=275)
    assert (event.phase, event.priority) == (Phase.UPDATED, "medium")


def test_a_score_older_than_what_is_kept_is_a_backfill(machine: AlertMachine) -> None:
    raised(machine)
    assert correct(machine, 0, 0.9, known_s=100) == ()
    assert correct(machine, -300, 0.9, known_s=100) == ()


def test_a_repeat_without_a_revision_is_ignored(machine: AlertMachine) -> None:
    raised(machine)
    assert machine.on_scores((risk(90, 0.9),)) == ()
    assert machine.on_scores((risk(60, 0.1),)) == ()


def test_a_quiet_condition_hears_a_correction_of_its_newest_window(machine: AlertMachine) -> None:
    play(machine, {0: 0.2})
    assert correct(machine, 0, 0.1, known_s=5) == ()
    assert correct(machine, 0, 0.5, known_s=6) == ()
    assert machine.state().conditions["a"].levels[0].since_us == us(0)


def test_after_a_person_closed_it_a_correction_finds_nothing_to_retract(
    machine: AlertMachine,
) -> None:
    before = raised(machine)
    ask(machine, "resolve", before.occurrence_id, 95)
    assert correct(machine, 60, 0.1, known_s=100) == ()


def test_the_trail_is_bounded_in_time_and_number() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    play(machine, dict.fromkeys(range(0, 1000, 10), 0.6))
    (trail,) = machine.state().trails.values()
    assert trail.readings[0].end_us == us(990 - 120)
    dense = AlertMachine(conditions(RISK), "p1")
    play(dense, {at / 10: 0.6 for at in range(1000)})
    (trail,) = dense.state().trails.values()
    assert len(trail.readings) == MAX_TRAIL


def test_pruning_a_trail_changes_nothing(machine: AlertMachine) -> None:
    """A correction after pruning gives the state of a machine that heard it right at once."""
    values = {float(at): 0.45 + 0.05 * (at % 4) for at in range(0, 400, 10)}
    play(machine, values)
    correct(machine, 330, 0.47, known_s=395)
    right = AlertMachine(POLICY, "p1")
    play(right, {**values, 330.0: 0.47})
    assert machine.state().conditions == right.state().conditions
