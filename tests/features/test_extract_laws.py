"""What must hold of drawing windows whatever the primitives are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalog import CATALOG, FeatureReason
from features.extract import extract
from features.feature import VALUED
from features.memory import Memory
from features.primitives import Primitives
from tests.features.segment_kit import CORE, OK, S, beats, bits, look, rings, segments, ward, window


def test_a_batch_gives_the_bits_of_its_rows_alone() -> None:
    rows = [
        (ward(seed), window(end, name))
        for seed in range(20)
        for end, name in ((60, "60s"), (110, "60s"), (300, "300s"), (320, "60s"))
    ]
    rows += [(Memory(), window(60)), (rings(segments(beats(75)[:2])), window(60))]
    together = bits(extract(rows))
    assert together == [bits(extract([row]))[0] for row in rows]
    assert together[::-1] == bits(extract(rows[::-1]))


def test_shifting_time_by_whole_segments_changes_no_bit() -> None:
    shift_us = 179_012_345 * CORE
    here, there = ward(3), Memory()
    for p in here.rings.primitives():
        moved = p._replace(
            start_us=p.start_us + shift_us,
            end_us=p.end_us + shift_us,
            times_us=p.times_us + shift_us,
        )
        there.rings.insert(moved)
    for at in (window(60), window(300, "300s")):
        later = at._replace(start_us=at.start_us + shift_us, end_us=at.end_us + shift_us)
        assert bits(extract([(here, at)])) == bits(extract([(there, later)]))


@pytest.mark.parametrize("gain", [0.001, 1000.0])
def test_the_gain_of_a_wave_changes_nothing(gain: float) -> None:
    plain, louder = ward(4), Memory()
    for p in plain.rings.primitives():
        if p.signal in ("ecg", "ppg", "resp"):
            louder.rings.insert(p._replace(values=p.values * gain))
    for name in ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "resp_wave_rate_per_min"):
        one, other = (look(of, name, window(120)) for of in (plain, louder))
        assert one[0] == pytest.approx(other[0], rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_segments_changes_nothing(seed: int) -> None:
    here, there = ward(seed), Memory()
    found = list(here.rings.primitives())
    for i in np.random.default_rng(seed).permutation(len(found)):
        there.rings.insert(found[i])
    rows = [window(120), window(300, "300s")]
    assert bits(extract([(here, w) for w in rows])) == bits(extract([(there, w) for w in rows]))


@pytest.mark.parametrize("end_s", [60, 95, 200])
def test_nothing_after_the_window_changes_it(end_s: int) -> None:
    past, full = Memory(), ward(6)
    for p in full.rings.primitives():
        if p.end_us <= end_s * S:
            past.rings.insert(p)
    at = window(end_s)
    assert bits(extract([(past, at)])) == bits(extract([(full, at)]))
    assert bits(extract([(Memory(), window(-60))])) == bits(extract([(full, window(-60))]))


def test_restored_rings_give_the_same_bits() -> None:
    one = ward(7)
    rows = [window(120), window(300, "300s")]
    again = Memory.from_state(one.to_state())
    assert bits(extract([(one, w) for w in rows])) == bits(extract([(again, w) for w in rows]))


def test_primitives_are_not_changed() -> None:
    one = ward(8)
    before = one.to_state()
    extract([(one, window(120)), (one, window(300, "300s"))])
    assert one.to_state() == before


def test_an_empty_batch_is_empty() -> None:
    batch = extract([])
    assert batch.windows == ()
    assert batch.value.shape == (0, len(CATALOG))


anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
signals = st.sampled_from(sorted({f.signal for f in CATALOG} | {"acc", "ecg_v", "other"}))


@st.composite
def any_primitives(draw: Callable[..., Any]) -> Primitives:
    n = draw(st.integers(0, 40))
    start_us = draw(st.integers(-3, 35)) * CORE + draw(st.sampled_from([0, 0, 0, 3 * S]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    times_us = start_us + rng.integers(-S, CORE + S, n)
    if draw(st.booleans()):
        times_us.sort()
    values = rng.normal(0, 1, n) * draw(st.sampled_from([1.0, 1e30, 0.0]))
    if n and draw(st.booleans()):
        values[rng.integers(n)] = draw(anything)
    reason = draw(st.sampled_from([OK, OK, OK, *FeatureReason]))
    return Primitives(
        draw(st.sampled_from("ab")), draw(signals), start_us, start_us + CORE,
        draw(anything | st.just(1.0)), draw(anything | st.just(1.0)), reason, times_us, values,
        rng.integers(0, 3, n).astype(np.int16), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(any_primitives(), max_size=40), st.integers(0, 30))
def test_whatever_primitives_hold_the_result_is_in_range_or_missing(
    made: list[Primitives], end_s: int
) -> None:
    of = rings(made)
    batch = extract([(of, window(end_s * 10)), (of, window(end_s * 10, "300s"))])
    given_one = np.isin(batch.reason, VALUED)
    assert (np.isfinite(batch.value) == given_one).all()
    assert (np.isnan(batch.value) == ~given_one).all()
    low, high = (np.array([getattr(f, side) for f in CATALOG]) for side in ("lo", "hi"))
    assert ((batch.value >= low) & (batch.value <= high))[given_one].all()
    for share in (batch.quality, batch.coverage):
        assert ((share >= 0) & (share <= 1)).all()
    assert (batch.n >= 0).all()
