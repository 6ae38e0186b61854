"""What one score says to one condition."""

from __future__ import annotations

import msgspec
import pytest

from alerts.policy_spec import ConditionSpec
from alerts.reading import input_of, read, value_of
from alerts.rules import Rule
from tests.alerts.alert_kit import conditions, entry, risk, vital

SPO2 = """source = "columns.input"
input = "spo2"
side = "below"
levels = [{ priority = "medium", hi = 90, lo = 92 }]
min_quality = 0.5
max_age_s = 300
severe = 80
same_input = [["spo2", "spo2_mean_pct"]]
"""
RISK = (
    'source = "fusion.value"\nlevels = [{ priority = "high", hi = 0.5, lo = 0.4 }]\nsevere = 0.9\n'
)
FALLING = """source = "fusion.value"
side = "below"
levels = [{ priority = "high", hi = 0.3, lo = 0.4 }]
severe = 0.1
"""


def rule_of(body: str) -> Rule:
    return conditions(body).variants["a"].plain


def spec_of(body: str) -> ConditionSpec:
    return rule_of(body).spec


def test_an_input_is_found_by_its_code_or_by_what_stands_for_it() -> None:
    for code in ("spo2", "spo2_mean_pct"):
        item = input_of(vital(0, code, 89.0), spec_of(SPO2))
        assert item is not None
        assert item.value == 89.0
    assert input_of(vital(0, "hr", 89.0), spec_of(SPO2)) is None


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, 89.1235),
        ({"quality": 0.5, "age_s": 300.0}, 89.1235),
        ({"quality": 0.49}, None),
        ({"age_s": 301.0}, None),
    ],
)
def test_an_input_counts_only_when_clean_and_fresh(
    fields: dict[str, float], value: float | None
) -> None:
    assert value_of(vital(0, "spo2", 89.12346, **fields), spec_of(SPO2)) == value


def test_an_input_that_is_absent_or_nan_has_no_value() -> None:
    assert value_of(vital(0, "spo2", None), spec_of(SPO2)) is None
    assert value_of(vital(0, "spo2", float("nan")), spec_of(SPO2)) is None


def test_an_input_that_is_there_is_complete_and_one_that_is_not_is_not() -> None:
    rule = rule_of(SPO2)
    assert read(vital(0, "spo2", 95.0), 95.0, rule, ()).complete
    gone = read(vital(0, "spo2", None), None, rule, ())
    assert not gone.complete
    assert not gone.severe
    assert not gone.personal


@pytest.mark.parametrize(
    ("value", "fields", "severe"),
    [
        (80.0, {}, True),
        (80.1, {}, False),
        (79.0, {"quality": 0.79}, False),
        (79.0, {"quality": 0.8, "age_s": 60.0}, True),
        (79.0, {"age_s": 60.5}, False),
    ],
)
def test_an_input_is_severe_by_itself_only_when_it_can_be_trusted(
    value: float, fields: dict[str, float], severe: bool
) -> None:
    assert read(vital(0, "spo2", value, **fields), value, rule_of(SPO2), ()).severe is severe


def test_an_input_without_a_bypass_is_never_severe() -> None:
    rule = rule_of(SPO2.replace("severe = 80\n", ""))
    assert not read(vital(0, "spo2", 20.0), 20.0, rule, ()).severe


def test_a_baseline_that_is_not_a_number_is_no_baseline() -> None:
    rule = rule_of(SPO2 + "personal = { offset = 4, floor = 84, ceiling = 95 }\n")
    for baseline, personal in ((98.0, True), (None, False), (float("nan"), False)):
        reading = read(vital(0, "spo2", 93.0, baseline=baseline), 93.0, rule, ())
        assert reading.personal is personal
        assert reading.limits == (((-94.0, -96.0),) if personal else ((-90.0, -92.0),))


def test_without_personal_limits_a_baseline_makes_nothing_personal() -> None:
    reading = read(vital(0, "spo2", 93.0, baseline=98.0), 93.0, rule_of(SPO2), ())
    assert not reading.personal


@pytest.mark.parametrize(("quality", "severe"), [(0.95, True), (0.5, False)])
def test_a_score_that_is_bad_when_low_is_severe_only_without_a_doubtful_input(
    quality: float, severe: bool
) -> None:
    score = risk(0, 0.05, calibrated=False, evidence=(entry("x", 1.0, quality=quality),))
    assert read(score, 0.05, rule_of(FALLING), ()).severe is severe
    assert not read(score, 0.11, rule_of(FALLING), ()).severe


def test_what_carried_points_and_is_gone_makes_a_score_incomplete() -> None:
    rule = rule_of(RISK)
    score = risk(0, 0.2, evidence=(entry("x", 1.0), entry("y", 1.0, points=0.0)))
    kept = read(score, 0.2, rule, ("x",))
    assert kept.complete
    assert kept.carried_by == ("x",)
    gone = read(score, 0.2, rule, ("x", "z"))
    assert not gone.complete
    assert gone.carried_by == ("x", "z")


def test_a_share_of_inputs_at_the_minimum_is_enough() -> None:
    rule = rule_of(RISK)
    for share, complete in ((0.4, True), (0.39, False)):
        score = msgspec.structs.replace(risk(0, 0.2), completeness=share)
        assert read(score, 0.2, rule, ()).complete is complete
