"""Laws of the movement of one epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.motion.epochs import MotionEpochs, epoch
from tests.features.motion.reference import enmo_mg

RNG = np.random.default_rng(11)


def moving(n_rows: int, fs_hz: float = 32.0) -> np.ndarray:
    """Three axes of people who move a little and now and then a lot."""
    axes = RNG.normal(0.0, 0.05, (3, n_rows, round(10 * fs_hz)))
    axes[:, ::3] *= 8.0
    axes[2] += 1.0
    return axes


def test_enmo_is_the_mean_of_the_samples_enmo() -> None:
    axes = moving(9)
    expected = [enmo_mg(*axes[:, i]).mean() for i in range(9)]
    assert epoch(*axes, 32.0).enmo_mg == pytest.approx(expected, rel=1e-12)


def test_mad_mean_sd_and_extremes_are_numpys() -> None:
    axes = moving(9)
    norm = np.sqrt((axes**2).sum(axis=0))
    out = epoch(*axes, 32.0)
    mad = np.abs(norm - norm.mean(axis=1, keepdims=True)).mean(axis=1) * 1000
    assert out.mad_mg == pytest.approx(mad)
    for i, axis in enumerate(axes):
        assert out.mean_g[:, i] == pytest.approx(axis.mean(axis=1))
        assert out.sd_g[:, i] == pytest.approx(axis.std(axis=1))
        np.testing.assert_array_equal(out.low_g[:, i], axis.min(axis=1))
        np.testing.assert_array_equal(out.high_g[:, i], axis.max(axis=1))


def test_a_device_at_rest_is_still_in_any_posture() -> None:
    direction = RNG.normal(size=(3, 40, 1))
    direction /= np.sqrt((direction**2).sum(axis=0))
    out = epoch(*(direction + np.zeros(320)), 32.0)
    assert (out.still == 1.0).all()
    assert out.enmo_mg == pytest.approx(0.0, abs=1e-9)
    assert out.mad_mg == pytest.approx(0.0, abs=1e-9)
    assert (out.counts == 0.0).all()
    assert (out.steps == 0.0).all()


def test_turning_the_device_changes_no_amount_of_movement() -> None:
    axes = moving(12)
    q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    before, after = epoch(*axes, 32.0), epoch(*np.einsum("ij,jbn->ibn", q, axes), 32.0)
    for name in ("enmo_mg", "mad_mg", "counts", "steps"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-3, abs=1e-6)


def test_counts_are_zero_below_the_dead_zone_and_follow_the_amplitude_above() -> None:
    t = np.arange(320) / 32.0
    wave = np.sin(2 * np.pi * 1.0 * t)
    flat = np.zeros((1, 320))
    found = [epoch(flat, flat, 1.0 + a * wave[None], 32.0).counts[0] for a in (0.09, 0.5, 1.0)]
    assert found[0] == 0.0
    assert found[1] == pytest.approx((0.5 / np.sqrt(2) - 0.068) / 0.01664 * 100, rel=0.01)
    assert found[2] > 2 * found[1]


@pytest.mark.parametrize("fs_hz", [25.0, 32.0, 50.0, 64.0, 100.0])
def test_the_rate_hardly_changes_what_is_measured(fs_hz: float) -> None:
    t = np.arange(round(10 * fs_hz)) / fs_hz
    wave = 1.0 + 0.3 * np.sin(2 * np.pi * 1.8 * t)[None]
    out = epoch(0.1 * wave, 0.2 * wave, wave, fs_hz)
    assert out.enmo_mg[0] == pytest.approx(110.5, abs=0.1)
    assert out.mad_mg[0] == pytest.approx(195.7, abs=2.0)
    assert out.steps[0] == 18.0
    assert out.counts[0] == pytest.approx(898, rel=0.02)


def test_a_row_alone_gives_the_same_bits_as_among_others() -> None:
    axes = moving(256)
    axes[1, 3, 50:90] = np.nan
    axes[:, 4] = np.nan
    whole = epoch(*axes, 32.0)
    for rows in (slice(0, 1), slice(0, 7), slice(3, 5), slice(200, 202)):
        for part, all_rows in zip(epoch(*axes[:, rows], 32.0), whole, strict=True):
            np.testing.assert_array_equal(part, all_rows[rows])


def test_an_instant_counts_only_with_all_three_axes() -> None:
    axes = moving(1)
    cut = axes[:, :, 80:].copy()
    axes[1, 0, :80] = np.nan
    gap, rest = epoch(*axes, 32.0), epoch(*cut, 32.0)
    assert gap.coverage[0] == 0.75
    assert gap.n[0] == 240
    assert gap.enmo_mg == pytest.approx(rest.enmo_mg)
    assert gap.mean_g == pytest.approx(rest.mean_g)
    assert gap.sd_g == pytest.approx(rest.sd_g)
    assert np.isnan(gap.counts[0])


def test_what_no_sensor_measures_is_a_gap() -> None:
    axes = moving(2)
    axes[0, 0, :10], axes[0, 1, :10] = np.inf, 1e6
    out = epoch(*axes, 32.0)
    assert out.n.tolist() == [310.0, 310.0]
    assert (out.enmo_mg < 1000).all()


@pytest.mark.parametrize("shape", [(0, 320), (2, 0), (2, 1), (2, 3)])
def test_too_little_gives_nothing_and_no_error(shape: tuple[int, int]) -> None:
    out = epoch(*(np.full((3, *shape), np.nan)), 32.0)
    assert out.n.tolist() == [0.0] * shape[0]
    for name in set(MotionEpochs._fields) - {"n", "coverage"}:
        assert np.isnan(getattr(out, name)).all(), name


@pytest.mark.data
def test_people_at_a_desk_take_few_steps(archive: Callable[[str], Path]) -> None:
    folder = archive("stress_predict_e4") / "Raw_data"
    steps = hours = 0.0
    for path in sorted(folder.glob("*/ACC.csv"))[:8]:
        raw = np.loadtxt(path, delimiter=",", skiprows=2) / 64.0
        axes = raw[: len(raw) // 320 * 320].reshape(-1, 320, 3)
        out = epoch(axes[:, :, 0], axes[:, :, 1], axes[:, :, 2], 32.0)
        steps += out.steps.sum()
        hours += len(axes) / 360
    assert steps / hours < 60
