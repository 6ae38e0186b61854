"""Pulse rate from the spectrum: the cadence is told from the pulse where an accelerometer helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ppg.motion import N_RATES, segment_rates, track

Floats = NDArray[np.float64]
FS, ACC_HZ = 64.0, 32.0
N, M = 896, 448


def _walk(pulse_hz: float, cadence_hz: float, strength: float, seed: int) -> tuple[Floats, Floats]:
    """A weak pulse under steps that shake the sensor, and |a| of the same steps."""
    rng = np.random.default_rng(seed)
    t, u = np.arange(N) / FS, np.arange(M) / ACC_HZ
    phase, lag = rng.uniform(0, 6, 2)
    pulse = np.sin(2 * np.pi * pulse_hz * t + phase) + 0.4 * np.sin(4 * np.pi * pulse_hz * t)
    steps = lambda at: (  # noqa: E731
        np.sin(2 * np.pi * cadence_hz * at) + 0.5 * np.sin(4 * np.pi * cadence_hz * at + 1)
    )
    x = pulse + strength * steps(t + lag / 10) + rng.normal(0, 0.2, N)
    return x, 1.0 + 0.3 * steps(u) + rng.normal(0, 0.03, M)


def _rates(pulse_hz: float, cadence_hz: float, strength: float, with_acc: bool) -> Any:
    made = [_walk(pulse_hz, cadence_hz, strength, seed) for seed in range(6)]
    x, acc = (np.stack(column) for column in zip(*made, strict=True))
    return segment_rates(x, FS, acc if with_acc else None, ACC_HZ)


@pytest.mark.parametrize(
    ("pulse_hz", "cadence_hz"), [(1.3, 1.8), (2.2, 1.7), (2.0, 2.6), (1.6, 1.2), (2.9, 1.25)]
)
def test_the_cadence_is_not_taken_for_the_pulse(pulse_hz: float, cadence_hz: float) -> None:
    rates = _rates(pulse_hz, cadence_hz, 2.0, with_acc=True)
    found = track(rates.bpm[None], rates.weight[None])
    assert found.bpm[0] == pytest.approx(60 * pulse_hz, abs=3)
    assert np.all(rates.motion > 0.3)
    blind = _rates(pulse_hz, cadence_hz, 2.0, with_acc=False)
    assert track(blind.bpm[None], blind.weight[None]).bpm[0] == pytest.approx(
        60 * cadence_hz, abs=6
    )


@pytest.mark.parametrize("per_min", [40, 60, 90, 150, 220])
@pytest.mark.parametrize("fs_hz", [25.0, 64.0, 125.0])
def test_a_clean_pulse_has_its_rate(
    steady: Callable[..., Any], per_min: float, fs_hz: float
) -> None:
    quick = min(1.0, (60 / per_min / 0.8) ** 0.5)
    x = steady(14.5 / quick, fs_hz * quick, per_min * quick, 0.3, 0.0).x[: round(14 * fs_hz)]
    rates = segment_rates(x[None], fs_hz, None, 0.0)
    assert rates.bpm[0, 0] == pytest.approx(per_min, abs=2.5)
    assert rates.motion[0] == 0.0


def test_a_hand_that_fidgets_takes_nothing_out(steady: Callable[..., Any]) -> None:
    """Movement without a rhythm says nothing about any one frequency."""
    x = steady(14.0, FS).x[None]
    fidget = 1.0 + np.random.default_rng(0).normal(0, 0.3, (1, M))
    rates = segment_rates(x, FS, fidget, ACC_HZ)
    assert rates.motion[0] < 0.15
    assert rates.bpm[0, 0] == pytest.approx(75, abs=3)


def test_rows_with_gaps_offer_nothing_and_unknown_movement_counts_as_still(
    steady: Callable[..., Any],
) -> None:
    rows = np.stack([steady(14.0, FS).x] * 3)
    rows[1, 100] = np.nan
    acc = np.ones((3, M))
    acc[2, 5] = np.nan
    rates = segment_rates(rows, FS, acc, ACC_HZ)
    assert np.all(np.isnan(rates.bpm[1]))
    assert np.all(rates.weight[1] == 0)
    np.testing.assert_array_equal(rates.bpm[0], rates.bpm[2])


def test_a_track_goes_over_a_missing_segment_and_ignores_a_jump() -> None:
    bpm = np.full((1, 6, N_RATES), np.nan)
    weight = np.zeros((1, 6, N_RATES))
    bpm[0, :, 0], weight[0, :, 0] = [80, 81, np.nan, 82, 140, 83], [0.6, 0.6, 0, 0.6, 0.5, 0.6]
    bpm[0, 4, 1], weight[0, 4, 1] = 82, 0.3
    found = track(bpm, weight)
    assert found.bpm[0] == pytest.approx((80 + 81 + 82 + 82 + 83) / 5)
    assert found.confidence[0] == pytest.approx((4 * 0.6 + 0.3) / 6)


def test_windows_without_segments_have_no_rate() -> None:
    found = track(np.full((2, 6, N_RATES), np.nan), np.zeros((2, 6, N_RATES)))
    assert np.all(np.isnan(found.bpm))
    assert np.all(found.confidence == 0)


def test_a_window_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    bpm, weight = rng.uniform(40, 200, (64, 6, N_RATES)), rng.random((64, 6, N_RATES)) / 5
    bpm[rng.random(bpm.shape) < 0.2] = np.nan
    together = track(bpm, weight)
    for i in (0, 31, 63):
        alone = track(bpm[i : i + 1], weight[i : i + 1])
        assert alone.bpm[0] == together.bpm[i]
        assert alone.confidence[0] == together.confidence[i]
