"""What people may do to an alert, and how what they may not do is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from alerts.alert import AlertEvent, Condition, Phase, Priority, Responsibility, Suppression
from alerts.commands import MAX_NAME, MAX_WORDS, Refused
from alerts.machine import AlertMachine
from alerts.occurrence import MAX_ACTIONS
from alerts.policy import default_policy_text, parse_policy
from models.score import Score
from streams.records import AlertCommand, Reason

Make = Callable[..., Score]
At = Callable[[float], int]
Raised = tuple[AlertMachine, AlertEvent]

BASE = AlertCommand("c1", "p1", "", "acknowledge", "user:kim", "rn", "", -1, 0, 0)


class Desk:
    """Sends commands about one occurrence; every command gets a new id unless told."""

    def __init__(self, machine: AlertMachine, event: AlertEvent, at: At) -> None:
        self.machine, self.event, self.at, self.sent = machine, event, at, 0

    def send(self, action: str, at_s: float = 150, **fields: Any) -> Any:
        self.sent += 1
        own = {"command_id": f"c{self.sent}", "occurrence_id": self.event.occurrence_id}
        command = msgspec.structs.replace(BASE, action=action, **{**own, **fields})
        return self.machine.on_command(command, self.at(at_s))

    def one(self, action: str, at_s: float = 150, **fields: Any) -> AlertEvent:
        (event,) = self.send(action, at_s, **fields)
        assert isinstance(event, AlertEvent)
        return event

    def refusal(self, action: str, at_s: float = 150, **fields: Any) -> str:
        before = [o.record for o in self.machine.state().open.values()]
        said = self.send(action, at_s, **fields)
        assert isinstance(said, Refused)
        assert said.reason is Reason.BAD_COMMAND
        assert [o.record for o in self.machine.state().open.values()] == before
        return said.detail

    def tick(self, at_s: float) -> list[str]:
        return [str(e.phase) for e in self.machine.on_tick(self.at(at_s))]


@pytest.fixture
def desk(raised: Raised, at: At) -> Desk:
    return Desk(*raised, at)


def play(desk: Desk, score: Make, start_s: int, end_s: int, points: Any) -> list[AlertEvent]:
    events: list[AlertEvent] = []
    for at_s in range(start_s, end_s, 30):
        events += desk.machine.on_scores((score(at_s, points),))
    return events


def test_an_acknowledgement_is_recorded_with_who_when_and_until(desk: Desk, at: At) -> None:
    event = desk.one("acknowledge", reason="on my way")
    (action,) = event.actions
    assert event.state.responsibility is Responsibility.ACCEPTED
    assert (event.seq, event.state_seq, event.recorded_us) == (2, 2, at(150))
    assert (action.by, action.role, action.at_us) == ("user:kim", "rn", at(150))
    assert action.until_us == event.expires_us == at(150 + 3600)
    assert event.text.why[0] == "Acknowledge by user:kim: on my way"


def test_an_acknowledgement_may_ask_for_less_time_but_not_for_more(desk: Desk, at: At) -> None:
    assert desk.one("acknowledge", until_us=at(200)).expires_us == at(200)
    assert desk.one("acknowledge", until_us=at(99_999)).expires_us == at(150 + 3600)
    assert "not after now" in desk.refusal("acknowledge", until_us=at(149))


def test_an_acknowledgement_expires_with_a_reminder_first(desk: Desk) -> None:
    desk.one("acknowledge", until_us=desk.at(600))
    desk.machine.on_tick(desk.at(299))  # nothing: the reminder is due 300 s before the end
    assert desk.tick(300) == ["continued"]
    assert desk.tick(305) == []
    # an alert without a score for five minutes is stale as well
    assert desk.tick(600) == ["unacknowledged", "stale"]


def test_an_acknowledgement_never_survives_an_escalation_in_priority(
    machine: AlertMachine, score: Make, at: At
) -> None:
    events: list[AlertEvent] = []
    for at_s in range(0, 150, 30):
        events += machine.on_scores((score(at_s, 5),))
    desk = Desk(machine, events[0], at)
    desk.one("acknowledge")
    desk.one("snooze", reason="rounds", until_us=at(1000))
    (event,) = play(desk, score, 180, 210, 9)
    assert (event.phase, event.priority) == (Phase.ESCALATED, Priority.HIGH)
    assert event.state.responsibility is Responsibility.NONE
    assert event.state.suppression is Suppression.NONE
    assert event.expires_us is None
    assert desk.tick(1001) != ["unsnoozed"]


def test_an_acknowledged_high_alert_does_not_latch(desk: Desk, score: Make) -> None:
    desk.one("acknowledge")
    assert play(desk, score, 150, 1000, 0)[-1].state.condition is Condition.CLEARED


def test_acknowledging_a_latched_alert_lets_it_go(desk: Desk, score: Make) -> None:
    play(desk, score, 150, 1000, 0)
    event = desk.one("acknowledge", 1000)
    assert event.state.condition is Condition.CLEARED
    assert not event.state.latched
    assert desk.tick(5000) == ["resolved"]


def test_giving_it_back_lets_it_latch_again(desk: Desk, score: Make) -> None:
    desk.one("acknowledge")
    assert desk.one("unacknowledge").state.responsibility is Responsibility.NONE
    assert play(desk, score, 150, 1000, 0)[-1].state.latched


def test_rejecting_hands_it_to_the_next_tier_at_once(desk: Desk) -> None:
    assert [desk.one("reject").tier for _ in range(4)] == [2, 3, 3, 3]
    assert desk.event.tier == 1


def test_a_rejected_alert_still_latches(desk: Desk, score: Make) -> None:
    desk.one("acknowledge")
    desk.one("reject")
    assert play(desk, score, 150, 1000, 0)[-1].state.latched


def test_a_snooze_hides_the_signal_never_the_record_and_ends(desk: Desk, at: At) -> None:
    event = desk.one("snooze", reason="turning", until_us=at(400))
    assert event.state.suppression is Suppression.SNOOZED
    assert event.expires_us == at(400)
    assert desk.tick(399) == []
    assert desk.tick(400)[0] == "unsnoozed"


def test_a_snoozed_alert_climbs_no_tier(desk: Desk, at: At) -> None:
    desk.one("snooze", 400, reason="turning", until_us=at(1000))
    assert "escalated" not in desk.tick(900)


def test_a_snooze_may_be_ended(desk: Desk, at: At) -> None:
    desk.one("snooze", reason="turning", until_us=at(400))
    assert desk.one("unsnooze").state.suppression is Suppression.NONE
    assert "cannot unsnooze" in desk.refusal("unsnooze")


@pytest.mark.parametrize("until_s", [0.0, 150.0, 150 + 901])
def test_a_snooze_must_be_bounded(desk: Desk, at: At, until_s: float) -> None:
    until_us = at(until_s) if until_s else 0
    assert "at most 900 s ahead" in desk.refusal("snooze", reason="x", until_us=until_us)


def test_a_snooze_survives_a_return_but_not_at_a_higher_priority(
    machine: AlertMachine, score: Make, at: At
) -> None:
    events: list[AlertEvent] = []
    for at_s in range(0, 150, 30):
        events += machine.on_scores((score(at_s, 5),))
    desk = Desk(machine, events[0], at)
    desk.one("snooze", reason="rounds", until_us=at(3000))
    play(desk, score, 150, 780, 0)
    (same,) = play(desk, score, 780, 930, 5)
    assert (same.phase, same.state.suppression) == (Phase.RAISED, Suppression.SNOOZED)
    assert same.expires_us == at(3000)
    play(desk, score, 930, 1560, 0)
    higher = play(desk, score, 1560, 1590, 9)
    assert [e.phase for e in higher] == [Phase.UNSNOOZED, Phase.RAISED]
    assert higher[-1].episode_count == 3


def test_a_person_may_close_an_active_alert(desk: Desk, score: Make) -> None:
    event = desk.one("resolve", reason="known")
    assert (event.phase, event.closed_reason) == (Phase.RESOLVED, "resolve: known")
    assert desk.machine.records() == ()
    # still high: a new occurrence after `for`, never the old one again
    (again,) = play(desk, score, 150, 300, 7)
    assert again.occurrence_id != desk.event.occurrence_id


def test_a_retraction_says_so(desk: Desk) -> None:
    event = desk.one("retract", reason="wrong patient")
    assert (event.phase, event.state.resolution) == (Phase.RETRACTED, "retracted")
    assert event.text.summary == "Retracted, entered in error: Deterioration"


def test_only_feedback_follows_a_close(desk: Desk) -> None:
    desk.one("resolve")
    assert "the occurrence is closed" in desk.refusal("acknowledge")
    event = desk.one("feedback", reason="artefact: loose lead")
    assert (event.phase, event.seq, event.state_seq) == (Phase.FEEDBACK, 3, 2)
    assert desk.one("comment", reason="more").seq == 4
    assert len(desk.machine.state().closed) == 1


def test_feedback_needs_a_coded_outcome(desk: Desk) -> None:
    assert "feedback must begin with one of actionable" in desk.refusal("feedback", reason="meh")


@pytest.mark.parametrize("action", ["snooze", "retract", "comment", "feedback"])
def test_some_actions_need_a_reason(desk: Desk, action: str) -> None:
    assert desk.refusal(action, reason=" ") == f"{action} needs a reason"


def test_a_repeated_command_is_ignored(desk: Desk) -> None:
    desk.one("acknowledge", command_id="same")
    assert desk.send("resolve", command_id="same") == ()


def test_of_two_nurses_the_first_in_the_log_wins(desk: Desk) -> None:
    seq = desk.event.state_seq
    desk.one("acknowledge", expected_seq=seq)
    refused = desk.refusal("acknowledge", expected_seq=seq)
    assert refused == "expected_seq 1 is outdated: the state is of seq 2"


def test_updates_streaming_past_do_not_refuse_an_honest_command(desk: Desk, score: Make) -> None:
    (update,) = play(desk, score, 210, 240, 9)
    assert (update.seq, update.state_seq) == (2, 1)
    assert desk.one("acknowledge", 240, expected_seq=1).seq == 3


def test_a_seq_from_the_future_is_refused(desk: Desk) -> None:
    assert "outdated" in desk.refusal("acknowledge", expected_seq=9)


def test_an_unknown_occurrence_is_refused(desk: Desk) -> None:
    assert desk.refusal("acknowledge", occurrence_id="no") == "no such occurrence: 'no'"


def test_an_unknown_action_is_refused_with_the_nearest(desk: Desk) -> None:
    assert desk.refusal("aknowledge") == "unknown action 'aknowledge'; nearest: acknowledge"


def test_a_command_that_does_not_fit_the_state_is_refused(desk: Desk) -> None:
    assert desk.refusal("unacknowledge") == (
        "cannot unacknowledge while active, responsibility none, none"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": "x" * (MAX_WORDS + 1)}, "reason has 2001 characters"),
        ({"actor": "x" * (MAX_NAME + 1)}, "at most 200 long"),
        ({"command_id": ""}, "at most 200 long"),
    ],
)
def test_over_long_words_are_refused(desk: Desk, fields: dict[str, str], words: str) -> None:
    assert words in desk.refusal("resolve", **fields)


def test_discharge_closes_everything_with_a_reason(desk: Desk, at: At) -> None:
    desk.machine.on_silence("acc_x", "d1", at(0), at(140))
    events = desk.send("discharge", occurrence_id="", expected_seq=77, reason="home")
    assert [(e.condition.code, e.closed_reason) for e in events] == [
        ("deterioration", "discharge: home"),
        ("no_data:acc_x", "discharge: home"),
    ]
    assert desk.machine.records() == ()
    assert desk.send("withdraw_consent", occurrence_id="") == ()


def test_actions_kept_in_the_record_are_bounded(desk: Desk) -> None:
    for number in range(MAX_ACTIONS + 3):
        event = desk.one("comment", reason=f"note {number}")
    assert event.actions[0].reason == "note 3"
    assert len(event.actions) == MAX_ACTIONS


def test_an_assignment_names_somebody_and_changes_no_responsibility(desk: Desk) -> None:
    event = desk.one("assign", reason="user:lee please look")
    assert (event.phase, event.assignee) == (Phase.UPDATED, "user:lee")
    assert event.state.responsibility is Responsibility.NONE
    assert (event.seq, event.state_seq) == (2, 1)
    assert desk.one("assign", reason="user:kim").assignee == "user:kim"
    assert "at most 200 characters" in desk.refusal("assign", reason="x" * 201)
    assert desk.refusal("assign", reason="") == "assign needs a reason"


def test_feedback_carries_its_outcome_and_a_coded_reason(desk: Desk) -> None:
    event = desk.one("feedback", reason="artefact/motion: turned in bed")
    assert event.actions[-1].outcome == "artefact"
    assert event.actions[-1].reason == "artefact/motion: turned in bed"
    assert desk.one("comment", reason="artefact").actions[-1].outcome is None
    assert desk.refusal("feedback", reason="artefact/moton") == (
        "unknown reason code 'moton'; nearest: motion"
    )
    assert desk.refusal("feedback", reason="artefct") == (
        "feedback must begin with one of actionable, not-actionable, artefact, known-condition; "
        "nearest: artefact"
    )


def test_unsnoozing_what_is_not_snoozed_is_refused_though_it_is_silenced(desk: Desk) -> None:
    desk.send("silence", occurrence_id="condition=*,up_to=high", reason="x", until_us=desk.at(900))
    assert "cannot unsnooze" in desk.refusal("unsnooze")


def test_who_may_do_what_is_the_policys(desk: Desk, score: Make, at: At) -> None:
    own = parse_policy(
        default_policy_text().replace("[roles]", '[roles]\nretract = ["md", "senior"]')
    )
    machine = AlertMachine(own, "p1")
    events = [e for t in range(0, 150, 30) for e in machine.on_scores((score(t, 7),))]
    other = Desk(machine, events[0], at)
    assert other.refusal("retract", reason="x") == "retract is for md, senior, not 'rn'"
    assert other.one("retract", reason="x", role="senior").phase is Phase.RETRACTED


def test_an_acknowledgement_that_ran_out_is_nobodys_and_climbs_again(desk: Desk, at: At) -> None:
    desk.one("acknowledge", until_us=at(400))
    events = desk.machine.on_tick(at(400))
    ended = next(e for e in events if e.phase is Phase.UNACKNOWLEDGED)
    assert ended.state.responsibility is Responsibility.UNDEFINED
    assert ended.state_seq == ended.seq
    assert "escalated" not in desk.tick(699)
    assert "escalated" in desk.tick(700)


def test_a_tier_escalation_says_that_nobody_answered(desk: Desk, at: At) -> None:
    event = next(e for e in desk.machine.on_tick(at(500)) if e.phase is Phase.ESCALATED)
    assert (event.tier, str(event.trigger)) == (2, "timer")
    assert event.state.responsibility is Responsibility.UNDEFINED
    assert event.state_seq == 1
    assert event.previous_priority is None
    assert event.text.why[0] == "Nobody acknowledged it for 378 s"
