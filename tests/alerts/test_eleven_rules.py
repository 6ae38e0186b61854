"""The rules of an alert's life as laws over any history (Hypothesis).

Every step is played on two machines, one of them restored from its snapshot before each call, and
the whole history is played once more at the end: three event logs, byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from alerts.alert import AlertEvent, Condition, Phase, Priority, Resolution, Suppression
from alerts.commands import ASKS, CLOSE_ALL, OUTCOMES, Refused
from alerts.conditions import Hold
from alerts.envelope import cloud_event_json
from alerts.machine import AlertMachine
from alerts.policy import Policy
from alerts.rules import to_us
from models.score import Score
from streams.records import ANYONE, AlertCommand, DeviceStatus

Call = tuple[str, tuple[Any, ...]]
UNSEEN = ("none", "rejected", "undefined")
inputs = st.dictionaries(
    st.sampled_from(["resp_rate", "spo2", "pulse", "temp"]), st.sampled_from([0, 1, 2, 3, 3])
)
hops = st.sampled_from([10, 30, 30, 60, 110, 130, 700])
signals = st.sampled_from(["ecg", "resp", "spo2"])
devices = st.sampled_from(["d1", "d2"])


def owner(event: AlertEvent) -> str:
    """Who has it; that nobody answered in time is not news to a command."""
    return str(event.state.responsibility).replace("undefined", "none")


class Patient(RuleBasedStateMachine):
    """Anything may happen to a patient, in any order; time only moves on."""

    taken = 0  # calls of all machines, to prove how far the test went

    def __init__(self, policy: Policy, make: Callable[..., Score], at: Callable[..., int]) -> None:
        super().__init__()
        self.policy, self.make, self.at = policy, make, at
        self.machine = AlertMachine(policy, "p1")
        self.twin = self.machine.snapshot()
        self.now_s, self.ticked_s, self.commands = 0, 0, 0
        self.calls: list[Call] = []
        self.lines: list[bytes] = []
        self.log: list[AlertEvent] = []
        self.unseen_high: dict[str, bool] = {}

    def call(self, name: str, *args: Any) -> tuple[AlertEvent, ...] | Refused:
        self.calls.append((name, args))
        Patient.taken += 1
        said = getattr(self.machine, name)(*args)
        twin = AlertMachine.restore(self.policy, "p1", self.twin)
        assert getattr(twin, name)(*args) == said
        self.twin = twin.snapshot()
        assert self.twin == self.machine.snapshot()
        for event in said if not isinstance(said, Refused) else ():
            self.take(event)
        return said

    def take(self, event: AlertEvent) -> None:
        """Check one event against all that came before it."""
        own = [e for e in self.log if e.occurrence_id == event.occurrence_id]
        same = [e for e in self.log if e.dedup_key == event.dedup_key]
        before = own[-1] if own else None
        assert event.seq == (before.seq + 1 if before else 1)
        if before is None:
            assert event.phase is Phase.RAISED
            assert not same or same[-1].state.resolution is not Resolution.OPEN  # rules 9 and 11
        else:
            self.follows(before, event)
        self.note_seen(event)
        if event.phase is Phase.RESOLVED and event.closed_reason == "cleared":
            assert not self.unseen_high[event.occurrence_id]  # rule 4
        self.log.append(event)
        self.lines.append(cloud_event_json(event))

    def follows(self, before: AlertEvent, event: AlertEvent) -> None:
        """Check a step within one occurrence."""
        if before.state.resolution is not Resolution.OPEN:
            assert event.phase is Phase.FEEDBACK  # rule 7
        rise = list(Priority).index(event.priority) - list(Priority).index(before.priority)
        if event.phase is Phase.ESCALATED and rise:
            assert event.state.responsibility == "none"  # rule 1
        if rise > 0:
            assert event.state.suppression is Suppression.NONE  # rule 5
        if before.state.stale:
            closed_itself = event.phase is Phase.RESOLVED and event.closed_reason == "cleared"
            assert event.phase is not Phase.CLEARED  # rule 6
            assert not closed_itself
        if event.closed_reason == "late_data" and event.phase is Phase.RETRACTED:
            assert before.state.responsibility != "accepted"
            assert event.recorded_us - event.raised_us <= self.policy.revise_us
        if event.phase is Phase.RAISED:
            assert event.episode_count == before.episode_count + 1  # rule 9
            assert event.state.responsibility == "none"
        moved = (before.priority, owner(before), before.state.resolution) != (
            event.priority, owner(event), event.state.resolution,
        )  # fmt: skip
        assert event.state_seq == (event.seq if moved else before.state_seq)
        assert event.onset_us == before.onset_us

    def note_seen(self, event: AlertEvent) -> None:
        """Remember whether a high priority of the occurrence waits to be seen."""
        key, high = event.occurrence_id, event.priority is Priority.HIGH
        if event.phase is Phase.ACKNOWLEDGED:
            self.unseen_high[key] = False
        elif event.phase in (Phase.RAISED, Phase.ESCALATED, Phase.UNACKNOWLEDGED, Phase.REJECTED):
            self.unseen_high[key] = high or self.unseen_high.get(key, False)
        if event.phase is Phase.UNACKNOWLEDGED:
            self.unseen_high[key] = high

    @rule(points=st.none() | inputs | st.just({"resp_rate": 3, "spo2": 3, "pulse": 3}), hop=hops)
    def score(self, points: dict[str, int] | None, hop: int) -> None:
        self.now_s += hop
        self.call("on_scores", (self.make(self.now_s, points),))

    @rule(total=st.integers(0, 9), count=st.integers(1, 25))
    def steady(self, total: int, count: int) -> None:
        for _ in range(count):
            self.now_s += 30
            self.call("on_scores", (self.make(self.now_s, total),))

    @rule(revision=st.integers(0, 1), total=st.integers(0, 12), ago=st.sampled_from([0, 30]))
    def late(self, revision: int, total: int, ago: int) -> None:
        score = self.make(self.now_s - ago, total, revision=revision)
        seen_us = self.machine.state().seen_us.get("news2", -1)
        said = self.call("on_scores", (score,))
        assert score.end_us > seen_us or revision or said == ()

    @rule(ahead=st.sampled_from([0, 5, 60, 300, 1000, 5000]))
    def tick(self, ahead: int) -> None:
        self.ticked_s = max(self.ticked_s, self.now_s) + ahead
        self.now_s = self.ticked_s
        self.call("on_tick", self.at(self.ticked_s))
        self.check_timers(self.at(self.ticked_s))

    def check_timers(self, now_us: int) -> None:
        """Rules 2 and 3: no promise of time is left unkept after a tick."""
        for occ in self.machine.state().open.values():
            record, state = occ.record, occ.record.state
            demands = self.policy.priorities[record.priority]
            active = state.condition is Condition.ACTIVE
            if active and state.responsibility == "accepted":
                assert occ.accepted_until_us > now_us
            waits = active and state.responsibility in UNSEEN
            if waits and state.suppression is Suppression.NONE and demands.escalate_after_s:
                waited_us = now_us - occ.unacked_since_us
                late = waited_us >= to_us(demands.escalate_after_s)
                assert record.tier >= demands.max_tier or not late
            if state.suppression is Suppression.SNOOZED:
                assert occ.snoozed_until_us > now_us

    @rule(signal=signals, device=devices, back=st.booleans())
    def silence(self, signal: str, device: str, back: bool) -> None:
        now_us = self.at(self.now_s)
        if back:
            self.call("on_signal_back", signal, device, now_us)
        else:
            self.call("on_silence", signal, device, now_us - 60_000_000, now_us)

    @rule(
        signal=st.sampled_from(["ecg", ""]),
        status=st.sampled_from(["worn", "lead_off", "not_worn", "off"]),
    )
    def device(self, signal: str, status: str) -> None:
        now_us = self.at(self.now_s)
        said = DeviceStatus("p1", "d1", signal, status, None, "", 0, now_us)
        self.call("on_device_status", said, now_us)

    @rule(over=st.booleans())
    def fault(self, over: bool) -> None:
        args = () if over else ("KeyError",)
        self.call("on_fault_over" if over else "on_fault", *args, self.at(self.now_s))

    @rule(
        action=st.sampled_from([*ASKS, "acknowledge", "snooze", "reject", "frobnicate"]),
        pick=st.integers(0, 7),
        expect=st.sampled_from([-1, -1, 0, 1]),
        ahead_s=st.sampled_from([0, 100, 600, 10**6]),
        reason=st.sampled_from(["", "words", *OUTCOMES]),
        repeat=st.booleans(),
    )
    def command(
        self, action: str, pick: int, expect: int, ahead_s: int, reason: str, repeat: bool
    ) -> None:
        if action in CLOSE_ALL and pick > 1:
            action = "comment"  # leaving is rare, else no alert grows old
        known = list(dict.fromkeys(event.occurrence_id for event in self.log)) or ["none"]
        key = known[-1 - pick % len(known)]
        seq = next((e.state_seq for e in reversed(self.log) if e.occurrence_id == key), 0)
        self.commands += 0 if repeat else 1
        now_us = self.at(self.now_s)
        command = AlertCommand(
            f"c{self.commands}", "p1", key, action, "kim", "rn", reason,
            -1 if expect == -1 else seq - expect,
            now_us + ahead_s * 1_000_000 if ahead_s else 0, now_us,
        )  # fmt: skip
        before = self.machine.records()
        said = self.call("on_command", command, now_us)
        if isinstance(said, Refused):
            assert self.machine.records() == before
        elif said and action in CLOSE_ALL:
            assert self.machine.records() == ()  # rule 10

    @rule(
        action=st.sampled_from(["silence", "silence", "maintenance"]),
        matching=st.sampled_from(
            ["condition=deterioration", "kind=*", "ward=W4", "modality=ecg", "subject=p2"]
        ),
        up_to=st.sampled_from(["low", "medium", "high"]),
        starts_s=st.sampled_from([0, 0, 60]),
        lasts_s=st.sampled_from([100, 900, 5000]),
        everybody=st.booleans(),
    )
    def quiet(
        self, action: str, matching: str, up_to: str, starts_s: int, lasts_s: int, everybody: bool
    ) -> None:
        self.standing(
            action, f"{matching},up_to={up_to}", everybody, "words", starts_s, starts_s + lasts_s
        )

    @rule(
        action=st.sampled_from(["lost", "regained"]),
        code=st.sampled_from(["device_fleet_outage", "delivery_lost:pager"]),
        everybody=st.booleans(),
    )
    def told(self, action: str, code: str, everybody: bool) -> None:
        self.standing(action, code, everybody, "words", 0, 0)

    @rule(ward=st.sampled_from(["W4", "W5", ""]))
    def move(self, ward: str) -> None:
        self.standing("locate", f"ward={ward}", False, "", 0, 0)

    @rule(newest=st.booleans())
    def loud(self, newest: bool) -> None:
        silences = self.machine.standing().silences
        if silences:
            self.standing("unsilence", silences[-1 if newest else 0].id, False, "", 0, 0)

    def standing(
        self, action: str, target: str, everybody: bool, reason: str, starts_s: int, ends_s: int
    ) -> None:
        """Send a command about no single alert."""
        self.commands += 1
        now_us = self.at(self.now_s)
        command = AlertCommand(
            f"c{self.commands}", ANYONE if everybody else "p1", target, action, "kim", "service",
            reason, -1, now_us + ends_s * 1_000_000, now_us + starts_s * 1_000_000,
        )  # fmt: skip
        self.call("on_command", command, now_us)

    @invariant()
    def what_is_held_back_has_a_reason_that_stands(self) -> None:
        """Rule 5, and nothing is ever held back without a name that can be looked up."""
        standing = self.machine.standing()
        silences = {silence.id: silence for silence in standing.silences}
        losses = {loss.id for loss in standing.losses.values()}
        open_ = {record.occurrence_id: record for record in self.machine.records()}
        for record in open_.values():
            by, how = record.suppressed_by, record.state.suppression
            assert (by is None) == (how in (Suppression.NONE, Suppression.SNOOZED))
            if how in (Suppression.SILENCED, Suppression.MAINTENANCE):
                silence = silences[by or ""]
                rank = list(Priority).index
                assert rank(record.priority) <= rank(silence.up_to)
                assert (silence.kind == "maintenance") == (how is Suppression.MAINTENANCE)
            if how is Suppression.INHIBITED and by not in losses:
                source = open_[by or ""]
                assert source.state.condition is Condition.ACTIVE
                assert not source.state.stale
                assert source.state.suppression in (Suppression.NONE, Suppression.SNOOZED)

    @invariant()
    def the_open_occurrences_are_the_log_folded(self) -> None:
        last = {event.occurrence_id: event for event in self.log}
        folded = [e.record() for e in last.values() if e.state.resolution is Resolution.OPEN]
        opened = sorted(self.machine.records(), key=lambda r: r.occurrence_id)
        assert opened == sorted(folded, key=lambda r: r.occurrence_id)
        keys = [record.dedup_key for record in opened]
        assert len(keys) == len(set(keys))  # rule 11

    @invariant()
    def an_alert_is_active_exactly_while_its_levels_are_on(self) -> None:
        state = self.machine.state()
        for code in self.policy.conditions:
            levels = state.conditions[code].levels if code in state.conditions else ()
            on = [level.hold in (Hold.ON, Hold.KEEP) for level in levels]
            active = code in state.open and state.open[code].record.state.condition == "active"
            assert any(on) == active
            assert on == sorted(on, reverse=True)  # a higher level is never on without the lower
            if active:
                assert state.open[code].level == sum(on) - 1
                level = self.policy.conditions[code].levels[sum(on) - 1]
                assert state.open[code].record.priority is level.priority

    def teardown(self) -> None:
        """Rule 8: the same calls give the same bytes."""
        again = AlertMachine(self.policy, "p1")
        lines = []
        for name, args in self.calls:
            said = getattr(again, name)(*args)
            lines += [cloud_event_json(e) for e in said if not isinstance(said, Refused)]
        assert lines == self.lines


def run_steps(examples: int) -> settings:
    """So many histories of up to 40 steps, the same ones every run."""
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


def test_the_rules_hold_over_any_history(
    policy: Policy, score: Callable[..., Score], at: Callable[..., int]
) -> None:
    run_state_machine_as_test(lambda: Patient(policy, score, at), settings=run_steps(50))


@pytest.mark.slow
def test_the_rules_hold_over_ten_thousand_steps(
    policy: Policy, score: Callable[..., Score], at: Callable[..., int]
) -> None:
    Patient.taken = 0
    run_state_machine_as_test(lambda: Patient(policy, score, at), settings=run_steps(600))
    assert Patient.taken >= 10_000
