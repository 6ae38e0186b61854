"""What several families look up is found once; a part of it is what looking up the part gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from features.catalog import FeatureReason
from features.families.table import Asked, Found, look_up
from features.memory import Memory
from features.primitives import Primitives
from streams.windows import Window

S = 1_000_000
END_US = 600 * S


def segment(k: int, device_id: str, signal: str, rng: np.random.Generator) -> Primitives:
    start_us, n = k * 10 * S, int(rng.integers(0, 15))
    quality = float(rng.random())
    return Primitives(
        device_id,
        signal,
        start_us,
        start_us + 10 * S,
        float(rng.random()),
        quality,
        FeatureReason.OK if quality > 0.3 else FeatureReason.LOW_QUALITY,
        start_us + np.sort(rng.integers(0, 10 * S, n)),
        rng.random(n),
        np.sort(rng.integers(0, 3, n)).astype(np.int16),
        bool(rng.integers(2)),
        bool(rng.integers(2)),
    )


def rows_of(seed: int, devices: tuple[str, ...]) -> list[tuple[Memory, Window]]:
    """Patients with gaps, without anything in the window, before it, or at all."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(24):
        memory = Memory()
        for device_id in devices:
            there = (rng.random(62) < rng.choice([0.0, 0.1, 0.7, 1.0])) & (k % 5 != 4)
            if k % 7 == 3:
                there[54:] = False
            for at in np.flatnonzero(there).tolist():
                memory.keep(segment(at, device_id, "ecg", rng))
        rows.append((memory, Window("p", "60s", END_US - 60 * S, END_US, END_US)))
    return rows


def same(a: Any, b: Any) -> None:
    if isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.flags.c_contiguous == b.flags.c_contiguous
        assert_array_equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("devices", [("d",), ("d", "e")])
@pytest.mark.parametrize("seed", range(6))
def test_less_from_before_the_window_is_what_looking_it_up_gives(
    seed: int, devices: tuple[str, ...]
) -> None:
    rows = rows_of(seed, devices)
    asked = Asked(rows)
    for context_us in (60 * S, 10 * S, 0):
        same(tuple(look_up(asked, ["ecg"], context_us)), tuple(look_up(rows, ["ecg"], context_us)))


def test_who_has_one_source_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    whole = "features.families.table._looked_up"
    real = __import__("features.families.table", fromlist=["x"])._looked_up

    def counted(rows: Any, signals: Any, context_us: int) -> Found:
        looked.append(context_us)
        found: Found = real(rows, signals, context_us)
        return found

    monkeypatch.setattr(whole, counted)
    for devices, wanted in ((("d",), [60 * S]), (("d", "e"), [60 * S, 0])):
        asked = Asked(rows_of(1, devices))
        looked.clear()
        for context_us in (60 * S, 0, 0):
            look_up(asked, ["ecg"], context_us)
        assert looked == wanted
