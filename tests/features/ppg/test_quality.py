"""PPG quality: noise, movement and broken sensors fall below the gate, disease does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.feature import FeatureReason
from features.ppg.quality import GATE, shares
from features.ppg.segment import analyse_ppg

Floats = NDArray[np.float64]
FS = 125.0
N = 1750  # 14 s


def _rows(x: Floats) -> Floats:
    """The 14-s segments of a recording, one after the other."""
    return x[: x.size // N * N].reshape(-1, N)


@pytest.mark.parametrize("per_min", [40, 75, 120, 180])
def test_a_clean_pulse_passes_at_any_rate(steady: Callable[..., Any], per_min: float) -> None:
    quick = min(1.0, (60 / per_min / 0.8) ** 0.5)
    made = steady(60.0 / quick, FS * quick, per_min * quick, 0.35, 0.01)
    found = analyse_ppg(_rows(made.x), FS)
    assert found.quality.min() > 0.9
    assert np.all(found.reason == FeatureReason.OK)
    assert found.bsqi.min() > 0.9
    assert found.template_corr.min() > 0.95


def test_atrial_fibrillation_passes(fibrillating: Callable[..., Any]) -> None:
    made = [fibrillating(seed=seed).x for seed in range(10)]
    score = analyse_ppg(np.concatenate([_rows(x) for x in made]), FS).quality
    assert np.mean(score >= GATE) > 0.9


def test_bigeminy_passes(steady: Callable[..., Any]) -> None:
    """Every second pulse comes early and is half as high."""
    slow = steady(60.0, FS, 38.0, 0.3, 0.0)
    early = np.roll(slow.x - 2.0, round(0.62 * FS)) * 0.5
    score = analyse_ppg(_rows(slow.x + early), FS).quality
    assert np.all(score >= GATE)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("fs_hz", [25.0, 64.0, 125.0, 250.0])
def test_noise_of_any_colour_is_below_the_gate(
    coloured: Callable[..., Floats], slope: float, fs_hz: float
) -> None:
    found = analyse_ppg(coloured(64, round(14 * fs_hz), slope), fs_hz)
    assert found.quality.max() < GATE
    assert np.all(found.reason != FeatureReason.OK)


def test_noise_in_the_band_of_the_pulse_is_below_the_gate(
    coloured: Callable[..., Floats],
) -> None:
    spectrum = np.fft.rfft(coloured(100, N, 2.0))
    hz = np.fft.rfftfreq(N, 1 / FS)
    spectrum[:, (hz < 0.5) | (hz > 4)] = 0
    score = analyse_ppg(np.fft.irfft(spectrum, N), FS).quality
    assert np.mean(score >= GATE) <= 0.02


@pytest.mark.parametrize("gain", [1e-4, 1e5])
def test_the_unit_plays_no_part(steady: Callable[..., Any], gain: float) -> None:
    rows = _rows(steady().x)
    np.testing.assert_allclose(
        analyse_ppg(gain * rows, FS).quality, analyse_ppg(rows, FS).quality, atol=1e-6
    )


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.full(N, np.nan), FeatureReason.GAP),
        (np.full(N, 1.5), FeatureReason.FLAT),
        (np.zeros(N), FeatureReason.FLAT),
        (np.where(np.arange(N) == 800, 5.0, 1.0), FeatureReason.FLAT),
        (np.empty(0), FeatureReason.GAP),
    ],
    ids=["gap", "constant", "zero", "spike", "empty"],
)
def test_a_row_without_a_pulse_says_why(x: Floats, reason: FeatureReason) -> None:
    found = analyse_ppg(x[None], FS)
    assert found.quality[0] < GATE
    assert found.reason[0] == reason
    assert found.pulses.row.size == 0


def test_a_drift_is_no_pulse() -> None:
    assert analyse_ppg(np.linspace(0, 1, N)[None] ** 2, FS).quality[0] < GATE


@pytest.mark.parametrize(
    ("per_min", "swing", "passes"), [(18, 2.0, True), (18, 5.0, False), (4, 20.0, False)]
)
def test_a_baseline_that_falls_faster_than_pulses_rise_is_noise(
    steady: Callable[..., Any], per_min: float, swing: float, passes: bool
) -> None:
    made = steady().x
    baseline = swing * np.sin(2 * np.pi * per_min / 60 * np.arange(made.size) / FS)
    score = analyse_ppg(_rows(made + baseline), FS).quality
    assert np.all((score >= GATE) == passes)


def test_a_wave_on_the_rails_is_clipped(steady: Callable[..., Any]) -> None:
    rows = _rows(steady().x)
    low, high = np.quantile(rows, (0.5, 0.7))
    found = analyse_ppg(rows.clip(low, high), FS)
    assert np.all(found.clip > 0.3)
    assert np.all(found.quality < GATE)
    assert np.all(found.reason == FeatureReason.CLIP)


def test_a_short_rest_without_pulses_to_compare_just_passes() -> None:
    t = np.arange(round(2.5 * FS)) / FS
    rest = np.full((1, N), np.nan)
    rest[0, : t.size] = np.exp(-0.5 * ((t - 1.0) / 0.07) ** 2)
    found = analyse_ppg(rest, FS, within=np.arange(N)[None] < 3 * FS)
    assert found.quality[0] == 0.5
    assert found.reason[0] == FeatureReason.OK


def test_shares_count_the_core_only(steady: Callable[..., Any]) -> None:
    x = steady().x[None, :N].copy()
    core = np.zeros(x.shape, np.bool_)
    core[:, 250:1500] = True
    x[0, :250] = np.nan
    x[0, 250:375] = np.nan
    usable = ~np.isnan(x)
    assert shares(x, FS, usable, core).gap[0] == pytest.approx(0.1)
    assert shares(x, FS, usable).gap[0] == pytest.approx(375 / N)
    assert shares(x, FS, usable, np.zeros_like(core)).gap[0] == 1.0


def test_a_pause_does_not_fail_the_gate(steady: Callable[..., Any]) -> None:
    """A gate that hides an arrest would be worse than none."""
    made = steady(14.0)
    t = np.arange(made.x.size) / FS
    silent = made.feet_s[(made.feet_s > 5) & (made.feet_s < 9)]
    x = made.x.copy()
    for foot in silent:
        wave = np.exp(-0.5 * ((t - foot - 0.15) / 0.07) ** 2)
        x -= wave + 0.35 * np.exp(-0.5 * ((t - foot - 0.4) / 0.08) ** 2)
    found = analyse_ppg(x[None], FS)
    assert found.quality[0] >= GATE
    assert np.diff(found.pulses.position).max() > 3.5 * FS


def test_confidence_is_high_on_clean_pulses_and_low_on_noise(
    steady: Callable[..., Any], coloured: Callable[..., Floats]
) -> None:
    clean = analyse_ppg(_rows(steady().x), FS).confidence
    noise = analyse_ppg(coloured(20, N, 1.0), FS).confidence
    assert np.median(clean) > 0.9
    assert np.median(noise) < 0.3
    assert np.all((clean >= 0) & (clean <= 1))


@pytest.mark.data
def test_the_gate_keeps_bidmc(bidmc: list[Any]) -> None:
    """Bedside recordings at rest: nearly everything is usable."""
    score = []
    for record in bidmc:
        x = record.signals["ppg"]
        rows = np.stack([x[i : i + N] for i in range(0, x.size - N, 1250)])
        score.append(analyse_ppg(rows, record.fs_hz).quality)
    assert np.mean(np.concatenate(score) >= GATE) > 0.97
