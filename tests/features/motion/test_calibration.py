"""Laws of the correction of gain and offset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.motion.calibration import calibration, corrected, fresh, learned
from features.motion.epochs import epoch

GAIN, OFFSET_G = np.array([1.04, 0.97, 1.01]), np.array([0.03, -0.02, 0.05])


def rest(n: int, seed: int) -> np.ndarray:
    """`(n, 3)` still means of a device whose axes must be corrected by GAIN and OFFSET_G."""
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(n, 3))
    true /= np.sqrt((true**2).sum(axis=1, keepdims=True))
    return (true - OFFSET_G) / GAIN + rng.normal(0.0, 0.003, (n, 3))


def test_gain_and_offset_are_found_from_many_postures() -> None:
    state = fresh(1)
    for mean in rest(300, 1):
        state = learned(state, mean[None], np.ones(1))
    found = calibration(state)
    assert found.gain[0] == pytest.approx(GAIN, abs=0.003)
    assert found.offset_g[0] == pytest.approx(OFFSET_G, abs=0.003)
    assert found.epochs[0] == 300


def test_corrected_axes_at_rest_have_no_movement_left() -> None:
    state = fresh(1)
    for mean in rest(300, 3):
        state = learned(state, mean[None], np.ones(1))
    found = calibration(state)
    raw = np.repeat(rest(40, 4).T[:, :, None], 320, axis=2)
    many = found._replace(gain=found.gain.repeat(40, 0), offset_g=found.offset_g.repeat(40, 0))
    x, y, z = corrected(raw, many)
    assert epoch(*raw, 32.0).enmo_mg.max() > 50
    assert epoch(x, y, z, 32.0).enmo_mg.max() < 15


def test_a_device_never_seen_or_never_still_is_left_as_it_is() -> None:
    state = learned(fresh(2), rest(2, 2), np.array([0.0, np.nan]))
    found = calibration(state)
    assert found.gain == pytest.approx(np.ones((2, 3)))
    assert found.offset_g == pytest.approx(np.zeros((2, 3)))


def test_one_posture_alone_is_brought_to_1_g_without_wild_gains() -> None:
    state, mean = fresh(1), np.array([[0.02, -0.01, 0.95]])
    for _ in range(500):
        state = learned(state, mean, np.ones(1))
    found = calibration(state)
    corrected = found.gain * mean + found.offset_g
    assert np.sqrt((corrected**2).sum()) == pytest.approx(1.0, abs=0.002)
    assert np.abs(found.gain - 1.0).max() < 0.06


def test_missing_and_absurd_means_teach_nothing() -> None:
    state = learned(fresh(2), np.array([[np.nan, 0.0, 1.0], [0.0, 0.0, 3.0]]), np.ones(2))
    np.testing.assert_array_equal(state, fresh(2))


def test_a_row_alone_gives_the_same_bits_as_among_others() -> None:
    state = fresh(50)
    for i in range(8):
        state = learned(state, rest(50, i), np.ones(50))
    whole, alone = calibration(state), calibration(state[20:21])
    for a, b in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(a[20:21], b)


@pytest.mark.data
def test_it_brings_unseen_rest_closer_to_1_g_on_real_wrists(archive: Callable[[str], Path]) -> None:
    before, after = [], []
    for path in sorted((archive("stress_predict_e4") / "Raw_data").glob("*/ACC.csv"))[:6]:
        raw = np.loadtxt(path, delimiter=",", skiprows=2) / 64.0
        axes = raw[: len(raw) // 320 * 320].reshape(-1, 320, 3)
        epochs = epoch(axes[:, :, 0], axes[:, :, 1], axes[:, :, 2], 32.0)
        state, half = fresh(1), len(axes) // 2
        for i in range(half):
            state = learned(state, epochs.mean_g[i : i + 1], epochs.still[i : i + 1])
        found = calibration(state)
        unseen = epochs.mean_g[half:][epochs.still[half:] == 1.0]
        before.append(np.abs(np.sqrt((unseen**2).sum(axis=1)) - 1).mean())
        corrected = found.gain * unseen + found.offset_g
        after.append(np.abs(np.sqrt((corrected**2).sum(axis=1)) - 1).mean())
    assert np.mean(after) < 0.004
    assert np.mean(after) < np.mean(before) / 2
