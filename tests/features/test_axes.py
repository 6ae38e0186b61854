from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.axes import MOST_WAITING, AxisJoiner, Triple
from streams.segments import Segment

CORE_US = 10_000_000


def axis(name: str, k: int = 0, device_id: str = "d") -> Segment:
    start_us = k * CORE_US
    samples = np.full(320, "xyz".index(name) + k, np.float32)
    return Segment(
        "p", device_id, f"acc_{name}", start_us, start_us + CORE_US, 32.0, "g", 0.0, samples
    )


def test_the_third_axis_completes_a_triple() -> None:
    joiner = AxisJoiner()
    assert joiner.add(axis("y")) is None
    assert joiner.add(axis("z")) is None
    triple = joiner.add(axis("x"))
    assert isinstance(triple, Triple)
    assert [segment.signal for segment in triple] == ["acc_x", "acc_y", "acc_z"]


def test_axes_of_two_devices_are_not_joined() -> None:
    joiner = AxisJoiner()
    found = [joiner.add(axis(name, 0, device)) for name in "xyz" for device in "ab"]
    assert [triple is not None for triple in found] == [False] * 4 + [True] * 2
    assert {segment.device_id for segment in found[4] or ()} == {"a"}


def test_axes_of_two_times_are_not_joined() -> None:
    joiner = AxisJoiner()
    assert [joiner.add(axis(name, k)) for k, name in enumerate("xyz")] == [None] * 3


def test_only_a_few_wait() -> None:
    joiner = AxisJoiner()
    for k in range(100):
        joiner.add(axis("x", k))
        joiner.add(axis("y", k))
    assert len(joiner.to_state()) == 2 * MOST_WAITING
    assert joiner.add(axis("z", 99)) is not None
    assert joiner.add(axis("z", 0)) is None


@given(st.permutations([(name, k) for name in "xyz" for k in range(3)]), st.integers(0, 8))
def test_state_in_the_middle_changes_nothing(order: list[tuple[str, int]], at: int) -> None:
    straight, restored = AxisJoiner(), AxisJoiner()
    for i, (name, k) in enumerate(order):
        if i == at:
            packed = msgspec.msgpack.encode(restored.to_state())
            restored = AxisJoiner.from_state(msgspec.msgpack.decode(packed))
        one, other = straight.add(axis(name, k)), restored.add(axis(name, k))
        assert (one is None) == (other is None)
        for a, b in zip(one or (), other or (), strict=True):
            assert a[:8] == b[:8]
            assert a.samples.tobytes() == b.samples.tobytes()
