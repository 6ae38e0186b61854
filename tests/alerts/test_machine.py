"""Alerts of one patient: occurrences, ids, single parameters, stale scores, timers, snapshots."""

from __future__ import annotations

import msgspec
import pytest

from alerts.alert import Condition, Phase, Priority, Resolution
from alerts.machine import MAX_COMMANDS, AlertMachine
from alerts.policy import Policy, default_policy_text, parse_policy
from streams.errors import SnapshotMismatch
from streams.records import AlertCommand
from tests.alerts.machine_kit import At, Events, Make, Raised, limits, phases, play, resolve, status


class TestOccurrences:
    def test_ids_depend_on_who_what_and_when_only(self, raised: Raised, policy: Policy) -> None:
        event = raised[1]
        assert event.occurrence_id == "844ea270-4b95-5764-a85e-4ba0c8c4f2da"
        assert event.event_id == f"{event.occurrence_id}:1"
        assert event.dedup_key == "default|p1|deterioration"

    def test_onset_is_when_the_score_first_went_over(self, raised: Raised, at: At) -> None:
        event = raised[1]
        assert (event.onset_us, event.raised_us, event.recorded_us) == (at(0), at(120), at(122))

    def test_a_return_within_rejoin_reopens_the_same_occurrence(
        self, machine: AlertMachine, score: Make
    ) -> None:
        events = play(machine, score, [(0, 150, 5), (150, 780, 0), (780, 1000, 5)])
        assert phases(events) == ["raised", "updated", "cleared", "raised"]
        assert len({event.occurrence_id for event in events}) == 1
        assert [event.episode_count for event in events] == [1, 1, 1, 2]
        assert events[-1].cleared_us is None
        assert events[-1].review_due_us == events[-1].recorded_us + 3_600_000_000
        assert events[-1].text.why[0] == (
            "Back again: NEWS2 reached 5 and stayed at 4 or above for 2 min"
        )

    def test_a_return_after_rejoin_is_a_new_occurrence(
        self, machine: AlertMachine, score: Make
    ) -> None:
        events = play(machine, score, [(0, 150, 5), (150, 780, 0), (1740, 1900, 5)])
        assert phases(events) == ["raised", "updated", "cleared", "resolved", "raised"]
        assert len({event.occurrence_id for event in events}) == 2
        assert events[3].closed_reason == "cleared"

    def test_a_cleared_alert_resolves_on_the_first_tick_after_rejoin(
        self, machine: AlertMachine, score: Make, at: At
    ) -> None:
        cleared = play(machine, score, [(0, 150, 5), (150, 780, 0)])[-1]
        assert cleared.cleared_us == at(750)
        due_us = cleared.recorded_us + 900_000_000
        assert machine.on_tick(due_us - 1) == ()
        assert phases(machine.on_tick(due_us)) == ["resolved"]
        assert machine.records() == ()
        assert machine.on_tick(due_us + 10**9) == ()

    def test_a_high_alert_nobody_saw_latches(self, machine: AlertMachine, score: Make) -> None:
        events = play(machine, score, [(0, 150, 7), (150, 1000, 0)])
        assert events[-1].state.condition is Condition.LATCHED
        assert events[-1].text.why[-1] == "Nobody has acknowledged it: it stays until someone does"
        assert phases(play(machine, score, [(5000, 5010, 0)])) == []

    def test_high_then_medium_still_latches(self, machine: AlertMachine, score: Make) -> None:
        events = play(machine, score, [(0, 150, 7), (150, 1200, 4), (1200, 2000, 0)])
        assert [e.priority for e in events if e.phase is Phase.CLEARED] == [Priority.MEDIUM]
        assert events[-1].state.latched

    def test_a_latched_alert_that_comes_back_stays_the_same_occurrence(
        self, machine: AlertMachine, score: Make
    ) -> None:
        events = play(machine, score, [(0, 150, 7), (150, 1000, 0), (9000, 9200, 5)])
        assert (events[-1].episode_count, events[-1].priority) == (2, Priority.MEDIUM)
        assert events[-1].priority_at_raise is Priority.HIGH

    def test_two_occurrences_never_share_an_onset(
        self, machine: AlertMachine, score: Make, at: At
    ) -> None:
        (first,) = machine.on_scores((score(0, 9),))
        resolve(machine, first, at(1))
        (second,) = machine.on_scores((score(0, 9, revision=1),))
        assert (second.onset_us, second.revised) == (first.onset_us + 1, True)
        assert second.occurrence_id != first.occurrence_id

    def test_a_backfill_raises_and_clears_nothing(self, machine: AlertMachine, score: Make) -> None:
        machine.on_scores((score(600, 0),))
        assert machine.on_scores((score(570, 9),)) == ()

    def test_scores_no_condition_reads_are_ignored(
        self, machine: AlertMachine, score: Make
    ) -> None:
        assert machine.on_scores((msgspec.structs.replace(score(0, 9), scorer="other"),)) == ()

    def test_an_update_needs_a_change_of_a_point_and_a_minute(
        self, machine: AlertMachine, score: Make
    ) -> None:
        play(machine, score, [(0, 150, 5)])
        assert play(machine, score, [(150, 180, 6)]) == ()
        (event,) = play(machine, score, [(180, 210, 6)])
        assert event.text.why[0] == "NEWS2 changed from 5 to 6"
        assert event.text.summary.endswith("at most 15 (was 5)")

    def test_a_condition_cleared_before_ticks_came_resolves_by_score(
        self, machine: AlertMachine, score: Make
    ) -> None:
        events = play(machine, score, [(0, 150, 5), (150, 780, 0), (1650, 1660, 0)])
        assert phases(events)[-1] == "resolved"


