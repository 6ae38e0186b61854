"""Silences, maintenance, inhibition, devices that are off: what is held back, what is heard."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerts.alert import Kind, Phase, Priority, Suppression, Trigger
from alerts.commands import Refused
from alerts.machine import AlertMachine
from alerts.requests import MAX_LOSSES
from alerts.silences import MAX_SILENCES, Silence, parse_matchers, preview
from alerts.suppress import Standing
from streams.records import ANYONE, DeviceStatus
from tests.alerts.alert_kit import BASE, ask, conditions, entry, phases, play, risk, us

RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }, { priority = "high", hi = 0.8, lo = 0.7 }]
for_s = 0
keep_s = 0
rejoin_s = 600
update_delta = 9
stale_after_s = 9999
"""
VITAL = """source = "vitals.value"
levels = [{ priority = "medium", hi = 3, lo = 2 }, { priority = "high", hi = 9, lo = 8 }]
for_s = 0
keep_s = 0
rejoin_s = 600
update_delta = 9
stale_after_s = 9999
"""
INHIBIT = """
[[inhibit]]
source = "a"
source_priority = "high"
target = "b"
target_priority = "medium"
"""
POLICY = conditions(RISK, VITAL + INHIBIT)
QUIET = "none"


@pytest.fixture
def machine() -> AlertMachine:
    return AlertMachine(POLICY, "p1")


def vitals(at_s: float, value: float, *codes: str) -> Any:
    items = tuple(entry(code, 140.0, points=value) for code in codes or ("ecg_hr_bpm",))
    return risk(at_s, value, scorer="vitals", calibrated=False, evidence=items)


def silence(
    machine: AlertMachine, matching: str, at_s: float, until_s: float, **fields: Any
) -> Any:
    given = {"reason": "network works", "until_us": us(until_s), **fields}
    return ask(machine, fields.pop("action", "silence"), matching, at_s, **given)


def held(machine: AlertMachine) -> dict[str, str]:
    return {r.condition.code: str(r.state.suppression) for r in machine.records()}


def silence_of(matching: str, **fields: Any) -> Silence:
    parsed = parse_matchers(matching)
    assert not isinstance(parsed, str)
    made = Silence("s1", "silence", parsed.fits, parsed.up_to, us(0), us(9), us(0), "kim", "why")
    return msgspec.structs.replace(made, **fields)


