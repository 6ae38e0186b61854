"""Technical alerts of one patient: what its devices no longer send."""

from __future__ import annotations

import pytest

from alerts.alert import Condition, Kind, Phase, Priority
from alerts.machine import AlertMachine
from alerts.technical import MAX_SOURCES
from tests.alerts.machine_kit import At, phases, resolve, status


class TestTechnical:
    def test_silence_is_raised_once_and_says_what_is_lost_since_when(
        self, machine: AlertMachine, at: At
    ) -> None:
        (event,) = machine.on_silence("ecg", "d1", at(0), at(65))
        assert machine.on_silence("ecg", "d1", at(0), at(70)) == ()
        assert (event.kind, event.priority) == (Kind.TECHNICAL, Priority.LOW)
        assert (event.onset_us, event.raised_us) == (at(0), at(65))
        assert event.missing_modalities == ("ecg",)
        assert event.text.summary == (
            "Low: No data. No ecg data from d1 since 2025-06-15 15:06:40 UTC"
        )

    def test_a_signal_that_is_back_clears_then_resolves(
        self, machine: AlertMachine, at: At
    ) -> None:
        machine.on_silence("ecg", "d1", at(0), at(65))
        (cleared,) = machine.on_signal_back("ecg", "d1", at(80))
        assert cleared.text.why[0] == "ecg data from d1 again"
        assert phases(machine.on_tick(at(979))) == []
        assert phases(machine.on_tick(at(980))) == ["resolved"]

    def test_a_second_silent_device_is_merged_and_the_last_one_back_clears(
        self, machine: AlertMachine, at: At
    ) -> None:
        machine.on_silence("ecg", "d1", at(0), at(65))
        (merged,) = machine.on_silence("ecg", "d2", at(5), at(70))
        assert (merged.phase, merged.duplicate_count) == (Phase.UPDATED, 1)
        assert machine.on_signal_back("ecg", "d1", at(80)) == ()
        assert phases(machine.on_signal_back("ecg", "d2", at(81))) == ["cleared"]

    def test_a_flapping_signal_is_one_occurrence(self, machine: AlertMachine, at: At) -> None:
        machine.on_silence("ecg", "d1", at(0), at(65))
        machine.on_signal_back("ecg", "d1", at(80))
        (again,) = machine.on_silence("ecg", "d1", at(90), at(160))
        assert (again.phase, again.episode_count) == (Phase.RAISED, 2)
        assert again.text.summary.endswith("15:08:10 UTC")

    def test_an_ecg_without_qrs_complexes_is_urgent_until_beats_are_back(
        self, machine: AlertMachine, at: At
    ) -> None:
        (event,) = machine.on_standstill(at(0), at(35))
        assert (event.kind, event.priority) == (Kind.TECHNICAL, Priority.HIGH)
        assert (event.condition.code, event.onset_us) == ("no_qrs", at(0))
        assert event.text.summary.endswith("15:06:40 UTC: see the patient first")
        assert machine.on_standstill(at(0), at(45)) == ()
        assert machine.on_standstill(None, at(55)) == ()
        assert phases(machine.on_standstill(0, at(65))) == ["cleared"]
        assert machine.on_standstill(0, at(75)) == ()

    def test_one_that_a_person_closed_stays_closed_until_the_signal_was_back(
        self, machine: AlertMachine, at: At
    ) -> None:
        (event,) = machine.on_silence("ecg", "d1", at(0), at(65))
        assert phases(resolve(machine, event, at(66))) == ["resolved"]
        assert machine.on_silence("ecg", "d1", at(0), at(70)) == ()
        assert machine.on_silence("ecg", "d2", at(0), at(70)) == ()
        assert machine.on_signal_back("ecg", "d2", at(80)) == ()
        assert machine.on_signal_back("ecg", "d1", at(80)) == ()
        assert phases(machine.on_silence("ecg", "d1", at(90), at(160))) == ["raised"]

    def test_a_signal_that_was_never_silent_cannot_come_back(
        self, machine: AlertMachine, at: At
    ) -> None:
        assert machine.on_signal_back("ecg", "d1", at(80)) == ()

    def test_the_number_of_devices_kept_is_bounded(self, machine: AlertMachine, at: At) -> None:
        for device in range(MAX_SOURCES + 5):
            machine.on_silence("ecg", f"d{device}", at(0), at(65))
        assert len(machine.state().lost["no_data:ecg"]) == MAX_SOURCES

    @pytest.mark.parametrize("what", ["lead_off", "not_worn"])
    def test_a_loose_sensor_is_raised_and_worn_clears_it(
        self, machine: AlertMachine, at: At, what: str
    ) -> None:
        (event,) = machine.on_device_status(status(what), at(10))
        assert event.condition.code == "lead_off:ecg"
        assert event.recorded_us == at(10)
        assert phases(machine.on_device_status(status("worn"), at(20))) == ["cleared"]

    def test_worn_for_the_whole_device_clears_all_its_sensors(
        self, machine: AlertMachine, at: At
    ) -> None:
        machine.on_device_status(status("lead_off", "ecg"), at(10))
        machine.on_device_status(status("lead_off", "ppg"), at(10))
        machine.on_silence("resp", "d1", at(0), at(65))
        events = machine.on_device_status(status("worn", ""), at(20))
        assert [e.condition.code for e in events] == ["lead_off:ecg", "lead_off:ppg"]

    @pytest.mark.parametrize("what", ["off", "unknown", "worn"])
    def test_a_status_that_says_nothing_new_changes_nothing(
        self, machine: AlertMachine, at: At, what: str
    ) -> None:
        machine.on_silence("ecg", "d1", at(0), at(65))
        assert machine.on_device_status(status(what), at(10)) == ()

    def test_lost_monitoring_is_high_latches_and_ends(self, machine: AlertMachine, at: At) -> None:
        (event,) = machine.on_fault("ZeroDivisionError", at(10))
        assert (event.priority, event.condition.code) == (Priority.HIGH, "monitoring_lost")
        assert "ZeroDivisionError" in event.text.summary
        (over,) = machine.on_fault_over(at(20))
        assert over.state.condition is Condition.LATCHED
