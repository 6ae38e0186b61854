"""Policies: the packaged default is complete, and every mistake is named with the nearest key."""

from __future__ import annotations

import pytest

from alerts.alert import Priority
from alerts.policy import Policy, default_policy_text, parse_policy
from alerts.words import nearest
from streams.errors import ConfigError

DEFAULT = default_policy_text()


def refusal(old: str, new: str) -> str:
    """What is said about the default policy with `old` replaced by `new`."""
    assert old in DEFAULT
    with pytest.raises(ConfigError) as caught:
        parse_policy(DEFAULT.replace(old, new, 1))
    return str(caught.value)


def test_the_default_policy_is_the_documented_one(policy: Policy) -> None:
    spec = policy.conditions["deterioration"]
    assert (spec.source, spec.for_s, spec.keep_s, spec.severe) == ("news2.lower", 120, 600, 9)
    assert [(level.priority, level.hi, level.lo) for level in spec.levels] == [
        (Priority.MEDIUM, 5, 4),
        (Priority.HIGH, 7, 5),
    ]
    assert {p: s.latching for p, s in policy.priorities.items()} == {
        Priority.HIGH: True,
        Priority.MEDIUM: False,
        Priority.LOW: False,
        Priority.INFO: False,
    }


def test_the_digest_names_the_content_not_the_layout(policy: Policy) -> None:
    assert parse_policy("# a comment\n" + DEFAULT).digest == policy.digest
    assert (
        parse_policy(DEFAULT.replace("keep_s = 600 ", "keep_s = 601 ", 1)).digest != policy.digest
    )
    assert policy.digest.startswith("sha256:")
    assert policy.ref.digest == policy.digest


def test_two_conditions_may_read_one_scorer() -> None:
    again = '[condition.fever]\nsource = "limits.upper"\ndisplay = "F"\nlabel = "F"\n'
    again += 'levels = [{ priority = "low", hi = 1, lo = 1 }]\n'
    policy = parse_policy(DEFAULT + again)
    assert [v.code for v in policy.by_scorer["limits"]] == ["single_parameter", "fever"]


def test_missing_tables_come_from_the_default_when_one_is_given(policy: Policy) -> None:
    head, _, rest = DEFAULT.partition("# --- Conditions of the equipment")
    assert parse_policy(head, DEFAULT).digest == policy.digest
    own = head + '[technical.no_data]\ndisplay = "Silence"\npriority = "medium"\n'
    merged = parse_policy(own, DEFAULT)
    assert merged.technical["no_data"].display == "Silence"
    assert merged.technical["lead_off"].display == "Sensor off"
    assert "no_data" in rest


def test_a_table_that_is_no_table_is_refused_even_with_a_default() -> None:
    head = DEFAULT.partition("# --- Conditions of the equipment")[0]
    with pytest.raises(ConfigError, match="technical"):
        parse_policy("technical = 5\n" + head, DEFAULT)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[policy]", "[polcy]", "unknown key polcy; nearest: policy"),
        ("continued_s", "continud_s", "unknown key policy.continud_s; nearest: continued_s"),
        ("keep_s =", "kep_s =", "unknown key condition.deterioration.kep_s; nearest: keep_s"),
        ("hi = 5", "high = 5", "unknown key condition.deterioration.levels[0].high; nearest: hi"),
        ("technical.lead_off", "technical.lead_of", "technical.lead_of; nearest: lead_off"),
        ("priority.high", "priority.hihg", "unknown key priority.hihg; nearest: high"),
        ("review_s =", "zzz =", "unknown key priority.high.zzz; valid: latching, review_s, ack_s"),
        ("news2.lower", "news2.lowr", "'news2.lowr': 'lowr'; nearest: lower"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(old: str, new: str, message: str) -> None:
    assert message in refusal(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[policy]", "[policy", "not TOML"),
        ("for_s = 120", 'for_s = "2 min"', "condition[...].for_s"),
        ('priority = "low"', 'priority = "urgent"', "urgent"),
        ('id = "ward-default"', 'id = ""', "policy.id must not be empty"),
        ("continued_s = 600", "continued_s = 0", "policy.continued_s must be greater than 0"),
        ("for_s = 120", "for_s = -1", "condition.deterioration.for_s must be in 0 to"),
        ("for_s = 120", "for_s = nan", "condition.deterioration.for_s must be in 0 to"),
        ("for_s = 120", "for_s = 1e9", "condition.deterioration.for_s must be in 0 to"),
        ("min_completeness = 0.4", "min_completeness = 1.1", "min_completeness must be in 0 to 1"),
        ("update_delta = 1.0", "update_delta = 0", "update_delta must be greater than 0"),
        ("hi = 5", "hi = inf", "levels[0]: hi, lo not finite"),
        ("lo = 4", "lo = 6", "levels[0]: lo must not exceed hi"),
        ("hi = 7", "hi = 5", "must rise from level to level"),
        ('"high", hi', '"low", hi', "must rise from level to level"),
        ("severe = 9", "severe = 6", "severe must be at least the highest level's hi (7)"),
        ("condition.single_parameter", "condition.no_data", "the name is reserved"),
        ("news2.lower", "news2", "'news2': ''; valid: lower, value, upper"),
        ("news2.lower", ".lower", "must be '<scorer>.<field>'"),
        ("max_tier = 3", "max_tier = 0", "max_tier: at least 1"),
        ('["spo2", "spo2_mean_pct"]', "[]", "same_input must not hold an empty list"),
        (
            'levels = [{ priority = "medium", hi = 3, lo = 2 }]',
            "levels = []",
            "levels must hold at least one level",
        ),
    ],
)
def test_values_that_cannot_work_are_refused(old: str, new: str, message: str) -> None:
    assert message in refusal(old, new)


@pytest.mark.parametrize("table", ["technical.no_data", "priority.info"])
def test_a_missing_table_is_named(table: str) -> None:
    head, _, rest = DEFAULT.partition(f"[{table}]")
    following = rest.partition("\n[")[2]
    cut = head + ("[" + following if following else "")
    with pytest.raises(ConfigError, match=rf"\[{table}\] is missing"):
        parse_policy(cut)


def test_a_policy_without_conditions_is_refused() -> None:
    head, _, rest = DEFAULT.partition("\n[condition.deterioration]")
    tail = rest.partition("[technical.no_data]")[2]
    with pytest.raises(ConfigError, match="at least one"):
        parse_policy(head + "\n[condition]\n[technical.no_data]" + tail)


def test_wrong_shapes_are_refused_not_crashed_on() -> None:
    for text in ("policy = 1", "condition = []", "condition.a = 5", "condition.a.levels = 3"):
        with pytest.raises(ConfigError):
            parse_policy(text)


def test_nearest_lists_everything_when_nothing_is_near() -> None:
    assert nearest("zzz", ("lower", "upper")) == "valid: lower, upper"
