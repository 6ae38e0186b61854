"""Evidence about arrhythmias: each kind is seen where it is and not where it is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.arrhythmia import Evidence, arrhythmia_evidence
from features.arrhythmia_quality import VIEWS

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
FS = 125.0
N = 7500


@pytest.fixture(scope="module")
def heard(ecg_wave: Wave, ppg_wave: Wave) -> Callable[..., Evidence]:
    """(R peak times, pulse times or None) -> evidence of one row."""

    def make(r_s: Floats, pulse_s: Floats | None = None) -> Evidence:
        ecg = ecg_wave(N, FS, r_s)[None]
        ppg = np.full((1, N), np.nan) if pulse_s is None else ppg_wave(N, FS, pulse_s)[None]
        return arrhythmia_evidence([ecg], [ppg], FS)

    return make


def _regular(per_min: float, end_s: float = 60.0, start_s: float = 0.4) -> Floats:
    return np.arange(start_s, end_s - 0.3, 60 / per_min)


def _value(evidence: Evidence, name: str) -> float:
    return float(evidence[name][0])


def test_a_steady_heart_shows_no_arrhythmia(heard: Callable[..., Evidence]) -> None:
    e = heard(_regular(75), _regular(75))
    assert _value(e, "all_pause_s_max") < 1.5
    assert _value(e, "all_fast17_max") == pytest.approx(75, abs=1)
    assert _value(e, "all_slow5_min") == pytest.approx(75, abs=1)
    assert _value(e, "ecg0_odd5") < 0.1
    assert _value(e, "ecg0_pulse0_agree") == 1.0


def test_a_pulse_refutes_the_asystole_a_loose_electrode_claims(
    heard: Callable[..., Evidence],
) -> None:
    e = heard(_regular(75, 50), _regular(75))
    assert _value(e, "ecg0_pause_s") > 9
    assert _value(e, "pulse0_pause_s") < 1.5
    assert _value(e, "all_pause_s_min") < 1.5


def test_an_asystole_is_a_pause_of_everything_up_to_the_end(
    heard: Callable[..., Evidence],
) -> None:
    e = heard(_regular(75, 53), _regular(75, 53))
    assert min(_value(e, "ecg0_pause_s"), _value(e, "pulse0_pause_s")) > 6
    assert _value(e, "pulse0_height_min") > 0.5


def test_seventeen_fast_beats_are_a_tachycardia_and_five_slow_ones_a_bradycardia(
    heard: Callable[..., Evidence],
) -> None:
    fast = np.r_[_regular(80, 48), np.arange(48.2, 59.8, 60 / 150)]
    assert _value(heard(fast), "ecg0_fast17") == pytest.approx(150, abs=2)
    slow = np.r_[_regular(80, 46), np.arange(47, 59.8, 60 / 34)]
    assert _value(heard(slow), "ecg0_slow5") == pytest.approx(34, abs=1)


def test_a_run_of_wide_fast_beats_is_odd_and_alike() -> None:
    usual, odd = _regular(75, 52), np.arange(52.5, 59, 60 / 160)
    t = np.arange(N) / FS
    x = sum(np.exp(-0.5 * ((t - b) / 0.012) ** 2) for b in usual)
    x = x - sum(1.2 * np.exp(-0.5 * ((t - b) / 0.06) ** 2) for b in odd)
    x = np.asarray(x + np.random.default_rng(0).normal(0, 0.01, N))[None]
    e = arrhythmia_evidence([x], [], FS)
    assert _value(e, "ecg0_odd5") > 0.4
    assert _value(e, "ecg0_alike5") > 0.6
    assert _value(e, "ecg0_low") > 0.6


def test_what_is_absent_says_nothing() -> None:
    nothing = np.full((2, N), np.nan)
    e = arrhythmia_evidence([nothing], [nothing], FS)
    assert all(len(value) == 2 for value in e.values())
    for name in ("ecg0_odd5", "ecg0_low", "ecg0_fast5", "all_pause_s_min", "pulse0_height_min"):
        assert np.isnan(e[name]).all(), name
    assert (e["all_quality"] == 0).all()


@pytest.mark.parametrize("n", [0, 1, 300, 2500])
def test_a_short_recording_is_no_error(ecg_wave: Wave, n: int) -> None:
    e = arrhythmia_evidence([ecg_wave(N, FS, _regular(75))[None, :n]], [], FS)
    assert all(value.shape == (1,) for value in e.values())
    assert np.isnan(e["ecg0_odd5"]).all()


def test_a_row_does_not_depend_on_its_neighbours(ecg_wave: Wave, ppg_wave: Wave) -> None:
    rng = np.random.default_rng(1)
    rates = (60, 75, 140, 40)
    ecg = np.stack([ecg_wave(N, FS, _regular(r)) + rng.normal(0, 0.05, N) for r in rates])
    ppg = np.stack([ppg_wave(N, FS, _regular(r)) for r in rates])
    together = arrhythmia_evidence([ecg], [ppg], FS)
    for i in range(len(rates)):
        alone = arrhythmia_evidence([ecg[i : i + 1]], [ppg[i : i + 1]], FS)
        for name, value in alone.items():
            assert value.tobytes() == together[name][i : i + 1].tobytes(), name


def test_the_parts_of_quality_say_in_what_a_lead_is_bad(ecg_wave: Wave) -> None:
    clean = ecg_wave(N, FS, _regular(75))
    noisy = clean + np.random.default_rng(1).normal(0, 0.5, N)
    rows = np.stack([clean, noisy, np.full(N, np.nan)])
    e = arrhythmia_evidence([rows], [], FS)
    assert e["ecg0_kinship"][0] > 0.95 > e["ecg0_kinship"][1]
    assert e["ecg0_risk"][0] < e["ecg0_risk"][1]
    assert e["ecg0_peaked"][0] > e["ecg0_peaked"][1]
    assert e["ecg0_bsqi"][0] == 1.0
    assert all(np.isnan(e[f"ecg0_{name}"][2]) for name in VIEWS)
    alone = arrhythmia_evidence([rows[1:2]], [], FS)
    assert all(e[f"ecg0_{name}"][1] == alone[f"ecg0_{name}"][0] for name in VIEWS)
