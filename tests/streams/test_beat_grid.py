from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.beat_grid import GRID_HZ, on_grid

SLOT_US = 125_000


def test_every_interval_is_found_in_the_slot_of_its_beat() -> None:
    rr_ms = np.array([812.5, 790.25, 801.0])
    times_us = 1_700_000_000_000_000 + np.cumsum(rr_ms * 1000).astype(np.int64)
    start_us, samples = on_grid(times_us, rr_ms)
    held = np.flatnonzero(~np.isnan(samples))
    assert samples[held].tolist() == rr_ms.tolist()
    slot_us = start_us + held * round(1e6 / GRID_HZ)
    assert ((times_us - slot_us >= 0) & (times_us - slot_us < SLOT_US)).all()


@pytest.mark.parametrize("bad_ms", [0.0, 65535.0, -800.0, np.nan, np.inf, 150.0])
def test_what_is_no_interval_leaves_its_slot_empty(bad_ms: float) -> None:
    start_us, samples = on_grid(np.array([0, 800_000, 1_600_000]), np.array([800, bad_ms, 800]))
    assert start_us == 0
    assert np.flatnonzero(~np.isnan(samples)).tolist() == [0, 12]


def test_nothing_gives_nothing() -> None:
    assert on_grid(np.empty(0, np.int64), np.empty(0))[1].size == 0


@given(st.lists(st.floats(200, 2000), min_size=1, max_size=50))
def test_the_order_does_not_matter(rr: list[float]) -> None:
    rr_ms = np.array(rr)
    times_us = np.cumsum(rr_ms * 1000).astype(np.int64)
    order = np.random.default_rng(len(rr)).permutation(rr_ms.size)
    one, other = on_grid(times_us, rr_ms), on_grid(times_us[order], rr_ms[order])
    assert one[0] == other[0]
    assert one[1].tobytes() == other[1].tobytes()