class TestSingleParameter:
    def raise_it(self, machine: AlertMachine, at: At) -> None:
        events: Events = ()
        for at_s in range(0, 150, 30):
            events += machine.on_scores((limits(at_s, at, "ecg_hr_bpm", 3.0),))
        assert [event.condition.code for event in events] == ["single_parameter"]

    def test_another_source_of_the_same_input_may_clear_it(
        self, machine: AlertMachine, at: At
    ) -> None:
        self.raise_it(machine, at)
        events: Events = ()
        for at_s in range(150, 780, 30):
            events += machine.on_scores((limits(at_s, at, "ppg_pulse_rate_bpm", 0.0),))
        assert phases(events) == ["updated", "cleared"]

    def test_without_any_source_of_the_input_it_turns_stale(
        self, machine: AlertMachine, at: At
    ) -> None:
        self.raise_it(machine, at)
        score = limits(150, at, "ecg_hr_bpm", 0.0)
        lost = msgspec.structs.replace(score, evidence=score.evidence[1:])
        assert phases(machine.on_scores((lost,))) == ["stale"]

    def test_both_conditions_speak_in_the_order_of_the_scores(
        self, machine: AlertMachine, score: Make, at: At
    ) -> None:
        events: Events = ()
        for at_s in range(0, 150, 30):
            events += machine.on_scores((score(at_s, 7), limits(at_s, at, "ecg_hr_bpm", 3.0)))
        assert [e.condition.code for e in events] == ["deterioration", "single_parameter"]


class TestStale:
    def test_missing_inputs_are_told_once_with_the_last_evidence_kept(
        self, raised: Raised, score: Make
    ) -> None:
        machine, event = raised
        (stale,) = play(machine, score, [(150, 600, None)])
        assert stale.state.stale
        assert stale.evidence == event.evidence
        assert stale.missing_modalities == ("ecg", "resp")
        assert stale.completeness == 0.0

    def test_an_hour_without_scores_makes_it_stale_by_ticks(
        self, raised: Raised, score: Make, at: At
    ) -> None:
        machine, _ = raised
        events: Events = ()
        for at_s in range(150, 3750, 5):
            events += machine.on_tick(at(at_s))
        assert phases(events).count("stale") == 1
        assert not {"cleared", "resolved"} & set(phases(events))
        assert phases(play(machine, score, [(3750, 3760, 7)])) == ["refreshed"]

    def test_a_lost_signal_it_rests_on_makes_it_stale_at_once(self, raised: Raised, at: At) -> None:
        machine, _ = raised
        events = machine.on_silence("resp", "d1", at(130), at(190))
        assert [(e.condition.code, e.phase) for e in events] == [
            ("no_data:resp", Phase.RAISED),
            ("deterioration", Phase.STALE),
        ]
        assert events[1].text.why[0] == "No resp data from d1 since 2025-06-15 15:08:50 UTC"

    def test_only_an_alert_on_the_patient_says_that_the_patient_is_alerted(
        self, policy: Policy, raised: Raised, at: At
    ) -> None:
        assert raised[0].alerted()
        fresh = AlertMachine(policy, "p2")
        fresh.on_silence("ecg", "d1", at(0), at(60))
        assert fresh.records()
        assert not fresh.alerted()

    def test_a_lost_signal_it_does_not_rest_on_leaves_it_alone(
        self, raised: Raised, at: At
    ) -> None:
        assert len(raised[0].on_silence("acc_x", "d1", at(130), at(190))) == 1

    def test_a_lost_device_takes_every_wearable_input(self, raised: Raised, at: At) -> None:
        events = raised[0].on_device_status(status("lead_off", signal=""), at(150))
        assert phases(events) == ["raised", "stale"]

    def test_an_input_that_carries_no_points_any_more_is_not_missed(
        self, raised: Raised, score: Make, at: At
    ) -> None:
        machine, _ = raised
        play(machine, score, [(150, 720, 0)])  # 540 s of keep
        assert phases(machine.on_silence("resp", "d1", at(710), at(711))) == ["raised"]
        assert phases(play(machine, score, [(720, 780, 0)])) == ["cleared"]


