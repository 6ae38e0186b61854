"""Sources fused and followed."""

from __future__ import annotations

import numpy as np
import pytest

from features.breathing.series import NO_ECG, NO_PULSES
from features.breathing.tracking import fresh_state
from features.breathing.windows import (
    Evidence,
    Fused,
    RespSource,
    Windows,
    evidence_of,
    follow,
    fuse,
)
from tests.features.breathing.kit import Body, only, windows


def _fused(asked: Windows) -> Fused:
    return fuse(evidence_of(asked), fresh_state(len(asked.wave)), asked.end_us)


@pytest.mark.parametrize("per_min", [8, 10, 14, 18, 24, 30, 36])
@pytest.mark.parametrize("wear", ["ecg", "ppg", "ecg ppg", "resp", "resp ecg ppg"])
def test_clear_breathing_is_found_in_any_signals(per_min: float, wear: str) -> None:
    heart = max(70.0, 2.6 * per_min)
    fused = _fused(windows([Body(per_min, heart)] * 20, wear))
    assert np.median(fused.rate_per_min) == pytest.approx(per_min, abs=0.5)
    assert np.mean(np.abs(fused.rate_per_min - per_min) <= 2) >= 0.9


@pytest.mark.parametrize(
    ("wear", "source"),
    [
        ("ecg", RespSource.ECG),
        ("ppg", RespSource.PPG),
        ("ecg ppg", RespSource.ECG_PPG),
        ("resp ecg ppg", RespSource.WAVE),
        ("", RespSource.NONE),
    ],
)
def test_the_source_is_named(wear: str, source: RespSource) -> None:
    fused = _fused(windows([Body()] * 3, wear))
    assert fused.source.tolist() == [source] * 3
    assert np.isnan(fused.rate_per_min).all() == (source == RespSource.NONE)


def test_the_chest_wave_wins_where_it_can_be_counted_and_only_there() -> None:
    asked = windows([Body(12)] * 2, "resp ecg ppg")
    t = np.arange(240) / 4
    asked.wave[0] = np.sin(2 * np.pi * 20 / 60 * t)
    asked.wave[1] = np.random.default_rng(0).normal(size=240)
    fused = _fused(asked)
    assert fused.source.tolist() == [RespSource.WAVE, RespSource.ECG_PPG]
    assert fused.rate_per_min == pytest.approx([20, 12], abs=0.5)


def test_hearts_without_breathing_are_seldom_believed() -> None:
    fused = _fused(windows([Body(depth=0.0, noise=0.1)] * 200))
    assert np.median(fused.quality) < 0.45
    assert np.mean(fused.quality >= 0.5) < 0.2


def test_noise_in_place_of_a_chest_wave_is_not_believed() -> None:
    asked = windows([Body()] * 300, "")
    asked.wave[:] = np.random.default_rng(0).normal(size=asked.wave.shape)
    assert np.mean(_fused(asked).quality >= 0.5) < 0.01
    asked.wave[:] = np.cumsum(asked.wave, axis=1)
    assert np.mean(_fused(asked).quality >= 0.5) < 0.1


def test_a_constant_heart_says_nothing() -> None:
    """Paced, with beats of one size: no source varies."""
    asked = windows([Body(noise=0.0, depth=0.0)], "ecg")
    ecg = asked.ecg
    time_us = np.arange(ecg.time_us.size) * 800_000
    asked = asked._replace(ecg=ecg._replace(time_us=time_us))
    assert np.isnan(_fused(asked).rate_per_min[0])


def test_one_height_a_beat_is_enough_of_the_ecg() -> None:
    asked = windows([Body()] * 10, "ecg")
    ecg = asked.ecg
    single = ecg._replace(peak=ecg.peak - ecg.trough, trough=np.zeros_like(ecg.peak))
    fused = _fused(asked._replace(ecg=single))
    assert np.median(fused.rate_per_min) == pytest.approx(15, abs=0.5)


def test_size_and_unit_of_the_signals_do_not_matter() -> None:
    asked = windows([Body()] * 5)
    scaled = asked._replace(
        ecg=asked.ecg._replace(peak=asked.ecg.peak * 1e3, trough=asked.ecg.trough * 1e3),
        ppg=asked.ppg._replace(baseline=asked.ppg.baseline * -7 + 1e4),
    )
    np.testing.assert_allclose(_fused(scaled).rate_per_min, _fused(asked).rate_per_min, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_does_not_depend_on_its_neighbours(size: int) -> None:
    bodies = [Body(8 + i % 25, 60 + i % 50, 0.05 * (i % 3), 0.05) for i in range(size)]
    asked = windows(bodies, "resp ecg ppg")
    asked.wave[::3] = np.nan
    asked.ecg.peak[::17] = np.nan
    together, state = evidence_of(asked), fresh_state(size)
    fused = fuse(together, state, asked.end_us)
    for i in range(0, size, max(1, size // 20)):
        mine = only(asked, i)
        alone = evidence_of(mine)
        _same_bits(alone, together, i)
        one = fuse(alone, fresh_state(1), mine.end_us)
        for part, whole in zip(one, fused, strict=True):
            np.testing.assert_array_equal(part[0], whole[i])


def _same_bits(alone: Evidence, together: Evidence, i: int) -> None:
    for part, whole in zip(alone, together, strict=True):
        pairs = zip(part, whole, strict=True) if isinstance(part, tuple) else [(part, whole)]
        for one, all_rows in pairs:
            np.testing.assert_array_equal(one[0], all_rows[i])


def test_following_one_patient_equals_window_after_window() -> None:
    asked = windows([Body(15, noise=0.3)] * 6)
    end_us = 60_000_000 + 10_000_000 * np.arange(6)
    whole = follow(evidence_of(asked), fresh_state(1), end_us)
    state = fresh_state(1)
    for i in range(6):
        mine = only(asked, i)
        step = fuse(evidence_of(mine), state, end_us[i : i + 1])
        state = step.state
        assert step.rate_per_min[0] == whole.rate_per_min[i]
        np.testing.assert_array_equal(step.state[0], whole.state[i])


def test_no_windows_give_no_rates() -> None:
    empty = Windows(np.empty((0, 240)), NO_ECG, NO_PULSES, np.empty(0, np.intp))
    assert _fused(empty).rate_per_min.size == 0
