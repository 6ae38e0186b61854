"""What begins anew and what does not: episodes, tiers, reminders, people who leave."""

from __future__ import annotations

from alerts.alert import Phase
from alerts.machine import AlertMachine
from tests.alerts.alert_kit import ask, conditions, phases, play, risk, us

RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }, { priority = "high", hi = 0.8, lo = 0.7 }]
for_s = 0
keep_s = 60
rejoin_s = 900
"""
HELD = RISK.replace("for_s = 0", "for_s = 120")


def test_an_alert_that_comes_back_asks_the_first_tier_again() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    play(machine, {0: 0.6})
    climbed = [e for s in range(0, 1000, 5) for e in machine.on_tick(us(s)) if e.tier == 2]
    assert climbed[0].phase is Phase.ESCALATED
    events = play(machine, {1000: 0.1, 1060: 0.1, 1120: 0.6})
    assert phases(events)[-2:] == ["cleared", "raised"]
    assert (events[-1].tier, events[-1].episode_count) == (1, 2)


def test_an_acknowledgement_of_the_second_episode_is_recalled_too() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    (event,) = play(machine, {0: 0.6})
    for begin in (10, 1000):
        ask(machine, "acknowledge", event.occurrence_id, begin, until_us=us(begin + 700))
        said = [e.text.why[0] for e in machine.on_tick(us(begin + 200))]
        assert any("Its acknowledgement ends" in words for words in said), begin
        play(machine, {begin + 300: 0.1, begin + 360: 0.1, begin + 420: 0.6})


def test_who_leaves_leaves_no_alert_however_often_it_changed() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    (event,) = play(machine, {0: 0.6})
    ask(machine, "acknowledge", event.occurrence_id, 5)
    play(machine, {30: 0.9})
    assert machine.records()[0].state_seq > 2
    assert phases(ask(machine, "discharge", "p1", 40, reason="home")) == ["resolved"]
    assert machine.records() == ()


def test_what_a_person_closed_must_hold_again_before_it_is_raised_again() -> None:
    machine = AlertMachine(conditions(HELD), "p1")
    (event,) = play(machine, dict.fromkeys(range(0, 121, 30), 0.6))
    ask(machine, "resolve", event.occurrence_id, 130)
    again = play(machine, dict.fromkeys(range(150, 301, 30), 0.6))
    assert phases(again) == ["raised"]
    assert again[0].event_us == us(270)
    assert again[0].occurrence_id != event.occurrence_id


def test_a_comment_after_the_end_does_not_make_a_new_one_wait() -> None:
    machine = AlertMachine(conditions(HELD), "p1")
    (event,) = play(machine, dict.fromkeys(range(0, 121, 30), 0.6))
    ask(machine, "resolve", event.occurrence_id, 130)
    play(machine, dict.fromkeys(range(150, 241, 30), 0.6))
    ask(machine, "comment", event.occurrence_id, 245, reason="looked at again")
    assert phases(play(machine, {270: 0.6})) == ["raised"]


def test_a_repeat_of_one_scorer_does_not_hide_another() -> None:
    other = RISK.replace("fusion.value", "other.value")
    machine = AlertMachine(conditions(RISK, other), "p1")
    play(machine, {0: 0.1})
    said = machine.on_scores((risk(0, 0.1), risk(0, 0.6, scorer="other")))
    assert [(e.condition.code, str(e.phase)) for e in said] == [("b", "raised")]


def test_a_fall_by_a_level_says_which_limit_was_left() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    events = play(machine, {0: 0.9, 30: 0.6, 90: 0.6})
    (fell,) = [e for e in events if e.phase is Phase.DEESCALATED]
    assert fell.text.why[0] == "Risk below 0.7 for 60 s"
