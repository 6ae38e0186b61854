"""Who mutes whom: an order, and no way round to oneself."""

from __future__ import annotations

import pytest

from alerts.inhibition import order
from alerts.policy_spec import InhibitSpec


def test_sources_come_before_their_targets() -> None:
    ranks = order([InhibitSpec("a", "b"), InhibitSpec("b", "c")], ["c", "b", "a"])
    assert (ranks["a"], ranks["b"], ranks["c"]) == (0, 1, 2)
    assert ranks["no_data"] == 0


def test_a_pattern_with_a_signal_is_about_the_whole_kind() -> None:
    ranks = order([InhibitSpec("lead_off:*", "no_data:ecg")], [])
    assert (ranks["lead_off"], ranks["no_data"]) == (0, 1)


def test_a_pattern_is_the_beginning_of_conditions() -> None:
    ranks = order([InhibitSpec("det*", "single*")], ["single_parameter", "deterioration"])
    assert (ranks["deterioration"], ranks["single_parameter"]) == (0, 1)


@pytest.mark.parametrize(
    ("rules", "way"),
    [
        ([("a", "a")], "a is muted by a"),
        ([("a", "b"), ("b", "a")], "a is muted by b is muted by a"),
        ([("a", "b"), ("b", "c"), ("c", "a")], "a is muted by c is muted by b is muted by a"),
        ([("*", "a")], "a is muted by a"),
        ([("no_data:ecg", "no_data:*")], "no_data is muted by no_data"),
    ],
)
def test_a_way_round_is_refused_and_shown(rules: list[tuple[str, str]], way: str) -> None:
    with pytest.raises(ValueError, match="is muted by") as caught:
        order([InhibitSpec(*rule) for rule in rules], ["a", "b", "c"])
    assert str(caught.value) == way


def test_a_source_that_does_not_exist_mutes_nothing() -> None:
    assert order([InhibitSpec("nobody", "a")], ["a"])["a"] == 0
