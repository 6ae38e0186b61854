"""Hysteresis, `for`, `keep`, severe bypass and refractory, drawn: one character is 30 s.

R raised  E escalated  D de-escalated  O over (cleared)  s stale  f refreshed  U updated  X resolved
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec
import pytest

from alerts import conditions
from alerts.conditions import ConditionState, LevelState
from alerts.machine import AlertMachine
from alerts.policy import Policy, default_policy_text, parse_policy
from alerts.reading import read, value_of
from models.score import Score

MakeScore = Callable[..., Score]
Draw = Callable[..., str]


def edited(*changes: tuple[str, str]) -> Policy:
    """The default policy with some of its text replaced."""
    text = default_policy_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text)


def test_a_level_is_raised_once_it_has_held_for_two_minutes(draw: Draw) -> None:
    assert draw("00555555") == "------R-"


def test_a_spike_shorter_than_for_is_never_raised(draw: Draw) -> None:
    assert draw("0077700000") == "----------"


def test_pending_survives_between_lo_and_hi_but_is_raised_only_at_hi(draw: Draw) -> None:
    assert draw("05444445") == "-------R"


def test_pending_ends_below_lo(draw: Draw) -> None:
    assert draw("05535555") == "--------"


def test_a_score_between_lo_and_hi_alone_raises_nothing(draw: Draw) -> None:
    assert draw("0444444444") == "----------"


def test_an_alert_clears_after_keep_below_lo(draw: Draw) -> None:
    # raised, below lo from the next score on, told of it once, over 600 s after that score
    assert draw("55555" + "3" * 22) == "----R-U" + "-" * 18 + "O-"


def test_touching_lo_restarts_keep(draw: Draw) -> None:
    assert draw("55555" + "3" * 19 + "4" + "3" * 21)[24:] == "U-U" + "-" * 18 + "O"


def test_keep_halts_while_inputs_are_missing(draw: Draw) -> None:
    # 10 steps of keep, 10 without a score, then 11 more: the missing ones proved nothing.
    drawn = draw("55555" + "3" * 11 + "." * 10 + "3" * 11)
    assert drawn == "----R-U" + "-" * 9 + "s" + "-" * 9 + "f" + "-" * 9 + "O"


def test_a_score_that_lost_the_inputs_the_alert_rests_on_cannot_clear_it(draw: Draw) -> None:
    assert draw("77777" + "?" * 60) == "----Rs" + "-" * 59


def test_what_is_left_of_a_score_never_hides_an_input_that_was_lost(
    machine: AlertMachine, score: MakeScore
) -> None:
    clock = itertools.count(0, 30)

    def play(steps: int, points: dict[str, int]) -> list[str]:
        drawn: list[str] = []
        for at_s in itertools.islice(clock, steps):
            drawn += [str(event.phase) for event in machine.on_scores((score(at_s, points),))]
        return drawn

    assert play(5, {"resp_rate": 3, "spo2": 3, "pulse": 1}) == ["raised"]
    # the rest holds the lower level, but nobody knows about SpO2: no step down, and no end
    assert play(60, {"resp_rate": 3, "pulse": 1, "temp": 0}) == ["stale"]
    assert play(60, {"resp_rate": 0, "pulse": 1, "temp": 0}) == []
    assert play(30, {"resp_rate": 0, "pulse": 1, "spo2": 0}) == ["refreshed", "cleared"]


def test_a_lower_bound_at_hi_raises_however_incomplete_the_score_is(
    machine: AlertMachine, score: MakeScore
) -> None:
    events = []
    for at_s in range(0, 150, 30):
        events += machine.on_scores((score(at_s, {"resp_rate": 3, "spo2": 3}),))
    assert [event.priority for event in events] == ["medium"]


def test_a_gap_between_scores_proves_nothing_for_a_pending_level(
    machine: AlertMachine, score: MakeScore
) -> None:
    assert machine.on_scores((score(0, 7),)) == ()
    assert machine.on_scores((score(121, 7),)) == ()
    assert machine.on_scores((score(241, 7),)) != ()


def test_a_pending_level_dies_in_a_gap_if_it_comes_back_below_hi(
    machine: AlertMachine, score: MakeScore
) -> None:
    machine.on_scores((score(0, 5),))
    machine.on_scores((score(300, 4),))
    assert machine.state().conditions == {}


def test_a_pending_level_bridges_one_missing_score_without_counting_it(draw: Draw) -> None:
    assert draw("55.5555") == "------R"


def test_rising_through_both_levels_escalates_once(draw: Draw) -> None:
    assert draw("5555577777") == "----R-U--E"


def test_falling_below_the_upper_level_deescalates_then_clears(draw: Draw) -> None:
    drawn = draw("77777" + "4" * 21 + "3" * 21)
    assert drawn == "----R-U" + "-" * 18 + "D-U" + "-" * 18 + "O"


def test_severe_on_good_fresh_inputs_skips_for(draw: Draw) -> None:
    assert draw("009") == "--R"


@pytest.mark.parametrize(
    "doubt", [{"quality": 0.79}, {"age_s": 61.0}], ids=["poor quality", "too old"]
)
def test_severe_on_doubtful_inputs_waits_like_any_other(
    machine: AlertMachine, score: MakeScore, doubt: dict[str, float]
) -> None:
    assert machine.on_scores((score(0, 9, **doubt),)) == ()


def test_severe_needs_completeness(machine: AlertMachine, score: MakeScore) -> None:
    thin = msgspec.structs.replace(score(0, 9), completeness=0.39)
    assert machine.on_scores((thin,)) == ()


def test_severe_needs_evidence(machine: AlertMachine, score: MakeScore) -> None:
    assert machine.on_scores((msgspec.structs.replace(score(0, 9), evidence=()),)) == ()


def test_severe_counts_only_the_points_of_trusted_inputs(
    machine: AlertMachine, score: MakeScore
) -> None:
    full = score(0, 12)
    old = msgspec.structs.replace(full.evidence[0], age_s=600.0)
    enough = msgspec.structs.replace(full, evidence=(old, *full.evidence[1:]))
    (event,) = machine.on_scores((enough,))
    assert event.text.why[0] == "NEWS2 12 on good, fresh inputs: raised at once"


def test_a_calibrated_model_is_severe_only_without_any_doubtful_input(score: MakeScore) -> None:
    rule = (
        edited(
            ("severe = 9", "severe = 0.9"),
            ("hi = 5, lo = 4", "hi = 0.5, lo = 0.4"),
            ("hi = 7, lo = 5", "hi = 0.7, lo = 0.5"),
        )
        .variants["deterioration"]
        .plain
    )
    sure = msgspec.structs.replace(score(0, 9), calibrated=True, lower=0.95)
    doubtful = msgspec.structs.replace(score(0, 9, quality=0.5), calibrated=True, lower=0.95)
    assert read(sure, 0.95, rule, ()).severe
    assert not read(doubtful, 0.95, rule, ()).severe


def test_scores_are_rounded_before_any_threshold(score: MakeScore, policy: Policy) -> None:
    almost = msgspec.structs.replace(score(0, 5), lower=4.99996)
    assert value_of(almost, policy.conditions["deterioration"]) == 5.0


def test_a_nan_score_is_no_score(score: MakeScore, policy: Policy) -> None:
    broken = msgspec.structs.replace(score(0, 5), lower=float("nan"))
    assert value_of(broken, policy.conditions["deterioration"]) is None


def test_refractory_holds_the_same_priority_back(draw: Draw) -> None:
    slow = edited(
        ("refractory_s = 0 ", "refractory_s = 300 "), ("rejoin_s = 900  ", "rejoin_s = 0  ")
    )
    # clears at step 25; raised again at the first score at hi 300 s = 10 steps later
    drawn = draw("55555" + "3" * 21 + "5" * 12, policy=slow)
    assert drawn[25:] == "OX" + "-" * 8 + "R--"


def test_refractory_does_not_hold_back_a_higher_priority(draw: Draw) -> None:
    slow = edited(("refractory_s = 0 ", "refractory_s = 3000 "))
    drawn = draw("55555" + "3" * 21 + "7" * 6, policy=slow)
    assert drawn[25:] == "O----R-"


def test_refractory_does_not_hold_back_a_severe_score(draw: Draw) -> None:
    slow = edited(("refractory_s = 0 ", "refractory_s = 3000 "))
    assert draw("77777" + "3" * 21 + "9", policy=slow)[25:] == "OR"


def test_the_refractory_state_is_forgotten_when_it_is_over(
    score: MakeScore, at: Callable[[float], int]
) -> None:
    rule = edited(("refractory_s = 0 ", "refractory_s = 60 ")).variants["deterioration"].plain
    quiet = ConditionState((LevelState(), LevelState()), quiet_until_us=at(60), last_level=0)
    early = conditions.step(rule, quiet, read(score(30, 0), 0.0, rule, ()))
    late = conditions.step(rule, quiet, read(score(60, 0), 0.0, rule, ()))
    assert early.state is not None
    assert late.state is None


def test_zero_for_and_keep_follow_the_score_at_once(draw: Draw) -> None:
    bare = edited(("for_s = 120 ", "for_s = 0 "), ("keep_s = 600 ", "keep_s = 0 "))
    assert draw("05055", policy=bare) == "-ROR-"


def test_no_state_has_no_level_on() -> None:
    assert conditions.top(None) == conditions.NO_LEVEL
