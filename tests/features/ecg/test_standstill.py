"""P waves or spikes alone are no beats, in any unit and polarity; QRS with T waves are beats."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import analyse
from features.ecg.segment import analyse_ecg
from features.feature import FeatureReason
from features.quality import signal_quality
from streams.segments import SEGMENT_US, Segment

Floats = NDArray[np.float64]
FS = 250.0
N = 3500
AT_S = np.arange(0.3, 13.8, 0.8)


def waves(shape: tuple[tuple[float, float, float], ...], at_s: Floats = AT_S) -> Floats:
    """Bumps (height, delay s, width s) at every time, with a little noise."""
    t = np.arange(N) / FS
    x = np.random.default_rng(1).normal(0, 0.002, N)
    for height, delay, width in shape:
        x += height * np.exp(-0.5 * ((t[:, None] - at_s - delay) / width) ** 2).sum(axis=1)
    return x


P_WAVES = waves(((0.15, 0.0, 0.022),))
BEATS = waves(((0.15, -0.17, 0.022), (1.0, 0.0, 0.012), (0.25, 0.27, 0.045)))


def reason_of(x: Floats, mv_per_unit: float | None = None) -> FeatureReason:
    return FeatureReason(analyse_ecg(x[None, :], FS, mv_per_unit=mv_per_unit).reason[0])


@pytest.mark.parametrize("gain", [1.0, -1.0, 1e-5, 1e5])
def test_p_waves_alone_are_refused_by_their_shape(gain: float) -> None:
    found = analyse_ecg(P_WAVES[None, :] * gain, FS)
    assert found.reason[0] == FeatureReason.NO_QRS
    assert found.quality[0] == 0.0


@pytest.mark.parametrize("gain", [1.0, -1.0, 1e-5, 1e5])
def test_beats_with_t_waves_are_not(gain: float) -> None:
    assert reason_of(BEATS * gain) == FeatureReason.OK


def test_where_the_unit_is_known_their_size_tells_too() -> None:
    doubtful = waves(((0.15, 0.0, 0.017), (0.016, 0.3, 0.04)))
    assert reason_of(doubtful) == FeatureReason.OK
    assert reason_of(doubtful, 1.0) == FeatureReason.NO_QRS
    assert reason_of(doubtful * 1000, 1e-3) == FeatureReason.NO_QRS
    assert reason_of(doubtful * 10, 1.0) == FeatureReason.OK


@pytest.mark.parametrize("gain", [1.0, -1.0, 1e-5, 1e5])
def test_spikes_of_a_pacemaker_that_nothing_answers_are_refused(gain: float) -> None:
    spikes = np.random.default_rng(2).normal(0, 0.003, N)
    spikes[(AT_S * FS).astype(int)] += 2.0
    assert reason_of(spikes * gain) == FeatureReason.NO_QRS


@pytest.mark.parametrize("gain", [1.0, -1.0, 1e-5, 1e5])
@pytest.mark.parametrize(("spike", "p_wave", "noise"), [(0.5, 0.0, 0.02), (1.0, 0.1, 0.04)])
def test_spikes_among_noise_and_p_waves_of_another_rhythm_are_refused(
    gain: float, spike: float, p_wave: float, noise: float
) -> None:
    x = waves(((p_wave, 0.0, 0.022),), np.arange(0.1, 13.8, 0.95))
    x += np.random.default_rng(3).normal(0, noise, N)
    x[(AT_S * FS).astype(int)] += spike
    assert reason_of(x * gain) == FeatureReason.NO_QRS


@pytest.mark.parametrize(("spike", "p_wave"), [(0.6, 0.1), (1.0, 0.15)])
def test_spikes_with_p_waves_near_them_by_chance_are_refused(spike: float, p_wave: float) -> None:
    """P waves at nearly the pacemaker's rate stay beside its spikes, but not in one place."""
    x = waves(((p_wave, 0.0, 0.022),), np.arange(0.1, 13.8, 0.83))
    x += np.random.default_rng(3).normal(0, 0.004, N)
    x[(AT_S * FS).astype(int)] += spike
    assert reason_of(x) == FeatureReason.NO_QRS


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_spikes_that_the_smallest_beat_answers_each_time_are_not(noise: float) -> None:
    paced = waves(((0.07, 0.05, 0.035), (-0.04, 0.3, 0.05)))
    paced += np.random.default_rng(3).normal(0, noise, N)
    paced[(AT_S * FS).astype(int)] += 2.0
    assert reason_of(paced) == FeatureReason.OK


def test_spikes_that_a_small_beat_answers_on_a_quiet_line_are_not() -> None:
    """A unipolar pacemaker's spike may be fifteen times the beat it makes."""
    paced = waves(((0.12, 0.05, 0.035), (-0.04, 0.3, 0.05)))
    paced[(AT_S * FS).astype(int)] += 2.0
    assert reason_of(paced) == FeatureReason.OK


def test_spikes_that_a_wide_beat_answers_are_not() -> None:
    paced = waves(((0.9, 0.05, 0.035), (-0.3, 0.3, 0.05)))
    paced[(AT_S * FS).astype(int)] += 2.0
    assert reason_of(paced) == FeatureReason.OK


def test_the_shape_of_beats_speaks_for_them_and_that_of_p_waves_against() -> None:
    found = analyse_ecg(np.stack([BEATS, P_WAVES, np.zeros(N)]), FS)
    assert found.qrs_odds[0] > 0 > found.qrs_odds[1]
    assert np.isnan(found.qrs_odds[2])


@pytest.mark.parametrize("lost", [(1500, 1700), (700, 701)])
def test_a_gap_does_not_hide_them(lost: tuple[int, int]) -> None:
    x = P_WAVES.copy()
    x[slice(*lost)] = np.nan
    assert reason_of(x) != FeatureReason.OK


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_row_does_not_depend_on_its_neighbours(size: int) -> None:
    rows = np.stack([BEATS if k % 3 else P_WAVES for k in range(size)])
    said = analyse_ecg(rows, FS).reason
    assert said.tolist() == [analyse_ecg(row[None, :], FS).reason[0] for row in rows]


def test_what_is_wrong_is_said_in_words() -> None:
    assert signal_quality(P_WAVES, FS, "ecg") == (0.0, ("no_qrs",))


@pytest.mark.parametrize("unit", ["mV", "1"])
def test_a_segment_of_the_engine_says_so(unit: str) -> None:
    first_us = -2_000_000.0
    samples = P_WAVES.astype(np.float32)
    found = analyse([Segment("p", "d", "ecg", 0, SEGMENT_US, FS, unit, first_us, samples)])[0]
    assert (found.reason, found.quality) == (FeatureReason.NO_QRS, 0.0)
