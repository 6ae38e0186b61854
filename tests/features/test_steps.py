from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.steps import Steps

STEP_US = 300_000_000


def held(*ends: int) -> Steps:
    steps = Steps(12, 2, STEP_US)
    for end in ends:
        steps.put(end * STEP_US, np.array([float(end), -1.0]))
    return steps


def ends(steps: Steps, until: int) -> list[int]:
    column = steps.until(until * STEP_US)[:, 0]
    return [int(value) for value in column[~np.isnan(column)]]


def test_a_row_that_is_missing_is_missing_in_its_own_place() -> None:
    rows = held(100, 103).until(103 * STEP_US)
    assert rows.shape == (12, 2)
    assert rows[-4:, 0].tolist() == pytest.approx([100, np.nan, np.nan, 103], nan_ok=True)


def test_only_what_ends_by_then_is_seen() -> None:
    assert ends(held(100, 101, 102), 101) == [100, 101]


def test_an_hour_later_nothing_is_left() -> None:
    assert ends(held(100, 101), 112) == [101]
    assert ends(held(100, 101), 500) == []


def test_nothing_was_ever_put() -> None:
    assert ends(held(), 7) == []


@given(st.permutations(range(100, 112)))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    assert ends(held(*order), 111) == list(range(100, 112))


@given(st.lists(st.integers(90, 140), max_size=30), st.integers(0, 30))
def test_state_in_the_middle_changes_nothing(order: list[int], at: int) -> None:
    straight, restored = held(*order), held(*order[:at])
    packed = msgspec.msgpack.encode(restored.to_state())
    restored = Steps(12, 2, STEP_US)
    restored.load(msgspec.msgpack.decode(packed))
    for end in order[at:]:
        restored.put(end * STEP_US, np.array([float(end), -1.0]))
    assert restored.to_state() == straight.to_state()


def test_state_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Steps(12, 3, STEP_US).load(held(100).to_state())
