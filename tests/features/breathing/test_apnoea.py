"""Pauses of breathing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.breathing.apnoea import apnoea_s

Floats = NDArray[np.float64]


def _paused(start_s: float, length_s: float, per_min: float = 15, total_s: float = 60) -> Floats:
    """Breathing that stops; a little of the heart goes on."""
    t = np.arange(round(4 * total_s)) / 4
    breathing = np.where((t >= start_s) & (t < start_s + length_s), 0.0, 1.0)
    return breathing * np.sin(2 * np.pi * per_min / 60 * t) + 0.05 * np.sin(2 * np.pi * 1.1 * t)


@pytest.mark.parametrize("length_s", [12, 20, 35])
@pytest.mark.parametrize("per_min", [8, 15, 30])
@pytest.mark.parametrize("gain", [1e-6, 1.0, -1e6])
def test_a_pause_is_as_long_as_it_is(length_s: float, per_min: float, gain: float) -> None:
    found = apnoea_s(gain * _paused(15, length_s, per_min)[None] + 3 * gain)
    # the wave passes through its turning points slowly: a pause begins and ends unsharply
    assert found[0] == pytest.approx(length_s, abs=2.0)


@pytest.mark.parametrize("length_s", [0, 4, 7])
@pytest.mark.parametrize("per_min", [6, 12, 20, 40])
def test_shorter_pauses_are_none(length_s: float, per_min: float) -> None:
    assert apnoea_s(_paused(20, length_s, per_min)[None])[0] == 0


def test_two_pauses_add_up_in_a_longer_window() -> None:
    wave = np.minimum(np.abs(_paused(60, 20, 15, 300)), 2) * np.sign(_paused(60, 20, 15, 300))
    second = _paused(200, 30, 15, 300)
    t = np.arange(1200) / 4
    both = np.where(t > 150, second, wave)
    assert apnoea_s(both[None])[0] == pytest.approx(50, abs=4)


def test_a_gap_is_no_pause() -> None:
    wave = _paused(0, 0)
    wave[60:140] = np.nan
    assert apnoea_s(wave[None])[0] == 0


@pytest.mark.parametrize(
    "x", [np.full(240, np.nan), np.zeros(240), np.full(240, 2.5), np.ones(10), np.empty(0)]
)
def test_a_wave_that_is_absent_or_never_moves_says_nothing(x: Floats) -> None:
    assert np.isnan(apnoea_s(x[None])).all()


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_does_not_depend_on_its_neighbours(size: int) -> None:
    rng = np.random.default_rng(2)
    x = np.stack([_paused(5 + i % 20, i % 30, 8 + i % 25) for i in range(size)])
    x[rng.random(x.shape) < 0.002] = np.nan
    together = apnoea_s(x)
    alone = [apnoea_s(row[None])[0] for row in x]
    np.testing.assert_array_equal(together, alone)
