"""Signal quality: bad signals are flagged by name, good ones are kept however small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.quality import GATE, signal_quality

Floats = NDArray[np.float64]
FS = 125.0
BEATS = np.arange(0.5, 11.6, 0.85)


@pytest.fixture(scope="module")
def waves(ecg_wave: Callable[..., Floats], ppg_wave: Callable[..., Floats]) -> dict[str, Floats]:
    return {
        "ecg": ecg_wave(1500, FS, BEATS),
        "ppg": ppg_wave(1500, FS, BEATS),
        "resp": np.sin(2 * np.pi * 0.25 * np.arange(1500) / FS),
    }


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp"])
def test_a_clean_signal_has_nothing_wrong(waves: dict[str, Floats], kind: str) -> None:
    score, reasons = signal_quality(waves[kind], FS, kind)
    assert score > 0.8
    assert reasons == ()


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp"])
@pytest.mark.parametrize("gain", [1e-4, 1e4])
def test_amplitude_plays_no_part(waves: dict[str, Floats], kind: str, gain: float) -> None:
    score, reasons = signal_quality(gain * waves[kind], FS, kind)
    assert score == pytest.approx(signal_quality(waves[kind], FS, kind)[0], abs=1e-6)
    assert reasons == ()


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp"])
@pytest.mark.parametrize("seed", range(20))
def test_white_noise_is_below_the_gate(kind: str, seed: int) -> None:
    score, reasons = signal_quality(np.random.default_rng(seed).normal(0, 1, 1500), FS, kind)
    assert score < GATE
    assert "noise" in reasons


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp"])
@pytest.mark.parametrize("level", [0.0, 3.3])
def test_a_flat_line_is_flat(kind: str, level: float) -> None:
    assert signal_quality(np.full(1500, level), FS, kind) == (0.0, ("flat",))


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp"])
def test_a_missing_signal_is_a_gap(kind: str) -> None:
    assert signal_quality(np.full(1500, np.nan), FS, kind) == (0.0, ("gap",))
    assert signal_quality(np.empty(0), FS, kind) == (0.0, ("gap",))


def test_half_a_gap_halves_the_score(waves: dict[str, Floats]) -> None:
    holed = waves["ecg"].copy()
    holed[750:] = np.nan
    score, reasons = signal_quality(holed, FS, "ecg")
    assert 0.4 < score <= 0.5
    assert reasons == ("gap",)


@pytest.mark.parametrize("kind", ["ecg", "ppg"])
def test_a_wave_cut_off_at_the_rails_is_clipped(waves: dict[str, Floats], kind: str) -> None:
    x = waves[kind]
    low, high = np.quantile(x, (0.35, 0.65))
    score, reasons = signal_quality(x.clip(low, high), FS, kind)
    assert "clip" in reasons
    assert score < 0.5


def test_bigeminy_is_physiology_and_not_noise(ecg_wave: Callable[..., Floats]) -> None:
    normal, early = np.arange(0.5, 11, 1.7), np.arange(1.1, 11, 1.7)
    x = ecg_wave(1500, FS, normal)
    for beat in early:  # wide and inverted
        x -= 1.5 * np.exp(-0.5 * ((np.arange(1500) / FS - beat) / 0.05) ** 2)
    score, reasons = signal_quality(x, FS, "ecg")
    assert score > GATE
    assert reasons == ()


def test_mains_hum_does_not_condemn_an_ecg(waves: dict[str, Floats]) -> None:
    hum = 0.3 * np.sin(2 * np.pi * 50 * np.arange(1500) / FS)
    assert signal_quality(waves["ecg"] + hum, FS, "ecg")[0] > GATE


@pytest.mark.parametrize("kind", ["ecg", "ppg", "resp", "acc", "scalar"])
@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 0.01, 1.0, 25.0, 2000.0])
@pytest.mark.parametrize("n", [1, 2, 50, 3000])
def test_no_samples_raise(kind: str, fs_hz: float, n: int) -> None:
    rng = np.random.default_rng(n)
    for x in (np.zeros(n), np.full(n, np.inf), rng.normal(size=n) * 1e300, rng.random(n) < 0.5):
        assert 0 <= signal_quality(x, fs_hz, kind)[0] <= 1


@pytest.mark.parametrize(
    ("kind", "number", "impossible"),
    [
        ("spo2", 97.0, 0.0),
        ("spo2", 97.0, 127.0),
        ("temp", 36.6, -40.0),
        ("eda", 2.0, 0.0),
        ("rr", 800.0, 65_535.0),
        ("acc", 1.0, 100.0),
    ],
)
def test_a_number_no_sensor_can_have_measured_is_a_gap(
    kind: str, number: float, impossible: float
) -> None:
    assert signal_quality(np.full(60, number), 1.0, kind) == (1.0, ())
    assert signal_quality(np.full(60, impossible), 1.0, kind) == (0.0, ("gap",))
    half = np.repeat([number, impossible], 30)
    assert signal_quality(half, 1.0, kind) == (0.5, ("gap",))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="eeg"):
        signal_quality(np.zeros(100), FS, "eeg")
