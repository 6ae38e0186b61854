"""What a condition remembers: its score's last day, and when it rang."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.alert import AlertEvent, Phase
from alerts.explain import explain
from alerts.machine import AlertMachine
from alerts.memory import Past, mixed, remembered
from alerts.policy import Policy
from alerts.rules import SLOTS, PastRule
from models.evaluation.events import EventSpec, alarms, watch
from models.evaluation.past import with_past
from models.score import Score
from streams.errors import ConfigError
from tests.alerts.alert_kit import BASE, START_S, conditions, risk, us

HOUR_S = 3600.0
LAST = START_S % HOUR_S  # START_S is no full hour
RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.4 }]
for_s = 0
keep_s = 0
rejoin_s = 0
update_delta = 9
max_gap_s = 10800
stale_after_s = 14400
"""
AGAIN = RISK + "again = { after_s = 21600, louder_after_s = 7200, louder_hi = 0.8 }\n"


def rings(policy: Policy, values: list[float | None]) -> list[int]:
    """Hours at which a new machine rings."""
    machine = AlertMachine(policy, "p1")
    return [hour for hour, value in enumerate(values) if rang(machine, hourly(hour, value))]


def hourly(hour: int, value: float | None) -> Score:
    return risk(hour * HOUR_S - LAST, value)


def rang(machine: AlertMachine, score: Score) -> bool:
    return any(event.phase is Phase.RAISED for event in machine.on_scores((score,)))


def odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_what_is_still_there_rings_anew_after_so_long_and_not_before() -> None:
    assert rings(conditions(AGAIN), [0.6] * 14) == [0, 6, 12]
    assert rings(conditions(RISK), [0.6] * 14) == [0]


def test_what_went_and_came_back_is_held_back_as_long() -> None:
    assert rings(conditions(AGAIN), [0.6, 0.1, 0.6, 0.1, 0.6, 0.1, 0.6, 0.1]) == [0, 6]


def test_a_louder_score_rings_sooner_and_counts_as_having_rung() -> None:
    assert rings(conditions(AGAIN), [0.6, 0.9, 0.9, 0.9, 0.9, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]) == [
        *(0, 2, 4, 10),
    ]


def test_a_score_between_the_limits_keeps_it_and_does_not_ring() -> None:
    assert rings(conditions(AGAIN), [0.6, *[0.45] * 7, 0.6]) == [0, 8]


def test_ringing_anew_takes_it_from_whom_had_it_and_counts() -> None:
    machine = AlertMachine(conditions(AGAIN), "p1")
    (first,) = machine.on_scores((hourly(0, 0.6),))
    taken = replace(
        BASE, occurrence_id=first.occurrence_id, event_time_us=us(60), until_us=us(99999)
    )
    machine.on_command(taken, us(60))
    (again,) = machine.on_scores((hourly(6, 0.6),))
    assert (again.phase, again.episode_count) == (Phase.RAISED, 2)
    assert again.occurrence_id == first.occurrence_id
    assert again.state.responsibility == "none"
    assert "still there" in again.text.why[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.5]), st.booleans())
def test_a_policy_rings_when_the_rule_that_was_judged_does(
    seed: int, share: float, louder: bool
) -> None:
    """Hourly scores: `past` and `again` are `with_past` and `EventSpec`."""
    rng = np.random.default_rng(seed)
    prob = np.round(1 / (1 + np.exp(-np.cumsum(rng.normal(0, 0.7, 90)) * 0.6)), 4)
    prob = np.clip(prob, 1e-4, 1 - 1e-4)
    by = odds(0.6) - odds(0.5) if louder else np.inf
    spec = EventSpec(silence_h=9, louder_h=4, louder_by=by)
    none = np.zeros(0, np.int64)
    hour = np.arange(90.0)
    watched = watch(np.zeros(90, np.int64), hour, none, none.astype(float), spec)
    mix = with_past(np.log(prob / (1 - prob)), np.array([90]), share, SLOTS)
    mix = np.round(1 / (1 + np.exp(-mix)), 4)  # as scores are before any threshold
    logit = np.log(mix / (1 - mix))
    found = alarms(logit, watched, np.array([odds(0.5) - 1e-9]))
    text = RISK.replace("lo = 0.4", f"lo = {rng.choice([0.3, 0.5])}")
    text = text.replace("keep_s = 0", f"keep_s = {rng.choice([0, 7200])}")
    text += f'past = {{ share = {share}, scale = "logit" }}\n' if share else ""
    loud = "louder_after_s = 14400, louder_hi = 0.6, " if louder else ""
    text += f"again = {{ {loud}after_s = 32400 }}\n"
    assert len(rings(conditions(text), prob.tolist())) == found.alarms[0, 0]


