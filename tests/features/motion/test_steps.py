"""Laws of steps."""

from __future__ import annotations

import numpy as np
import pytest

from features.motion.steps import steps_of

RNG = np.random.default_rng(5)


def gait(per_min: float, fs_hz: float, amplitude: float = 0.2, seconds: float = 10.0) -> np.ndarray:
    """Steps with a second harmonic and noise, mean removed."""
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    phase = 2 * np.pi * per_min / 60 * t + 1.0
    wave = amplitude * (np.sin(phase) + 0.4 * np.sin(2 * phase + 0.7))
    wave += RNG.normal(0, 0.01, t.size)
    return (wave - wave.mean())[None, :]


@pytest.mark.parametrize("per_min", [60, 80, 100, 120, 140, 170])
@pytest.mark.parametrize("fs_hz", [25.0, 32.0, 100.0])
def test_the_cadence_is_found_within_2_percent(per_min: float, fs_hz: float) -> None:
    found = steps_of(gait(per_min, fs_hz), fs_hz)
    assert found.steps[0] == pytest.approx(per_min / 6, abs=1.5)
    assert 60 * found.intervals[0] / found.gait_s[0] == pytest.approx(per_min, rel=0.02)


def test_noise_a_single_shake_and_rest_are_no_steps() -> None:
    shake = np.zeros((1, 320))
    shake[0, 100:120] = 0.8
    tremor = gait(300, 32.0)  # 5 Hz
    for wave in (np.zeros((1, 320)), RNG.normal(0, 0.02, (1, 320)), shake, tremor):
        assert steps_of(wave, 32.0).steps[0] == 0.0


def test_four_peaks_are_gestures_and_five_are_steps() -> None:
    bump = np.exp(-0.5 * (np.arange(-8, 9) / 3.0) ** 2)
    for count, expected in ((4, 0.0), (5, 5.0), (8, 8.0)):
        wave = np.zeros((1, 320))
        for i in range(count):
            wave[0, 50 + 18 * i : 67 + 18 * i] += 0.3 * bump
        assert steps_of(wave, 32.0).steps[0] == expected


def test_a_turn_of_rhythm_ends_a_bout_and_both_are_counted() -> None:
    wave = np.concatenate([gait(90, 32.0, seconds=5.0), gait(150, 32.0, seconds=5.0)], axis=1)
    assert steps_of(wave, 32.0).steps[0] == pytest.approx(7.5 + 12.5, abs=2)


@pytest.mark.parametrize("shape", [(0, 320), (3, 0), (3, 2)])
def test_too_little_gives_no_steps(shape: tuple[int, int]) -> None:
    assert steps_of(np.zeros(shape), 32.0).steps.tolist() == [0.0] * shape[0]
    assert steps_of(np.ones((1, 20)), 2.0).steps.tolist() == [0.0]
