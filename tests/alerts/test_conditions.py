"""Hysteresis, `for`, `keep`, severe bypass and refractory, drawn: one character is 30 s.

R raised  E escalated  D de-escalated  O over (cleared)  s stale  f refreshed  U updated  X resolved
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import msgspec
import pytest

from alerts import conditions
from alerts.alert import Threshold
from alerts.conditions import ConditionState, LevelState
from alerts.machine import AlertMachine
from alerts.policy import Policy
from alerts.reading import read, value_of
from models.score import Score
from tests.alerts.alert_kit import conditions as conditions_of
from tests.alerts.alert_kit import edited, entry, risk, us
from tests.alerts.alert_kit import play as play_risk
from tests.alerts.conftest import draw_events

MakeScore = Callable[..., Score]
Draw = Callable[..., str]


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


# What follows is drawn with risk scores in tenths: "5" is 0.5, one character is 30 s.
RISK = """source = "fusion.value"
levels = [{ priority = "high", hi = 0.5, lo = 0.4 }]
update_delta = 9
"""


def draw_risk(policy: Policy, scores: str, spacing_s: float = 30) -> str:
    machine, drawn = AlertMachine(policy, "p1"), ""
    for step, letter in enumerate(scores):
        value = int(letter) / 10 if letter.isdigit() else None
        drawn += draw_events(machine.on_scores((risk(step * spacing_s, value),)))
    return drawn


def test_a_smoothed_score_lags_and_a_spike_does_not_reach_the_threshold() -> None:
    policy = conditions_of(RISK + "for_s = 0\nkeep_s = 0\newma_s = 60\n")
    # 0.39 of the way every 30 s: the spike gives 0.48, the step 0.42 and then 0.53
    assert draw_risk(policy, "22222922227777") == "-" * 11 + "R--"
    plain = conditions_of(RISK + "for_s = 0\nkeep_s = 0\n")
    assert draw_risk(plain, "22222922227777") == "-----RO---R---"


def test_smoothing_is_the_exact_exponential_of_elapsed_time() -> None:
    rule = conditions_of(RISK + "ewma_s = 60\n").variants["a"].plain
    first = conditions.step(rule, None, read(risk(0, 0.2), 0.2, rule, ()))
    second = conditions.step(rule, first.state, read(risk(45, 0.8), 0.8, rule, ()))
    assert first.value == 0.2
    assert second.value == round(0.2 + (1 - math.exp(-45 / 60)) * 0.6, 4)


def test_a_gap_starts_the_mean_anew() -> None:
    rule = conditions_of(RISK + "ewma_s = 60\nmax_gap_s = 120\n").variants["a"].plain
    state = conditions.step(rule, None, read(risk(0, 0.2), 0.2, rule, ())).state
    at_the_edge = conditions.step(rule, state, read(risk(120, 0.8), 0.8, rule, ()))
    beyond = conditions.step(rule, state, read(risk(120.1, 0.8), 0.8, rule, ()))
    assert at_the_edge.value == round(0.2 + (1 - math.exp(-2)) * 0.6, 4)
    assert beyond.value == 0.8


def test_a_missing_score_leaves_the_mean_where_it_was() -> None:
    rule = conditions_of(RISK + "ewma_s = 60\n").variants["a"].plain
    state = conditions.step(rule, None, read(risk(0, 0.2), 0.2, rule, ())).state
    skipped = conditions.step(rule, state, read(risk(30, None), None, rule, ()))
    assert skipped.value is None
    assert skipped.state is not None
    assert (skipped.state.mean, skipped.state.mean_us) == (0.2, risk(0, 0.2).end_us)


def test_the_bypass_looks_at_the_score_itself_not_at_its_mean() -> None:
    policy = conditions_of(RISK + "ewma_s = 60\nsevere = 0.9\n")
    machine = AlertMachine(policy, "p1")
    machine.on_scores((risk(0, 0.4),))
    (event,) = machine.on_scores((risk(30, 0.95, evidence=(entry("x", 1.0),)),))
    assert event.text.why[0] == "Risk 0.62 on good, fresh inputs: raised at once"


REPEATED = RISK + "for_s = 0\nkeep_s = 0\nrepeats = 3\nwithin_s = 300\nrejoin_s = 0\n"


def test_a_repeating_condition_is_raised_the_third_time_it_is_reached() -> None:
    assert draw_risk(conditions_of(REPEATED), "0505050") == "-----RO"


def test_staying_over_or_between_the_limits_counts_once() -> None:
    assert draw_risk(conditions_of(REPEATED), "555545550500") == "-" * 12


def test_visits_longer_ago_than_within_do_not_count() -> None:
    assert draw_risk(conditions_of(REPEATED), "050000000505") == "-" * 11 + "R"
    assert draw_risk(conditions_of(REPEATED), "0500000000505") == "-" * 13


def test_after_clearing_a_repeating_condition_counts_from_nothing() -> None:
    # over but unseen; the next three visits bring it back
    assert draw_risk(conditions_of(REPEATED), "050505050505") == "-----RO----R"


def test_a_repeating_condition_begins_with_its_first_visit() -> None:
    machine = AlertMachine(conditions_of(REPEATED), "p1")
    events = play_risk(machine, {0: 0.1, 30: 0.5, 60: 0.1, 90: 0.6, 120: 0.0, 150: 0.5})
    assert [(e.onset_us, e.raised_us) for e in events] == [(us(30), us(150))]
    assert events[0].text.why[0].endswith(", 3 times within 5 min")


def test_a_severe_score_is_not_counted_but_raised() -> None:
    machine = AlertMachine(conditions_of(REPEATED + "severe = 0.9\n"), "p1")
    (event,) = machine.on_scores((risk(0, 0.95, evidence=(entry("x", 1.0),)),))
    assert event.phase == "raised"


def test_the_visits_of_a_quiet_condition_are_forgotten_when_they_no_longer_count() -> None:
    machine = AlertMachine(conditions_of(REPEATED), "p1")
    play_risk(machine, {0: 0.5, 30: 0.1, 300: 0.1})
    assert machine.state().conditions["a"].levels[0].hits_us == (us(0),)
    play_risk(machine, {301: 0.1})
    assert machine.state().conditions == {}


FALLING = """source = "fusion.value"
side = "below"
levels = [{ priority = "medium", hi = 0.4, lo = 0.5 }, { priority = "high", hi = 0.2, lo = 0.3 }]
for_s = 30
keep_s = 60
update_delta = 9
"""


def test_what_is_bad_when_low_rises_and_clears_upside_down() -> None:
    # medium after 30 s at 0.4 or below, high after 30 s at 0.2, over after 60 s above 0.5
    assert draw_risk(conditions_of(FALLING), "95544222555666666") == "----R-E---D--O---"


def test_words_about_what_is_bad_when_low_say_so() -> None:
    machine = AlertMachine(conditions_of(FALLING), "p1")
    events = play_risk(machine, dict.fromkeys(range(0, 60, 30), 0.4))
    events += play_risk(machine, dict.fromkeys(range(60, 180, 30), 0.2))
    events += play_risk(machine, dict.fromkeys(range(180, 500, 30), 0.9))
    assert [e.text.why[0] for e in events] == [
        "Risk fell to 0.4 and stayed at 0.5 or below for 30 s",
        "Risk fell to 0.2",
        "Risk above 0.5 for 60 s",
    ]
    assert events[0].score is not None
    assert events[0].score.threshold == Threshold(0.4, 0.5, "below")
