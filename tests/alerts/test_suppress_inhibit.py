"""Inhibition, devices lost or off, whom a command is about: what mutes what."""

from __future__ import annotations

import msgspec
import pytest

from alerts.alert import Kind, Phase, Priority, Suppression, Trigger
from alerts.commands import Refused
from alerts.machine import AlertMachine
from alerts.requests import MAX_LOSSES
from streams.records import ANYONE, DeviceStatus
from tests.alerts.alert_kit import BASE, ask, conditions, phases, play, risk, us
from tests.alerts.suppress_kit import INHIBIT, POLICY, QUIET, RISK, VITAL, held, vitals


@pytest.fixture
def machine() -> AlertMachine:
    return AlertMachine(POLICY, "p1")


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
