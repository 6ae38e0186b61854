"""Silences and maintenance: what is held back, what is heard all the same."""

from __future__ import annotations

import pytest

from alerts.alert import Phase, Priority, Suppression, Trigger
from alerts.commands import Refused
from alerts.machine import AlertMachine
from alerts.silences import MAX_SILENCES, preview
from alerts.suppress import Standing
from streams.records import ANYONE
from tests.alerts.alert_kit import ask, entry, phases, play, risk, us
from tests.alerts.suppress_kit import POLICY, QUIET, held, silence, silence_of, vitals


@pytest.fixture
def machine() -> AlertMachine:
    return AlertMachine(POLICY, "p1")


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
