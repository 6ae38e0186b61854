"""A policy in words."""

from __future__ import annotations

from alerts.explain import explain
from alerts.policy import Policy
from tests.alerts.alert_kit import conditions

BODY = """source = "columns.input"
input = "ecg_hr_bpm"
levels = [{ priority = "medium", hi = 130, lo = 120 }]
ewma_s = 300
refractory_s = 1800
repeats = 2
within_s = 3600
severe = 180
personal = { offset = 30, floor = 90, ceiling = 140 }
[[condition.a.when]]
from = "22:00"
to = "06:00"
wards = ["W4", "W5"]
for_s = 300
levels = [{ priority = "medium", hi = 140, lo = 130 }]
[[condition.a.when]]
wards = ["ICU"]
"""
LOW = """source = "fusion.value"
side = "below"
levels = [{ priority = "low", hi = 3, lo = 4 }]
"""
INHIBIT = '[[inhibit]]\nsource = "a"\ntarget = "b"\n'


def test_the_default_policy_is_explained(policy: Policy) -> None:
    lines = explain(policy)
    assert lines[0].startswith("ward-default 2026.1, sha256:")
    assert "  medium at 5 after 2 min at 4 or above; over after 10 min below 4" in lines
    assert "  at once at 9 on inputs of quality 0.8, at most 60 s old" in lines
    assert "no_data: No data, low" in lines
    assert "deterioration of at least high speaks for single_parameter up to medium" in lines
    assert "lead_off:* speaks for no_data:* up to low of the same modality" in lines
    assert (
        "high: review within 30 min, next tier after 5 min, up to 3, acknowledged for 60 min, "
        "snoozed for at most 15 min, stays until seen"
    ) in lines
    assert lines[-3:] == (
        "lost: only service",
        "regained: only service",
        "use_model: only service",
    )


def test_every_key_of_a_condition_is_in_its_words() -> None:
    lines = explain(conditions(BODY, LOW + INHIBIT))
    start = lines.index("a: A")
    assert lines[start + 1 : start + 10] == (
        "  reads the input ecg_hr_bpm of columns, smoothed over 5 min",
        "  medium at 130 after 2 min at 120 or above; over after 10 min below 120",
        "  only when that happens 2 times within 60 min",
        "  at once at 180 on inputs of quality 0.8, at most 60 s old",
        "  limit baseline x 1 + 30, within 90 to 140",
        "  after clearing, not again for 30 min at the same priority",
        "  but from 22:00 to 06:00 in W4, W5: for_s 300, medium at 140/130",
        "  but in ICU: the same",
        "  stale after 5 min without a usable score",
    )
    assert "  low at 3 after 2 min at 4 or below; over after 10 min above 4" in lines
    assert "a speaks for b up to medium" in lines


def test_a_limit_below_the_baseline_is_said_with_a_minus() -> None:
    body = BODY.replace("severe = 180", 'side = "below"').replace("hi = 130", "hi = 110")
    low = body.replace("hi = 140, lo = 130", "hi = 100, lo = 120")
    assert "  limit baseline x 1 - 30, within 90 to 140" in explain(conditions(low))
