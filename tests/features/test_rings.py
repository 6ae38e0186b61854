from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalog import FeatureReason
from features.layout import shape_of
from features.primitives import Primitives
from features.rings import Rings
from features.signal_ring import MOST_SEGMENTS, View
from streams.errors import SnapshotMismatch

S = 1_000_000


def segment(k: int, device_id: str = "d", signal: str = "ecg", **changes: Any) -> Primitives:
    """The k-th 10-s segment, with two events."""
    start_us = k * 10 * S
    return Primitives(
        device_id,
        signal,
        start_us,
        start_us + 10 * S,
        1.0,
        0.9,
        FeatureReason.OK,
        np.array([start_us + 1, start_us + 2], np.int64),
        np.array([0.1, 0.2 + k]),
        np.array([0, 1], np.int16),
        True,
        False,
    )._replace(**changes)


def filled(*segments: Primitives) -> Rings:
    rings = Rings()
    for p in segments:
        rings.insert(p)
    return rings


def starts(found: View | None) -> list[int]:
    return [] if found is None else (found.kept.segments["start_us"] // (10 * S)).tolist()


def device(found: View | None) -> str:
    assert found is not None
    return found.device_id


def test_a_window_sees_its_segments_and_the_context_before_it() -> None:
    #           |  window  |
    # 0  1  2  3  4  5  6  7  8  9
    rings = filled(*(segment(k) for k in range(10)))
    assert starts(rings.view("ecg", 40 * S, 70 * S)) == [4, 5, 6]
    assert starts(rings.view("ecg", 40 * S, 70 * S, context_us=10 * S)) == [3, 4, 5, 6]


def test_a_segment_that_ends_after_the_window_is_not_seen() -> None:
    assert starts(filled(segment(0), segment(1)).view("ecg", 0, 15 * S)) == [0]


def test_a_signal_that_is_not_there_has_no_segments() -> None:
    assert filled(segment(0)).view("ppg", 0, 60 * S) is None


def test_the_same_segment_again_replaces_the_first() -> None:
    rings = filled(segment(0), segment(0, quality=0.3))
    assert [p.quality for p in rings.primitives()] == [pytest.approx(0.3)]


@given(st.permutations(range(12)))
def test_the_order_of_insertion_is_forgotten(order: list[int]) -> None:
    assert filled(*map(segment, order)).to_state() == filled(*map(segment, range(12))).to_state()


def test_pruning_keeps_what_ends_later() -> None:
    rings = filled(*(segment(k, signal=signal) for k in range(10) for signal in ("ecg", "resp")))
    rings.prune(80 * S)
    assert starts(rings.view("resp", 0, 100 * S)) == [8, 9]
    assert starts(rings.view("ecg", 0, 100 * S)) == list(range(2, 10))  # the rhythm before


def test_a_signal_is_remembered_when_its_segments_are_not() -> None:
    rings = filled(segment(3), segment(2, signal="ppg"))
    rings.prune(1000 * S)
    assert rings.signals() == ("ecg", "ppg")
    assert rings.first_us("ecg") == 30 * S
    assert rings.first_us("resp") is None
    assert rings.view("ecg", 0, 100 * S) is None


def test_memory_is_bounded_without_pruning() -> None:
    rings = filled(*(segment(k) for k in range(3 * MOST_SEGMENTS)))
    found = starts(rings.view("ecg", 0, 10**12))
    assert found == list(range(2 * MOST_SEGMENTS, 3 * MOST_SEGMENTS))


def test_the_device_that_covers_more_of_the_window_is_used() -> None:
    rings = filled(*(segment(k, "a") for k in range(3)), *(segment(k, "b") for k in range(2, 8)))
    assert device(rings.view("ecg", 0, 60 * S)) == "b"
    assert device(rings.view("ecg", 0, 40 * S)) == "a"


def test_segments_that_failed_do_not_count_for_a_device() -> None:
    noise = [segment(k, "a", reason=FeatureReason.NOISE) for k in range(6)]
    rings = filled(*noise, segment(0, "b"))
    assert device(rings.view("ecg", 0, 60 * S)) == "b"


def test_of_equal_devices_the_lower_name_is_used() -> None:
    rings = filled(*(segment(k, device) for device in ("b", "a") for k in range(6)))
    assert device(rings.view("ecg", 0, 60 * S)) == "a"


def test_a_device_that_failed_says_more_than_one_that_was_silent() -> None:
    rings = filled(segment(50, "a"), segment(0, "b", reason=FeatureReason.FLAT))
    assert device(rings.view("ecg", 0, 60 * S)) == "b"


def test_the_better_lead_is_used() -> None:
    leads = [segment(k, signal="ecg_v", quality=0.95) for k in range(6)]
    found = filled(*(segment(k) for k in range(6)), *leads).view("ecg", 0, 60 * S)
    assert found is not None
    assert (found.signal, starts(found)) == ("ecg_v", list(range(6)))


def test_a_lead_tells_when_the_ecg_began() -> None:
    assert filled(segment(3), segment(1, signal="ecg_v")).first_us("ecg") == 10 * S


def test_state_round_trips_through_messagepack_exactly() -> None:
    odd = segment(
        7, "b", "ppg", coverage=1 / 3, reason=FeatureReason.CLIP, values=np.array([-0.0, 0.5])
    )
    rings = filled(segment(1), segment(2), odd)
    rings.prune(15 * S)
    packed = msgspec.msgpack.encode(rings.to_state())
    back = Rings.from_state(msgspec.msgpack.decode(packed))
    assert msgspec.msgpack.encode(back.to_state()) == packed
    for a, b in zip(*(list(one.primitives())[-1] for one in (rings, back)), strict=True):
        if isinstance(a, np.ndarray):
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
        else:
            assert (type(a), a) == (type(b), b)


def test_restored_rings_go_on_like_the_first() -> None:
    rings = filled(*(segment(k) for k in range(5)))
    back = Rings.from_state(rings.to_state())
    for one in (rings, back):
        one.insert(segment(5))
        one.insert(segment(2, quality=0.1))
        one.prune(20 * S)
    assert back.to_state() == rings.to_state()


def test_a_long_stretch_moves_through_the_same_room() -> None:
    rings = Rings()
    for k in range(1000):
        rings.insert(segment(k, signal="resp"))
        rings.prune((k - 20) * 10 * S)
    found = rings.view("resp", 0, 10**12)
    assert starts(found) == list(range(979, 1000))
    ring = rings._rings["resp"]["d"]._fresh
    assert ring._rows.__alloc__() < 2 * 21 * ring.shape.row_bytes
    assert ring._events.__alloc__() < 2 * 42 * ring.shape.event_bytes


def faded(name: str, k: int) -> Primitives:
    """A segment with every number its kind has."""
    kind = shape_of(name)
    return segment(k, signal=name)._replace(
        extra=np.full((2, kind.n_extra), k, np.float32),
        stats=np.arange(kind.n_stats, dtype=np.float32) + k,
    )


@pytest.mark.parametrize("name", ["ecg", "ppg", "acc"])
def test_old_segments_keep_what_long_windows_read(name: str) -> None:
    rings, kind = filled(*(faded(name, k) for k in range(30))), shape_of(name)
    rings.prune(0)  # the window that ended after 300 s
    found = rings.view(name, 0, 300 * S)
    assert found is not None
    stats = found.kept.stats
    lasting = sorted(kind.lasting_stats or ())
    assert not np.isnan(stats[-6:]).any(), "the last minute is whole"
    assert np.isnan(np.delete(stats[:-6], lasting, axis=1)).all()
    assert (stats[:-6, lasting] == np.array(lasting) + np.arange(24)[:, None]).all()
    assert found.kept.extra.shape == (60, kind.n_extra)
    assert (
        found.kept.values.tolist()
        == filled(*(faded(name, k) for k in range(30))).view(name, 0, 300 * S).kept.values.tolist()
    )  # type: ignore[union-attr]


def test_a_late_segment_among_old_ones_fades_like_them() -> None:
    order = [k for k in range(30) if k != 4]
    rings = filled(*(faded("ppg", k) for k in order))
    rings.prune(0)
    rings.insert(faded("ppg", 4))
    whole = filled(*(faded("ppg", k) for k in range(30)))
    whole.prune(0)
    assert rings.to_state() == whole.to_state()


@pytest.mark.parametrize("start", range(0, 300, 10))
def test_any_view_over_the_border_is_in_order(start: int) -> None:
    rings = filled(*(faded("ecg", k) for k in range(30)))
    rings.prune(0)
    for stop in range(start, 310, 10):
        assert starts(rings.view("ecg", start * S, stop * S)) == list(
            range(start // 10, stop // 10)
        )


def test_faded_rings_round_trip() -> None:
    rings = filled(*(faded(name, k) for name in ("ecg", "ppg", "acc") for k in range(30)))
    rings.prune(50 * S)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(rings.to_state()))
    back = Rings.from_state(state)
    for one in (rings, back):
        one.insert(faded("acc", 31))
        one.prune(100 * S)
    assert back.to_state() == rings.to_state()


def shortened(state: list[Any], part: int) -> list[Any]:
    return [*state[:3], [p[:-1] if i == part else p for i, p in enumerate(state[3])]]


@pytest.mark.parametrize(
    "change",
    [
        lambda state: None,
        lambda state: [],
        lambda state: [2, *state[1:]],
        lambda state: [*state[:2], [], state[3]],
        lambda state: [*state[:2], [["ecg"]], state[3]],
        lambda state: [*state[:2], [["ppg", "d"]], state[3]],
        lambda state: [*state[:3], []],
        lambda state: [*state[:3], [[1, 1], *state[3][1:]]],
        *(partial(shortened, part=part) for part in range(14)),
    ],
)
def test_state_that_cannot_be_read_is_refused(change: Callable[[Any], object]) -> None:
    state = filled(faded("ecg", 1), faded("ecg", 2)).to_state()
    with pytest.raises(SnapshotMismatch):
        Rings.from_state(change(state))