class TestSilences:
    def test_an_open_alert_is_held_back_and_its_record_goes_on(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        (event,) = silence(machine, "condition=a", 10, 100)
        assert (event.phase, event.state.suppression) == (Phase.SUPPRESSED, Suppression.SILENCED)
        assert (event.suppressed_by, event.trigger) == ("silence-10", Trigger.ALERT)
        assert event.text.why[0] == "A silence is in force"
        assert event.text.summary.startswith("Held back: A.")

    def test_it_ends_on_the_first_tick_at_or_after_its_end(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a", 10, 100)
        assert machine.on_tick(us(99.9)) == ()
        (event,) = machine.on_tick(us(100))
        assert (event.phase, event.suppressed_by) == (Phase.UNSUPPRESSED, None)
        assert event.state.suppression is Suppression.NONE
        assert machine.standing().silences == ()

    def test_an_alert_raised_under_a_silence_is_born_quiet(self, machine: AlertMachine) -> None:
        silence(machine, "condition=a", 0, 100)
        (event,) = play(machine, {10: 0.5})
        assert (event.phase, event.seq) == (Phase.RAISED, 1)
        assert event.state.suppression is Suppression.SILENCED
        assert event.suppressed_by == "silence-0"

    def test_a_planned_one_begins_on_time(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        assert silence(machine, "condition=a", 10, 100, event_time_us=us(50)) == ()
        assert machine.on_tick(us(49)) == ()
        assert phases(machine.on_tick(us(50))) == ["suppressed"]

    def test_a_silence_made_for_the_past_begins_now(self, machine: AlertMachine) -> None:
        silence(machine, "condition=a", 10, 100, event_time_us=us(-500))
        assert machine.standing().silences[0].starts_us == us(10)

    def test_a_higher_priority_breaks_through_even_one_that_covers_high(
        self, machine: AlertMachine
    ) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a,up_to=high", 10, 1000)
        (event,) = play(machine, {30: 0.9})
        assert (event.phase, event.priority) == (Phase.ESCALATED, Priority.HIGH)
        assert event.state.suppression is Suppression.NONE
        assert event.suppressed_by is None
        assert machine.on_tick(us(40)) == ()

    def test_a_new_silence_may_hold_back_what_broke_through_the_last(
        self, machine: AlertMachine
    ) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a,up_to=high", 10, 1000)
        play(machine, {30: 0.9})
        assert phases(silence(machine, "condition=a,up_to=high", 50, 1000)) == ["suppressed"]

    def test_a_high_alert_is_heard_unless_the_silence_says_high(
        self, machine: AlertMachine
    ) -> None:
        silence(machine, "condition=a", 0, 1000)
        (event,) = play(machine, {10: 0.9})
        assert event.state.suppression is Suppression.NONE

    def test_coming_back_more_urgent_breaks_through(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a,up_to=high", 10, 1000)
        play(machine, {30: 0.1, 60: 0.1})
        released, again = play(machine, {90: 0.9})
        assert (released.phase, released.suppressed_by) == (Phase.UNSUPPRESSED, None)
        assert (again.phase, again.state.suppression) == (Phase.RAISED, Suppression.NONE)
        assert machine.on_tick(us(100)) == ()

    def test_coming_back_as_before_stays_quiet(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a", 10, 1000)
        play(machine, {30: 0.1, 60: 0.1})
        (again,) = play(machine, {90: 0.5})
        assert (again.phase, again.state.suppression) == (Phase.RAISED, Suppression.SILENCED)

    def test_maintenance_is_stronger_than_a_silence(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a", 10, 100)
        (event,) = ask(machine, "maintenance", "condition=a", 20, reason="update", until_us=us(50))
        assert event.state.suppression is Suppression.MAINTENANCE
        (back,) = machine.on_tick(us(50))
        assert (back.phase, back.suppressed_by) == (Phase.SUPPRESSED, "silence-10")

    def test_a_snooze_survives_a_silence(self, machine: AlertMachine) -> None:
        (event,) = play(machine, {0: 0.5})
        ask(machine, "snooze", event.occurrence_id, 5, reason="turning", until_us=us(200))
        silence(machine, "condition=a", 10, 100)
        assert held(machine) == {"a": "silenced"}
        (after,) = machine.on_tick(us(100))
        assert (after.phase, after.state.suppression) == (Phase.UNSUPPRESSED, Suppression.SNOOZED)
        assert phases(machine.on_tick(us(200))) == ["unsnoozed"]

    def test_a_snooze_that_ends_under_a_silence_leaves_it_silenced(
        self, machine: AlertMachine
    ) -> None:
        (event,) = play(machine, {0: 0.5})
        silence(machine, "condition=a", 5, 300)
        (snoozed,) = ask(
            machine, "snooze", event.occurrence_id, 10, reason="turning", until_us=us(50)
        )
        assert snoozed.state.suppression is Suppression.SILENCED
        (ended,) = machine.on_tick(us(50))
        assert (ended.phase, ended.state.suppression) == (Phase.UNSNOOZED, Suppression.SILENCED)

    def test_an_alert_nobody_hears_climbs_no_tier_and_waits_anew_afterwards(
        self, machine: AlertMachine
    ) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a", 10, 2000)
        assert "escalated" not in phases(machine.on_tick(us(1999)))
        released = phases(machine.on_tick(us(2000)))
        assert released[0] == "unsuppressed"
        assert "escalated" not in released
        assert "escalated" not in phases(machine.on_tick(us(2000 + 899)))
        assert "escalated" in phases(machine.on_tick(us(2000 + 900)))

    def test_a_silence_may_be_ended_early(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        silence(machine, "condition=a", 10, 1000)
        assert phases(ask(machine, "unsilence", "silence-10", 20)) == ["unsuppressed"]
        said = ask(machine, "unsilence", "silence-10", 30)
        assert said.detail == "no such silence in force: 'silence-10'"
        assert ask(machine, "unsilence", "silence-10", 40, patient_id=ANYONE) == ()

    @pytest.mark.parametrize(
        ("matching", "words"),
        [
            ("wrd=W4", "unknown field 'wrd'; nearest: ward"),
            ("condition", "'condition' is not of the form field=pattern"),
            ("condition=", "'condition=' is not of the form field=pattern"),
            ("ward=a,ward=b", "ward is given twice"),
            ("ward=a,up_to=hgh", "up_to='hgh'; nearest: high"),
            ("up_to=high", "a silence must say what it is about"),
        ],
    )
    def test_matchers_that_cannot_be_read_are_refused_in_words(
        self, machine: AlertMachine, matching: str, words: str
    ) -> None:
        said = silence(machine, matching, 0, 100)
        assert isinstance(said, Refused)
        assert words in said.detail

    @pytest.mark.parametrize("until_s", [0.0, 10.0, 10 + 86_400.1])
    def test_a_silence_must_be_bounded(self, machine: AlertMachine, until_s: float) -> None:
        said = silence(machine, "condition=a", 10, until_s)
        assert said.detail == ("until_us must be after its start and at most 86400 s ahead")

    def test_a_silence_needs_a_reason(self, machine: AlertMachine) -> None:
        assert silence(machine, "condition=a", 0, 9, reason=" ").detail == "silence needs a reason"

    def test_the_number_of_silences_is_bounded_and_those_that_ended_do_not_count(
        self, machine: AlertMachine
    ) -> None:
        for number in range(MAX_SILENCES):
            silence(machine, "condition=a", number / 100, 50)
        assert "32 silences are in force" in silence(machine, "condition=a", 1, 50).detail
        assert silence(machine, "condition=a", 51, 100) == ()
        assert len(machine.standing().silences) == 1

    def test_a_broadcast_about_another_patient_is_not_kept(self, machine: AlertMachine) -> None:
        silence(machine, "subject=p2", 0, 100, patient_id=ANYONE)
        assert machine.standing() == Standing()
        silence(machine, "subject=p*", 1, 100, patient_id=ANYONE)
        assert len(machine.standing().silences) == 1

    def test_a_patient_who_comes_later_is_under_the_wards_silences(self) -> None:
        everyone = AlertMachine(POLICY, ANYONE)
        silence(everyone, "subject=p9,condition=a", 0, 100, patient_id=ANYONE)
        late = AlertMachine(POLICY, "p9", standing=everyone.standing())
        (event,) = late.on_scores((risk(10, 0.5),))
        assert event.state.suppression is Suppression.SILENCED

    def test_a_patient_who_starts_with_the_wards_silences_hears_them_again_in_vain(self) -> None:
        """In a replay the machine of everybody may be ahead of the patient's log."""
        everyone = AlertMachine(POLICY, ANYONE)
        silence(everyone, "condition=a", 50, 100, patient_id=ANYONE)
        late = AlertMachine(POLICY, "p1", standing=everyone.standing())
        (event,) = late.on_scores((risk(10, 0.5),))
        assert event.state.suppression is Suppression.NONE  # not before it was made
        said = silence(late, "condition=a", 50, 100, patient_id=ANYONE)
        assert phases(said) == ["suppressed"]
        assert late.standing() == everyone.standing()

    def test_the_preview_is_what_will_be_held_back(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.9})
        machine.on_scores((vitals(0, 3.0),))
        records = machine.records()
        assert [r.condition.code for r in preview(silence_of("kind=physiological"), records)] == [
            "b"
        ]
        both = preview(silence_of("kind=phys*,up_to=high"), records)
        assert [r.condition.code for r in both] == ["a", "b"]

    @pytest.mark.parametrize(
        ("matching", "fits"),
        [
            ("subject=p1", True),
            ("subject=p2", False),
            ("condition=b", True),
            ("condition=a", False),
            ("modality=ecg", True),
            ("modality=e*", True),
            ("modality=ppg", False),
            ("kind=technical", False),
            ("ward=W4", False),
            ("ward=*", False),
            ("condition=b,modality=ppg", False),
        ],
    )
    def test_all_matchers_must_fit_and_an_unknown_ward_fits_none(
        self, machine: AlertMachine, matching: str, fits: bool
    ) -> None:
        machine.on_scores((vitals(0, 3.0),))
        (record,) = machine.records()
        assert silence_of(matching).fits(record) is fits

    def test_an_input_that_carries_nothing_is_no_modality_of_the_alert(
        self, machine: AlertMachine
    ) -> None:
        items = (entry("ecg_hr_bpm", 140.0, points=3.0), entry("ppg_x", 1.0, points=0.0))
        machine.on_scores((risk(0, 3.0, scorer="vitals", calibrated=False, evidence=items),))
        (record,) = machine.records()
        assert silence_of("modality=ecg").fits(record)
        assert not silence_of("modality=ppg").fits(record)

    def test_maintenance_may_be_announced_to_everybody(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        said = ask(
            machine, "maintenance", "condition=a", 10, reason="update", until_us=us(99),
            patient_id=ANYONE,
        )  # fmt: skip
        assert phases(said) == ["suppressed"]

    def test_a_silence_by_ward_follows_the_patient(self, machine: AlertMachine) -> None:
        silence(machine, "ward=W4", 0, 1000)
        play(machine, {10: 0.5})
        assert held(machine) == {"a": QUIET}
        events = ask(machine, "locate", "ward=W4,bed=7,encounter=e9", 20)
        assert phases(events) == ["updated", "suppressed"]
        assert events[0].location is not None
        assert (events[0].location.ward, events[0].location.bed) == ("W4", "7")
        assert events[0].encounter == "e9"
        moved = ask(machine, "locate", "ward=W5", 30)
        assert phases(moved) == ["updated", "unsuppressed"]
        assert moved[0].encounter is None

    def test_what_is_raised_later_knows_the_ward(self, machine: AlertMachine) -> None:
        ask(machine, "locate", "ward=W4,bed=7", 0)
        (event,) = play(machine, {10: 0.5})
        assert event.location is not None
        assert event.location.ward == "W4"

    def test_an_unknown_place_is_refused_with_the_nearest(self, machine: AlertMachine) -> None:
        assert ask(machine, "locate", "wrd=W4", 0).detail == "unknown place 'wrd'; nearest: ward"


class TestInhibition:
    def test_a_high_alert_speaks_for_a_single_vital_of_the_same_patient(
        self, machine: AlertMachine
    ) -> None:
        machine.on_scores((vitals(0, 3.0),))
        raised, muted = play(machine, {10: 0.9})
        assert (muted.condition.code, muted.phase) == ("b", Phase.SUPPRESSED)
        assert muted.suppressed_by == raised.occurrence_id
        assert muted.state.suppression is Suppression.INHIBITED

    def test_one_raised_under_it_is_born_muted_and_released_when_it_is_over(
        self, machine: AlertMachine
    ) -> None:
        play(machine, {0: 0.9})
        (event,) = machine.on_scores((vitals(10, 3.0),))
        assert event.state.suppression is Suppression.INHIBITED
        over = play(machine, {30: 0.1, 60: 0.1})
        assert [(e.condition.code, e.phase) for e in over] == [
            ("a", "cleared"), ("b", "unsuppressed"),
        ]  # fmt: skip

    def test_a_source_of_too_low_a_priority_mutes_nothing(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.5})
        (event,) = machine.on_scores((vitals(10, 3.0),))
        assert event.state.suppression is Suppression.NONE

    def test_a_target_of_a_higher_priority_breaks_through(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.9})
        machine.on_scores((vitals(10, 3.0),))
        (event,) = machine.on_scores((vitals(40, 9.0),))
        assert (event.phase, event.state.suppression) == (Phase.ESCALATED, Suppression.NONE)

    def test_a_stale_source_mutes_nothing(self, machine: AlertMachine) -> None:
        play(machine, {0: 0.9})
        machine.on_scores((vitals(10, 3.0),))
        events = play(machine, {40: None})
        assert phases(events) == ["stale", "unsuppressed"]

    @pytest.mark.parametrize("action", ["silence", "maintenance"])
    def test_a_source_that_nobody_hears_mutes_nothing(
        self, machine: AlertMachine, action: str
    ) -> None:
        play(machine, {0: 0.9})
        machine.on_scores((vitals(10, 3.0),))
        events = ask(machine, action, "condition=a,up_to=high", 20, reason="x", until_us=us(500))
        assert [(e.condition.code, e.phase) for e in events] == [
            ("a", "suppressed"), ("b", "unsuppressed"),
        ]  # fmt: skip

    def test_a_snoozed_source_still_speaks_for_its_targets(self, machine: AlertMachine) -> None:
        (event,) = play(machine, {0: 0.9})
        machine.on_scores((vitals(10, 3.0),))
        ask(machine, "snooze", event.occurrence_id, 20, reason="x", until_us=us(500))
        assert held(machine) == {"a": "snoozed", "b": "inhibited"}

    def test_a_closed_source_lets_go(self, machine: AlertMachine) -> None:
        (event,) = play(machine, {0: 0.9})
        machine.on_scores((vitals(10, 3.0),))
        events = ask(machine, "resolve", event.occurrence_id, 20)
        assert phases(events) == ["resolved", "unsuppressed"]

    def test_every_rule_is_looked_at_until_one_mutes(self) -> None:
        first = '[[inhibit]]\nsource = "a"\ntarget = "b"\ntarget_priority = "low"\n'
        other = '[[inhibit]]\nsource = "a"\ntarget = "c"\ntarget_priority = "high"\n'
        own = AlertMachine(conditions(RISK, VITAL + first + other + INHIBIT), "p1")
        own.on_scores((risk(0, 0.9),))
        (event,) = own.on_scores((vitals(10, 3.0),))
        assert event.state.suppression is Suppression.INHIBITED

    def test_an_inhibited_source_does_not_mute_in_turn(self) -> None:
        chain = INHIBIT + '[[inhibit]]\nsource = "b"\ntarget = "c"\ntarget_priority = "high"\n'
        third = VITAL.replace("vitals", "other")
        own = AlertMachine(conditions(RISK, VITAL, third + chain), "p1")
        own.on_scores((vitals(0, 3.0),))
        own.on_scores((msgspec.structs.replace(vitals(0, 3.0), scorer="other"),))
        assert held(own) == {"b": QUIET, "c": "inhibited"}
        own.on_scores((risk(10, 0.9),))
        assert held(own) == {"a": QUIET, "b": "inhibited", "c": QUIET}


LOST = """
[[inhibit]]
source = "no_data:*"
target = "b"
target_priority = "medium"
equal = ["modality"]
[[inhibit]]
source = "device_fleet_outage"
target = "no_data:*"
target_priority = "low"
"""


class TestEquipment:
    @pytest.fixture
    def machine(self) -> AlertMachine:
        return AlertMachine(conditions(RISK, VITAL + LOST), "p1")

    def test_a_lost_signal_mutes_what_rests_on_it_alone(self, machine: AlertMachine) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        (event,) = machine.on_scores((vitals(10, 3.0),))
        assert event.state.suppression is Suppression.INHIBITED

    def test_it_does_not_mute_what_rests_on_another_modality_too(
        self, machine: AlertMachine
    ) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        (event,) = machine.on_scores((vitals(10, 3.0, "ecg_hr_bpm", "ppg_rate"),))
        assert event.state.suppression is Suppression.NONE

    def test_it_does_not_mute_what_rests_on_nothing_known(self, machine: AlertMachine) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        score = msgspec.structs.replace(vitals(10, 3.0), evidence=())
        (event,) = machine.on_scores((score,))
        assert event.state.suppression is Suppression.NONE

    def test_a_lost_device_mutes_what_rests_on_any_wearable_signal(
        self, machine: AlertMachine
    ) -> None:
        machine.on_silence("", "d1", us(0), us(5))
        (event,) = machine.on_scores((vitals(10, 3.0, "ecg_hr_bpm", "spo2_mean_pct"),))
        assert event.state.suppression is Suppression.INHIBITED

    def test_what_was_seen_before_the_signal_was_lost_stays_heard(
        self, machine: AlertMachine
    ) -> None:
        machine.on_scores((vitals(0, 3.0),))
        events = machine.on_silence("ecg", "d1", us(5), us(65))
        assert [(e.condition.code, e.phase) for e in events] == [
            ("no_data:ecg", "raised"), ("b", "stale"),
        ]  # fmt: skip

    def test_a_fleet_outage_mutes_the_patients_no_data_and_lets_go(
        self, machine: AlertMachine
    ) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        code = "device_fleet_outage"
        service = {"patient_id": ANYONE, "role": "service", "reason": "120 devices"}
        (event,) = ask(machine, "lost", code, 10, **service)
        assert (event.phase, event.suppressed_by) == (Phase.SUPPRESSED, "lost-10")
        assert ask(machine, "lost", code, 11, **service) == ()
        (late,) = machine.on_silence("resp", "d1", us(0), us(20))
        assert late.state.suppression is Suppression.INHIBITED
        ask(machine, "lost", "delivery_lost:x", 25, **service)  # speaks for nothing
        freed = ask(machine, "regained", code, 30, **service)
        assert phases(freed) == ["unsuppressed", "unsuppressed"]

    def test_an_outage_known_ahead_of_the_log_mutes_nothing_before_it_was_told(self) -> None:
        policy = conditions(RISK, VITAL + LOST)
        everyone = AlertMachine(policy, ANYONE)
        service = {"patient_id": ANYONE, "role": "service", "reason": "120 devices"}
        ask(everyone, "lost", "device_fleet_outage", 50, **service)
        late = AlertMachine(policy, "p1", standing=everyone.standing())
        (event,) = late.on_silence("ecg", "d1", us(0), us(49))
        assert event.state.suppression is Suppression.NONE
        assert phases(ask(late, "lost", "device_fleet_outage", 50, **service)) == ["suppressed"]

    def test_the_machine_of_everybody_raises_the_outage_itself(self) -> None:
        everyone = AlertMachine(conditions(RISK, VITAL + LOST), ANYONE)
        service = {"patient_id": ANYONE, "role": "service", "reason": "120 devices"}
        (event,) = ask(everyone, "lost", "device_fleet_outage", 10, **service)
        assert (event.kind, event.priority) == (Kind.TECHNICAL, Priority.HIGH)
        assert event.text.why[0] == "120 devices since 2025-06-15 15:06:50 UTC"
        (over,) = ask(everyone, "regained", "device_fleet_outage", 30, **service)
        assert over.phase is Phase.CLEARED

    def test_a_service_may_tell_of_alerts_that_are_not_delivered(
        self, machine: AlertMachine
    ) -> None:
        service = {"role": "service", "reason": "no receipt for 60 s"}
        (event,) = ask(machine, "lost", "delivery_lost:pager", 10, **service)
        assert (event.condition.code, event.trigger) == ("delivery_lost:pager", Trigger.COMMAND)
        assert event.text.summary == (
            "Medium: Alerts are not delivered. no receipt for 60 s since 2025-06-15 15:06:50 UTC"
        )
        (over,) = ask(machine, "regained", "delivery_lost:pager", 20, role="service")
        assert (over.phase, over.text.why[0]) == (Phase.CLEARED, "It is over")
        assert ask(machine, "regained", "delivery_lost:pager", 30, role="service") == ()

    def test_what_the_engine_finds_itself_a_service_cannot_tell(
        self, machine: AlertMachine
    ) -> None:
        said = ask(machine, "lost", "no_data:ecg", 10, role="service", reason="x")
        assert "a service cannot tell 'no_data:ecg'" in said.detail

    def test_only_a_service_may_tell_of_losses(self, machine: AlertMachine) -> None:
        said = ask(machine, "lost", "delivery_lost:x", 10, role="rn", reason="x")
        assert said.detail == "lost is for service, not 'rn'"

    def test_the_losses_of_a_ward_are_bounded(self, machine: AlertMachine) -> None:
        service = {"patient_id": ANYONE, "role": "service", "reason": "x"}
        for number in range(MAX_LOSSES):
            assert ask(machine, "lost", f"delivery_lost:{number}", number, **service) == ()
        assert ask(machine, "lost", "delivery_lost:0", 50, **service) == ()
        said = ask(machine, "lost", "delivery_lost:more", 60, **service)
        assert said.detail == "8 losses of the ward are known already"

    def test_a_device_switched_off_takes_its_alerts_out_of_service(
        self, machine: AlertMachine
    ) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        off = DeviceStatus("p1", "d1", "", "off", None, "", 0, us(20))
        (event,) = machine.on_device_status(off, us(20))
        assert (event.phase, event.suppressed_by) == (Phase.SUPPRESSED, "device off")
        assert event.state.suppression is Suppression.OUT_OF_SERVICE
        again = AlertMachine.restore(conditions(RISK, VITAL + LOST), "p1", machine.snapshot())
        assert again.on_tick(us(25)) == ()
        worn = msgspec.structs.replace(off, status="worn")
        assert phases(machine.on_device_status(worn, us(30))) == ["unsuppressed"]

    def test_an_alert_is_out_of_service_once_all_it_misses_is_off(
        self, machine: AlertMachine
    ) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        machine.on_silence("ecg", "d2", us(0), us(6))
        off = DeviceStatus("p1", "d1", "", "unlinked", None, "", 0, us(20))
        assert machine.on_device_status(off, us(20)) == ()
        (event,) = machine.on_signal_back("ecg", "d2", us(30))  # now only the one that is off
        assert event.state.suppression is Suppression.OUT_OF_SERVICE

    def test_data_from_a_device_that_was_off_ends_it(self, machine: AlertMachine) -> None:
        machine.on_silence("ecg", "d1", us(0), us(5))
        off = DeviceStatus("p1", "d1", "", "off", None, "", 0, us(20))
        machine.on_device_status(off, us(20))
        events = machine.on_signal_back("ecg", "d1", us(40))
        assert phases(events) == ["cleared", "unsuppressed"]
        assert machine.state().off == ()

    def test_a_device_that_nobody_misses_may_be_switched_off(self, machine: AlertMachine) -> None:
        off = DeviceStatus("p1", "d1", "", "off", None, "", 0, us(20))
        assert machine.on_device_status(off, us(20)) == ()
        assert machine.state().off == ()


class TestAddressee:
    @pytest.mark.parametrize("action", ["acknowledge", "discharge", "locate", "resolve"])
    def test_what_is_about_one_patient_cannot_be_told_to_all(
        self, machine: AlertMachine, action: str
    ) -> None:
        said = ask(machine, action, "x", 0, patient_id=ANYONE)
        assert said.detail == f"{action} must name one patient"

    def test_a_command_for_another_patient_is_refused(self, machine: AlertMachine) -> None:
        (event,) = play(machine, {0: 0.5})
        command = msgspec.structs.replace(BASE, patient_id="p2", occurrence_id=event.occurrence_id)
        said = machine.on_command(command, us(5))
        assert isinstance(said, Refused)
        assert said.detail == "the command is for another patient"
