"""Which broken rows have a stretch whose beats were missed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ecg.segment import analyse_ecg
from features.feature import FeatureReason
from features.ppg.segment import analyse_ppg
from features.unheard import RunBeats, joined, run_beats, unheard

Floats = NDArray[np.float64]
FS_HZ = 125.0


def two_runs(seconds: float, n_beats: int, size: float = 1.0) -> bool:
    """A run of 5 s with a beat every 0.8 s, and another one."""
    rr_s = np.array([0.8, np.nan if n_beats < 2 else 0.8])
    sizes = np.array([1.0, size if n_beats else np.nan])
    n = np.array([6, n_beats])
    runs = RunBeats(np.zeros(2, np.intp), np.array([5.0, seconds]), n, rr_s, sizes)
    return bool(unheard(runs, 1)[0])


@pytest.mark.parametrize(
    ("seconds", "n_beats", "missed"),
    [(2.0, 0, True), (0.7, 0, False), (2.0, 1, True), (1.7, 1, False), (4.0, 5, False)],
)
def test_a_stretch_that_must_hold_beats_and_has_hardly_any_is_unheard(
    seconds: float, n_beats: int, missed: bool
) -> None:
    assert two_runs(seconds, n_beats) is missed


@pytest.mark.parametrize(("size", "unlike"), [(0.1, True), (0.5, False), (3.0, False), (8, True)])
def test_a_stretch_whose_beats_are_of_quite_another_size_has_none(
    size: float, unlike: bool
) -> None:
    assert two_runs(4.0, 5, size) is unlike


def test_two_beats_far_apart_are_no_rhythm_where_another_run_has_one() -> None:
    """A burst at either end of a stretch is taken for its beats: those between are missed."""
    row, seconds, size = np.zeros(2, np.intp), np.array([5.5, 4.2]), np.array([1.0, 3.3])
    runs = RunBeats(row, seconds, np.array([13, 2]), np.array([0.41, 3.07]), size)
    assert unheard(runs, 1).tolist() == [True]
    few = RunBeats(row, seconds, np.array([2, 2]), np.array([2.9, 3.07]), np.ones(2))
    assert unheard(few, 1).tolist() == [False]


def test_rows_of_one_run_and_rows_without_beats_are_not_judged_here() -> None:
    none = np.full(3, np.nan)
    seconds = np.array([9.0, 4.0, 4.0])
    runs = RunBeats(np.array([0, 1, 1]), seconds, np.zeros(3, np.intp), none, none)
    assert unheard(runs, 2).tolist() == [False, False]
    assert unheard(joined([]), 3).tolist() == [False] * 3


def test_an_only_run_whose_beats_fill_less_than_half_of_it_is_unheard_where_that_is_asked() -> None:
    """Four rises of a burst within a second, and six seconds of pulses before it lost."""
    row, seconds, size = np.zeros(1, np.intp), np.array([8.15]), np.ones(1)
    burst = RunBeats(row, seconds, np.array([4]), np.array([0.27]), size)
    assert unheard(burst, 1, alone=True).tolist() == [True]
    assert unheard(burst, 1).tolist() == [False]
    heart = RunBeats(row, seconds, np.array([7]), np.array([1.1]), size)
    assert unheard(heart, 1, alone=True).tolist() == [False]


def test_a_pulse_wave_of_whose_stretch_only_a_burst_was_counted_is_refused() -> None:
    """High noise for 1.5 s before a gap hides the pulses before it."""
    fs_hz, beats = 64.0, (1.11, 2.42, 3.69, 5.03, 6.45)
    t = np.arange(round(10 * fs_hz)) / fs_hz
    heart = sum(np.exp(-0.5 * ((t - beat - 0.15) / 0.08) ** 2) for beat in beats)
    rng = np.random.default_rng(0)
    rows = heart + 0.02 * rng.standard_normal((1000, t.size))
    noisy = (t > 6.62) & ((t < 8.16) | (t > 9.16))
    rows[:, noisy] += 4.0 * rng.standard_normal((1000, int(noisy.sum())))
    rows[:, (t >= 8.16) & (t <= 9.16)] = np.nan
    found = analyse_ppg(rows, fs_hz)
    clean = np.array(beats[:-1]) + 0.07
    for row in np.flatnonzero(found.quality >= 0.5).tolist():
        at = found.pulses.position[found.pulses.row == row] / fs_hz
        assert np.abs(clean[:, None] - at).min(axis=1).max() < 0.15


def test_the_interval_of_a_run_is_the_mean_between_its_beats() -> None:
    of, at = np.array([0, 0, 0, 1]), np.array([0.1, 1.1, 2.5, 0.4])
    found = run_beats(np.array([4, 7]), 3.0, (of, at, np.array([1.0, 2.0, 3.0, 5.0])))
    assert found.size.tolist() == [2.0, 5.0]
    assert found.row.tolist() == [4, 7]
    assert found.n_beats.tolist() == [3, 1]
    assert found.rr_s[0] == pytest.approx(1.2)
    assert np.isnan(found.rr_s[1])


def _heart(sigma_s: float, t_wave: float = 0.0) -> Floats:
    t = np.arange(round(12 * FS_HZ)) / FS_HZ
    x = np.exp(-0.5 * ((t % 0.8 - 0.4) / sigma_s) ** 2)
    x += t_wave * np.exp(-0.5 * ((t % 0.8 - 0.65) / 0.04) ** 2)
    x[750:800] = np.nan
    return np.asarray(x + 1e-3 * np.sin(40 * t), np.float64)


def test_an_ecg_whose_second_half_is_silent_is_refused_and_says_why() -> None:
    whole = _heart(0.012, t_wave=0.2)
    silent = whole.copy()
    silent[800:] = 1e-3 * np.sin(40 * np.arange(silent.size - 800) / FS_HZ)
    found = analyse_ecg(np.stack([whole, silent]), FS_HZ)
    assert found.quality[0] >= 0.5
    assert found.quality[1] == 0
    assert found.reason.tolist() == [FeatureReason.OK, FeatureReason.TOO_FEW_BEATS]


def test_a_pulse_wave_whose_second_half_is_silent_is_refused_and_says_why() -> None:
    whole = _heart(0.08)
    silent = whole.copy()
    silent[800:] = 1e-3 * np.sin(40 * np.arange(silent.size - 800) / FS_HZ)
    found = analyse_ppg(np.stack([whole, silent]), FS_HZ)
    assert found.quality[0] >= 0.5
    assert found.quality[1] == 0
    assert found.reason.tolist() == [FeatureReason.OK, FeatureReason.TOO_FEW_BEATS]