def test_an_hour_with_many_scores_counts_as_much_as_one_with_few() -> None:
    own = PastRule(1.0, us(HOUR_S) - us(0), logit=False)
    past: Past = ()
    for at_s, value in ((0, 1.0), (3600, 3.0), (3700, 3.0), (3800, 3.0)):
        past = remembered(own, past, value, round((at_s) * 1e6))
    assert mixed(own, past, 3.0) == 2.0


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 1)), max_size=200))
def test_the_past_is_bounded_whatever_comes(steps: list[tuple[int, float]]) -> None:
    own, at = PastRule(0.5, 100_000, logit=True), 0
    past: Past = ()
    for apart, value in steps:
        at += apart
        past = remembered(own, past, value, at)
        assert 0 < len(past) <= SLOTS
        assert past[0][0] > at // own.slot_us - SLOTS
        assert 0 <= mixed(own, past, value) <= 1


def test_a_snapshot_at_any_score_changes_nothing() -> None:
    policy = conditions(AGAIN + 'past = { share = 0.4, scale = "logit" }\n')
    rng = np.random.default_rng(4)
    drawn = rng.uniform(0.2, 0.95, 60).round(4).tolist()
    scores = [hourly(h, v) for h, v in enumerate(drawn)]
    whole, cut = AlertMachine(policy, "p1"), AlertMachine(policy, "p1")
    said: list[AlertEvent] = []
    for score in scores:
        expected = whole.on_scores((score,))
        cut = AlertMachine.restore(policy, "p1", msgspec.msgpack.encode(cut.state()))
        assert cut.on_scores((score,)) == expected
        said += expected
    assert sum(event.phase is Phase.RAISED for event in said) > 4


def test_a_correction_of_the_window_that_rang_anew_does_not_ring_twice() -> None:
    machine = AlertMachine(conditions(AGAIN), "p1")
    for hour in range(7):
        machine.on_scores((hourly(hour, 0.6),))
    assert not rang(machine, replace(hourly(6, 0.7), revision=1))
    assert not any(rang(machine, hourly(hour, 0.6)) for hour in range(7, 12))
    assert rang(machine, hourly(12, 0.6))


def test_a_correction_that_takes_the_ring_away_does_not_give_a_second_one() -> None:
    machine = AlertMachine(conditions(AGAIN), "p1")
    for hour in range(7):
        machine.on_scores((hourly(hour, 0.6),))
    machine.on_scores((replace(hourly(6, 0.45), revision=1),))
    assert not any(rang(machine, hourly(hour, 0.6)) for hour in range(7, 12))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("past = { share = 0 }", "share must be above 0"),
        ("past = { share = 0.3, span_s = 3 }", "span_s must be at least 24"),
        ("past = { share = 0.3 }\newma_s = 60", "ewma_s must be 0"),
        ("again = { after_s = 0 }", "after_s must be greater than 0"),
        ("again = { after_s = 60, louder_after_s = 90, louder_hi = 0.9 }", "must not exceed"),
        ("again = { after_s = 60, louder_after_s = 30 }", "needs louder_hi"),
        ("again = { after_s = 60, louder_hi = 0.4 }", "louder_hi must be at least"),
    ],
)
def test_a_memory_that_cannot_work_is_refused_with_its_key(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        conditions(RISK + line + "\n")


def test_log_odds_of_a_score_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="log-odds need levels between 0 and 1"):
        conditions(RISK.replace("hi = 0.5", "hi = 5") + 'past = {share = 0.3, scale = "logit"}\n')


def test_a_policy_that_remembers_nothing_keeps_its_digest() -> None:
    assert conditions(RISK).digest != conditions(AGAIN).digest
    assert b'"again"' not in msgspec.json.encode(conditions(RISK).conditions["a"])


def test_a_policy_says_in_words_what_it_remembers() -> None:
    past = 'past = { share = 0.3, scale = "logit" }\n'
    words = "\n".join(explain(conditions(AGAIN + past)))
    assert "30 % of it the mean of the last 24 h, of its log-odds" in words
    assert "once it rang, again after 6 h, after 2 h at 0.8, gone in between or not" in words
