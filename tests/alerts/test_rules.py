"""Rules ready to judge: direction, hours and wards, personal limits."""

from __future__ import annotations

import pytest

from alerts.policy import Policy
from alerts.rules import fits, minutes, personal_limits, to_us
from tests.alerts.alert_kit import conditions

LEVELS = 'levels = [{ priority = "high", hi = 0.5, lo = 0.35 }]\n'
NIGHT = """source = "fusion.value"
[[condition.a.when]]
from = "22:00"
to = "06:00"
wards = ["W4"]
for_s = 300
levels = [{ priority = "high", hi = 0.6, lo = 0.4 }]
[[condition.a.when]]
wards = ["ICU*"]
keep_s = 60
severe = 0.95
[[condition.a.when]]
from = "12:00"
to = "13:00"
for_s = 0
"""
NAIVE = 'source = "fusion.value"\n' + LEVELS
HOUR_US = 3_600_000_000
LOW = """source = "columns.input"
input = "spo2"
side = "below"
levels = [{ priority = "medium", hi = 90, lo = 92 }, { priority = "high", hi = 85, lo = 88 }]
"""


def night(offset_min: int = 0) -> Policy:
    head = f'[policy]\nid = "n"\nversion = "1"\nutc_offset_min = {offset_min}\n'
    return conditions(LEVELS + NIGHT, head=head)


@pytest.mark.parametrize(
    ("hour", "ward", "for_s", "keep_s", "hi"),
    [
        (21.999, "W4", 120, 600, 0.5),
        (22, "W4", 300, 600, 0.6),
        (23.5, "W4", 300, 600, 0.6),
        (0, "W4", 300, 600, 0.6),
        (5.999, "W4", 300, 600, 0.6),
        (6, "W4", 120, 600, 0.5),
        (23, "W5", 120, 600, 0.5),
        (23, None, 120, 600, 0.5),
        (23, "ICU-2", 120, 60, 0.5),
        (12, None, 0, 600, 0.5),
        (13, None, 120, 600, 0.5),
    ],
)
def test_the_first_variant_whose_hours_and_ward_fit_counts(
    hour: float, ward: str | None, for_s: float, keep_s: float, hi: float
) -> None:
    rule = night().variants["a"].at(round(hour * HOUR_US), ward)
    assert (rule.for_us, rule.keep_us) == (to_us(for_s), to_us(keep_s))
    assert rule.limits[0][0] == hi


def test_hours_are_local_by_a_fixed_offset() -> None:
    variants = night(offset_min=60).variants["a"]
    assert variants.at(21 * HOUR_US, "W4").for_us == to_us(300)
    assert variants.at(5 * HOUR_US, "W4").for_us == to_us(120)


def test_a_variant_may_have_its_own_bypass() -> None:
    variants = night().variants["a"]
    assert variants.at(0, "ICU").spec.severe == 0.95
    assert variants.plain.spec.severe is None


def test_what_is_bad_when_low_is_compared_upside_down() -> None:
    variants = conditions(LOW).variants["a"]
    assert variants.plain.limits == ((-90.0, -92.0), (-85.0, -88.0))
    assert variants.watchful


def test_quiet_below_is_the_lowest_level_of_all_variants() -> None:
    lower = NIGHT.replace("hi = 0.6, lo = 0.4", "hi = 0.4, lo = 0.4")
    assert conditions(LEVELS + lower).variants["a"].quiet_below == pytest.approx(0.399)
    assert night().variants["a"].quiet_below == pytest.approx(0.499)


PERSONAL = 'source = "columns.input"\ninput = "hr"\n'
ABOVE = """levels = [
  { priority = "medium", hi = 130, lo = 120 },
  { priority = "high", hi = 150, lo = 140 },
]
"""


@pytest.mark.parametrize(
    ("baseline", "limits"),
    [
        (70.0, ((100.0, 90.0), (120.0, 110.0))),  # 70 + 30
        (40.0, ((90.0, 80.0), (110.0, 100.0))),  # the floor
        (130.0, ((140.0, 130.0), (160.0, 150.0))),  # the ceiling
        (None, ((130.0, 120.0), (150.0, 140.0))),
    ],
)
def test_a_personal_limit_follows_the_baseline_within_floor_and_ceiling(
    baseline: float | None, limits: object
) -> None:
    personal = "personal = { offset = 30, floor = 90, ceiling = 140 }\n"
    rule = conditions(PERSONAL + ABOVE + personal).variants["a"].plain
    assert personal_limits(rule, baseline) == limits


@pytest.mark.parametrize(("baseline", "hi"), [(96.0, -91.2 + 2), (80.0, -84.0), (110.0, -92.0)])
def test_a_personal_limit_of_what_is_bad_when_low_lies_below_the_baseline(
    baseline: float, hi: float
) -> None:
    personal = "personal = { offset = 2, ratio = 0.95, floor = 84, ceiling = 92 }\n"
    rule = conditions(LOW + personal).variants["a"].plain
    (low, low_lo), (high, _) = personal_limits(rule, baseline)
    assert low == pytest.approx(hi)
    assert low_lo == pytest.approx(hi - 2)
    assert high == pytest.approx(hi + 5)


def test_a_condition_without_personal_limits_ignores_a_baseline() -> None:
    rule = conditions(LOW).variants["a"].plain
    assert personal_limits(rule, 96.0) == rule.limits


def test_a_personal_floor_counts_for_the_short_way_out() -> None:
    personal = "personal = { offset = 30, floor = 90, ceiling = 140 }\n"
    assert conditions(PERSONAL + ABOVE + personal).variants["a"].quiet_below < 90
    low = "personal = { offset = 3, floor = 84, ceiling = 95 }\n"
    assert conditions(LOW + low).variants["a"].quiet_below < -95


@pytest.mark.parametrize(
    ("clock", "found"),
    [
        ("00:00", 0),
        ("23:59", 1439),
        ("24:00", None),
        ("12:60", None),
        ("1:00", None),
        ("12", None),
        ("ab:cd", None),
        ("٠٩:٠٠", None),
        ("+1:00", None),
    ],
)
def test_a_clock_time_is_two_digits_each(clock: str, found: int | None) -> None:
    assert minutes(clock) == found


def test_a_pattern_is_a_word_or_its_beginning() -> None:
    assert fits("a*", "abc")
    assert fits("*", "")
    assert not fits("ab", "abc")
    assert not fits("abc*", "ab")


def test_a_smoothed_condition_takes_no_short_way_out() -> None:
    assert conditions(NAIVE + "ewma_s = 0.5\n").variants["a"].watchful
    assert not conditions(NAIVE).variants["a"].watchful