class TestTimers:
    def quiet(self) -> Policy:
        """The default policy without tiers and stale, so that other timers stand alone."""
        text = default_policy_text().replace("escalate_after_s = 300", "escalate_after_s = 0")
        return parse_policy(text.replace("stale_after_s = 300", "stale_after_s = 86400"))

    def quietly_raised(self, score: Make) -> AlertMachine:
        machine = AlertMachine(self.quiet(), "p1")
        play(machine, score, [(0, 150, 7)])
        return machine

    def test_an_open_alert_repeats_itself_every_ten_minutes(self, score: Make, at: At) -> None:
        machine = self.quietly_raised(score)
        assert machine.on_tick(at(721)) == ()
        (event,) = machine.on_tick(at(722))
        assert event.phase is Phase.CONTINUED
        assert event.text.why[0] == "No other news for 10 min"
        assert phases(machine.on_tick(at(1321))) == []
        assert phases(machine.on_tick(at(1322))) == ["continued"]

    def test_what_continues_shows_the_latest_evidence(self, score: Make, at: At) -> None:
        machine = self.quietly_raised(score)
        play(machine, score, [(150, 700, {"resp_rate": 3, "spo2": 3, "pulse": 1})])
        (event,) = machine.on_tick(at(722))
        assert event.last_evidence_us == at(690)
        assert len(event.evidence) == 3

    def test_a_technical_alert_repeats_itself_too(self, machine: AlertMachine, at: At) -> None:
        machine.on_silence("ecg", "d1", at(0), at(65))
        assert phases(machine.on_tick(at(665))) == ["continued"]

    def test_a_cleared_alert_does_not_repeat_itself(
        self, machine: AlertMachine, score: Make, at: At
    ) -> None:
        play(machine, score, [(0, 150, 5), (150, 780, 0)])
        assert machine.on_tick(at(1500)) == ()

    def test_an_unanswered_high_alert_climbs_the_tiers_and_stops(
        self, raised: Raised, at: At
    ) -> None:
        machine, _ = raised
        tiers = [
            (now_s, event.tier)
            for now_s in range(0, 3000, 5)
            for event in machine.on_tick(at(now_s))
            if event.phase is Phase.ESCALATED
        ]
        assert tiers == [(425, 2), (725, 3)]

    def test_two_timers_due_in_one_tick_fire_in_a_fixed_order(self, raised: Raised, at: At) -> None:
        events = raised[0].on_tick(at(10_000))
        assert phases(events) == ["stale", "escalated", "continued"]
        assert "Its review was due at" in events[-1].text.why[0]


class TestSnapshot:
    def test_a_restored_machine_is_the_same_machine(self, raised: Raised, policy: Policy) -> None:
        machine, _ = raised
        again = AlertMachine.restore(policy, "p1", machine.snapshot())
        assert again.state() == machine.state()
        assert again.snapshot() == machine.snapshot()

    def test_a_state_is_detached_from_its_machine(
        self, raised: Raised, score: Make, at: At
    ) -> None:
        machine, _ = raised
        state = machine.state()
        before = msgspec.msgpack.encode(state)
        play(machine, score, [(150, 900, 0)])
        machine.on_silence("ecg", "d1", at(0), at(65))
        assert msgspec.msgpack.encode(state) == before

    def test_anothers_snapshot_is_refused(self, raised: Raised, policy: Policy) -> None:
        with pytest.raises(SnapshotMismatch, match="p2"):
            AlertMachine.restore(policy, "p2", raised[0].snapshot())

    def test_a_snapshot_of_another_policy_is_refused(self, raised: Raised) -> None:
        other = parse_policy(default_policy_text().replace("keep_s = 600 ", "keep_s = 601 ", 1))
        with pytest.raises(SnapshotMismatch):
            AlertMachine.restore(other, "p1", raised[0].snapshot())

    @pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x81\xa1\xff\x01"])
    def test_bytes_that_are_no_snapshot_are_refused(self, policy: Policy, data: bytes) -> None:
        with pytest.raises(SnapshotMismatch):
            AlertMachine.restore(policy, "p1", data)

    def test_the_state_is_bounded(self, machine: AlertMachine, score: Make, at: At) -> None:
        for round_ in range(40):
            start_s = round_ * 10_000
            (event,) = machine.on_scores((score(start_s, 9),))
            for number in range(10):
                command = AlertCommand(
                    f"{round_}-{number}", "p1", event.occurrence_id, "comment", "n", "rn", "x",
                    -1, 0, 0,
                )  # fmt: skip
                machine.on_command(command, at(start_s))
            resolve_command = AlertCommand(
                f"{round_}-r", "p1", event.occurrence_id, "resolve", "n", "rn", "", -1, 0, 0
            )
            machine.on_command(resolve_command, at(start_s))
        state = machine.state()
        assert (len(state.closed), len(state.commands)) == (4, MAX_COMMANDS)
        assert all(o.record.state.resolution is Resolution.CLOSED for o in state.closed)
        assert len(machine.snapshot()) < 32_000
