"""Damaged recordings cut, analysed and made into windows: the true rate or none, with a reason."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import analyse
from features.catalog import INDEX, FeatureReason
from features.extract import extract
from features.memory import Memory
from features.signals import SIGNALS
from streams.segments import Segment
from streams.windows import Window
from tests.features.damage_kit import DAMAGES, FS, N, truth_s

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
Cut = Callable[..., list[Segment]]
BOTH = pytest.mark.parametrize("signal", ["ecg", "ppg"])


@pytest.fixture(scope="module")
def waves(ecg_wave: Wave, ppg_wave: Wave) -> dict[str, Floats]:
    """60 s of each signal with the same beats."""
    return {"ecg": ecg_wave(N, FS, truth_s()), "ppg": ppg_wave(N, FS, truth_s())}


def _row(cut: Cut, x: NDArray[np.generic], signal: str, fs_hz: float = FS) -> dict[str, float]:
    """Value and reason of the rate of one 60 s window that has been cut, analysed, extracted."""
    memory = Memory()
    for primitives in analyse(cut(x, fs_hz, signal, SIGNALS[signal].context_s)):
        memory.rings.insert(primitives)
    batch = extract([(memory, Window("p", "60s", 0, 60_000_000, 60_000_000))])
    j = INDEX["ecg_hr_bpm" if signal == "ecg" else "ppg_pulse_rate_bpm"]
    return {"value": float(batch.value[0, j]), "reason": int(batch.reason[0, j])}


@BOTH
@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_window_has_the_true_rate_or_none(
    waves: dict[str, Floats], cut: Cut, signal: str, case: str
) -> None:
    x = waves[signal].copy()
    DAMAGES[case].apply(x)
    row = _row(cut, x.clip(-3e38, 3e38), signal)
    if math.isnan(row["value"]):
        assert row["reason"] != FeatureReason.OK
    else:
        assert row["value"] == pytest.approx(60 / np.diff(truth_s()).mean(), abs=1.5)


@BOTH
@pytest.mark.parametrize("what", ["noise", "drift", "zeros", "nothing", "absurd"])
def test_a_window_without_a_heart_has_no_rate_and_says_why(
    cut: Cut, signal: str, what: str
) -> None:
    rng = np.random.default_rng(5)
    x = {
        "noise": rng.normal(size=N),
        "drift": np.cumsum(rng.normal(size=N)),
        "zeros": np.zeros(N),
        "nothing": np.full(N, np.nan),
        "absurd": rng.choice([np.inf, -np.inf, 1e38, np.nan], N),
    }[what]
    row = _row(cut, x, signal)
    assert math.isnan(row["value"])
    assert row["reason"] != FeatureReason.OK


@BOTH
@pytest.mark.parametrize("per_min", [20, 45, 200, 260])
def test_the_extremes_of_life_are_reported_not_hidden(
    ecg_wave: Wave, ppg_wave: Wave, cut: Cut, signal: str, per_min: int
) -> None:
    at = np.arange(0.3, 59.9, 60 / per_min)
    narrow = min(1.0, 60 / per_min / 0.8)
    n = N if signal == "ecg" else round(N / narrow)
    made = {"ecg": ecg_wave, "ppg": ppg_wave}[signal](n, FS, at if signal == "ecg" else at / narrow)
    x = made if signal == "ecg" else np.interp(np.arange(N) / narrow, np.arange(n), made)
    assert _row(cut, x, signal)["value"] == pytest.approx(per_min, rel=0.02)
