"""QRS extremes and pulse levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features import beats
from features.breathing.fiducials import edr_extremes

Floats = NDArray[np.float64]
AT_S = np.arange(0.7, 19.5, 0.8)
FS = 250.0


@pytest.fixture(scope="module")
def ecg(ecg_wave: Callable[..., Floats]) -> Floats:
    """20 s whose R waves swell and shrink by 20 % in 5 s, on a wandering baseline."""
    n = round(20 * FS)
    swell = 1 + 0.2 * np.sin(2 * np.pi * 0.2 * np.arange(n) / FS)
    return (ecg_wave(n, FS, AT_S) * swell)[None]


def test_the_amplitude_of_r_waves_follows_their_height(ecg: Floats) -> None:
    found = beats.r_peaks(ecg, FS)
    peak, trough = edr_extremes(ecg, FS, found.row, found.position)
    amplitude = peak - trough
    wanted = 1 + 0.2 * np.sin(2 * np.pi * 0.2 * found.position / FS)
    assert np.corrcoef(amplitude, wanted)[0, 1] > 0.98


def test_amplitude_is_peak_minus_trough_and_scales_with_the_gain(ecg: Floats) -> None:
    found = beats.r_peaks(ecg, FS)
    peak, trough = edr_extremes(ecg, FS, found.row, found.position)
    assert (peak > 0).all()
    assert (trough < 0).all()
    high, low = edr_extremes(1000 * ecg + 7, FS, found.row, found.position)
    np.testing.assert_allclose(high - low, 1000 * (peak - trough), rtol=1e-3)


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


def test_no_beats_have_no_values() -> None:
    nothing = edr_extremes(np.zeros((2, 500)), FS, np.empty(0, np.intp), np.empty(0))
    assert [part.size for part in nothing] == [0, 0]


def test_a_row_does_not_depend_on_its_neighbours(ecg: Floats) -> None:
    rows = np.concatenate([ecg, -2 * ecg, ecg[:, ::-1]])
    found = beats.r_peaks(rows, FS)
    together = edr_extremes(rows, FS, found.row, found.position)
    for i in range(3):
        mine = found.row == i
        alone = edr_extremes(
            rows[i : i + 1], FS, np.zeros(mine.sum(), np.intp), found.position[mine]
        )
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other[mine])
