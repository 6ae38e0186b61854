"""QRS extremes and pulse levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features import beats
from features.breathing.fiducials import edr_amplitude, edr_extremes, pulse_levels

Floats = NDArray[np.float64]
AT_S = np.arange(0.7, 19.5, 0.8)
FS = 250.0


@pytest.fixture(scope="module")
def ecg(ecg_wave: Callable[..., Floats]) -> Floats:
    """20 s whose R waves swell and shrink by 20 % in 5 s, on a wandering baseline."""
    n = round(20 * FS)
    swell = 1 + 0.2 * np.sin(2 * np.pi * 0.2 * np.arange(n) / FS)
    return (ecg_wave(n, FS, AT_S) * swell)[None]


@pytest.fixture(scope="module")
def ppg(ppg_wave: Callable[..., Floats]) -> Floats:
    """20 s of pulses of height 1 on a baseline that swings by 0.3 in 5 s."""
    n = round(20 * FS)
    return (ppg_wave(n, FS, AT_S) + 0.3 * np.sin(2 * np.pi * 0.2 * np.arange(n) / FS))[None]


def test_the_amplitude_of_r_waves_follows_their_height(ecg: Floats) -> None:
    found = beats.r_peaks(ecg, FS)
    amplitude = edr_amplitude(ecg, FS, found.row, found.position)
    wanted = 1 + 0.2 * np.sin(2 * np.pi * 0.2 * found.position / FS)
    assert np.corrcoef(amplitude, wanted)[0, 1] > 0.98


def test_amplitude_is_peak_minus_trough_and_scales_with_the_gain(ecg: Floats) -> None:
    found = beats.r_peaks(ecg, FS)
    peak, trough = edr_extremes(ecg, FS, found.row, found.position)
    assert (peak > 0).all()
    assert (trough < 0).all()
    amplitude = edr_amplitude(1000 * ecg + 7, FS, found.row, found.position)
    np.testing.assert_allclose(amplitude, 1000 * (peak - trough), rtol=1e-3)


def test_the_baseline_of_pulses_follows_the_wave_and_their_amplitude_does_not(ppg: Floats) -> None:
    found = beats.pulses(ppg, FS)
    baseline, amplitude = pulse_levels(ppg, FS, found.row, found.position)
    wanted = 0.3 * np.sin(2 * np.pi * 0.2 * found.position / FS)
    assert np.corrcoef(baseline, wanted)[0, 1] > 0.98
    assert np.ptp(baseline) == pytest.approx(0.6, abs=0.1)
    assert amplitude[1:-1] == pytest.approx(1.0, abs=0.25)  # the swing moves within a rise, too


def test_a_beat_in_a_gap_has_no_values_and_its_neighbours_keep_theirs(ecg: Floats) -> None:
    found = beats.r_peaks(ecg, FS)
    holed = ecg.copy()
    middle = round(found.position[8])
    holed[0, middle - 60 : middle + 60] = np.nan
    peak, trough = edr_extremes(holed, FS, found.row, found.position)
    assert np.isnan(peak[8])
    assert np.isnan(trough[8])
    whole = edr_extremes(ecg, FS, found.row, found.position)[0]
    kept = np.arange(peak.size) != 8
    np.testing.assert_allclose(peak[kept], whole[kept], atol=0.05)


@pytest.mark.parametrize("function", [edr_extremes, pulse_levels])
def test_no_beats_have_no_values(function: Callable[..., tuple[Floats, Floats]]) -> None:
    nothing = function(np.zeros((2, 500)), FS, np.empty(0, np.intp), np.empty(0))
    assert [part.size for part in nothing] == [0, 0]


@pytest.mark.parametrize("function", [edr_extremes, pulse_levels])
def test_a_row_does_not_depend_on_its_neighbours(
    function: Callable[..., tuple[Floats, Floats]], ecg: Floats
) -> None:
    rows = np.concatenate([ecg, -2 * ecg, ecg[:, ::-1]])
    found = beats.r_peaks(rows, FS)
    together = function(rows, FS, found.row, found.position)
    for i in range(3):
        mine = found.row == i
        alone = function(rows[i : i + 1], FS, np.zeros(mine.sum(), np.intp), found.position[mine])
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other[mine])
