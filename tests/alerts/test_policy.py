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
        ("condition.single_parameter", 'condition."a:b"', "the name is reserved"),
        ("condition.single_parameter", 'condition."a*"', "the name is reserved"),
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


TAIL = """
[condition.low]
display = "Low SpO2"
label = "SpO2"
source = "limits.input"
input = "spo2"
side = "below"
levels = [{ priority = "medium", hi = 90, lo = 92 }, { priority = "high", hi = 85, lo = 88 }]
repeats = 2
within_s = 600
disagree = 0.5
severe = 80
personal = { offset = 5, floor = 84, ceiling = 92 }
when = [{ from = "22:00", to = "06:00", wards = ["W4"], for_s = 300 }]
"""


def test_every_key_of_a_condition_is_read() -> None:
    spec = parse_policy(DEFAULT + TAIL).conditions["low"]
    assert spec.personal is not None
    assert (spec.personal.offset, spec.personal.ratio) == (5, 1.0)
    assert (spec.when[0].from_time, spec.when[0].to, spec.when[0].wards) == (
        "22:00",
        "06:00",
        ("W4",),
    )
    assert (spec.side, spec.input, spec.field, spec.scorer) == ("below", "spo2", "input", "limits")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("offset = 5", "ofset = 5", "unknown key condition.low.personal.ofset; nearest: offset"),
        ('from = "22', 'form = "22', "unknown key condition.low.when[0].form; nearest: from"),
        ("side =", "sied =", "unknown key condition.low.sied; nearest: side"),
        ('"below"', '"under"', "under"),
        ("lo = 92", "lo = 89", "levels[0]: lo must not be below hi"),
        ("hi = 85, lo = 88", "hi = 91, lo = 93", "levels: hi, lo and priority must fall"),
        ("severe = 80", "severe = 86", "severe must be at most the highest level's hi (85)"),
        ("severe = 80", "severe = -inf", "severe must be at most"),
        ('input = "spo2"\n', "", "input is named exactly when source ends in '.input'"),
        ("limits.input", "limits.value", "input is named exactly when source ends in '.input'"),
        ("repeats = 2", "repeats = 0", "repeats must be in 1 to 16, got 0"),
        ("repeats = 2", "repeats = 17", "repeats must be in 1 to 16, got 17"),
        ("within_s = 600", "within_s = 0", "within_s must be greater than 0 when repeats is"),
        ("disagree = 0.5", "disagree = 0", "disagree must be greater than 0"),
        ("floor = 84", "floor = 93", "personal: floor must not exceed ceiling"),
        ("offset = 5", "offset = -5", "personal.offset must not be negative"),
        ("offset = 5", "offset = nan", "personal: all values must be finite"),
        ("offset = 5", "ratio = 0", "personal.ratio must be greater than 0"),
        ('from = "22:00"', 'from = "22.00"', "when[0].from must be a time like '22:00'"),
        ('to = "06:00"', 'to = "6"', "when[0].to must be a time like '22:00', got '6'"),
        ('from = "22:00", ', "", "when[0]: from and to are given together"),
        (
            'from = "22:00", to = "06:00", wards = ["W4"], ',
            "",
            "when[0] needs hours or wards",
        ),
        ("for_s = 300 }", "for_s = -1 }", "when[0].for_s must be in 0 to"),
        ("for_s = 300 }", "keep_s = 1e9 }", "when[0].keep_s must be in 0 to"),
        (
            "for_s = 300 }",
            'levels = [{ priority = "low", hi = 1, lo = 2 }] }',
            "when[0].levels must have the priorities of the condition's own levels",
        ),
        ("for_s = 300 }", "severe = 88 }", "when[0].severe must be at most"),
        ("for_s = 300 }", 'levels = [{ prio = "low" }] }', "when[0].levels[0].prio; nearest"),
    ],
)
def test_a_condition_that_cannot_work_is_refused(old: str, new: str, message: str) -> None:
    assert old in TAIL
    with pytest.raises(ConfigError) as caught:
        parse_policy(DEFAULT + TAIL.replace(old, new, 1))
    assert message in str(caught.value)


def test_a_baseline_limit_needs_an_input() -> None:
    text = TAIL.replace("limits.input", "limits.value").replace('input = "spo2"\n', "")
    with pytest.raises(ConfigError, match=r"personal needs a source that ends in '\.input'"):
        parse_policy(DEFAULT + text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("silence_max_s = 86400", "silence_max_s = 0", "silence_max_s must be greater than 0"),
        ("utc_offset_min = 0", "utc_offset_min = 841", "utc_offset_min must be in -840 to 840"),
        ('group_by = ["subject"]', 'group_by = ["wrad"]', "group_by: 'wrad'; nearest: ward"),
        ('equal = ["modality"]\n', 'equal = ["modalty"]\n', "equal: 'modalty'; nearest: modality"),
        (
            'source = "deterioration"',
            'sorce = "deterioration"',
            "inhibit[0].sorce; nearest: source",
        ),
        ('target = "single_parameter"', 'target = ""', "inhibit[0]: source and target must not"),
        (
            'target = "single_parameter"',
            'target = "deterioration"',
            "deterioration is muted by deterioration",
        ),
        ("[roles]", "[rols]", "unknown key rols; nearest: roles"),
    ],
)
def test_the_other_tables_are_checked_too(old: str, new: str, message: str) -> None:
    assert message in refusal(old, new)


def test_inhibition_and_roles_come_from_the_default_unless_given(policy: Policy) -> None:
    head = DEFAULT.partition("# --- Conditions of the equipment")[0]
    assert parse_policy(head, DEFAULT).inhibits == policy.inhibits
    assert parse_policy("inhibit = []\n" + head, DEFAULT).inhibits == ()
    own = parse_policy(head + '[roles]\nretract = ["md"]\n', DEFAULT)
    service = dict.fromkeys(("lost", "regained", "use_model"), ("service",))
    assert own.roles == {**service, "retract": ("md",)}


def test_a_policy_that_nests_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        parse_policy("a = " + "[" * 100_000)


def test_a_condition_may_latch_against_its_priority() -> None:
    own = parse_policy(DEFAULT + TAIL + "\n").latches
    assert own("deterioration", Priority.HIGH)
    assert not own("no_data:ecg", Priority.LOW)
    stays = parse_policy(DEFAULT + TAIL.replace("repeats = 2", "latching = true")).latches
    assert stays("low", Priority.MEDIUM)
    never = parse_policy(DEFAULT + TAIL.replace("repeats = 2", "latching = false")).latches
    assert not never("low", Priority.HIGH)


def test_rejoin_is_the_conditions_or_the_kinds(policy: Policy) -> None:
    assert policy.rejoin_us("deterioration") == 900_000_000
    assert policy.rejoin_us("no_data:ecg") == 900_000_000
