"""Something far larger than a heart costs only the beats next to it, and slow hearts are kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.beats import detect_r_peaks
from features.ecg import artefacts, candidates
from features.ecg.quality import GATE
from features.ecg.segment import analyse_ecg
from features.feature import FeatureReason

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
_SECOND = 1.0
_SAME_S = 0.06


def _pulsed(x: Floats, fs_hz: float, length_s: float, height: float) -> Floats:
    """A row for every ninth of a second and polarity: a pulse there, or a step if endless."""
    starts = np.arange(0, x.size - 1, max(1, int(fs_hz / 9)))
    rows = np.tile(x, (2 * starts.size, 1))
    for k, start in enumerate(np.repeat(starts, 2)):
        length = max(1, round(length_s * fs_hz)) if length_s < np.inf else x.size
        rows[k, start : start + length] += (-1) ** k * height
    return rows


def _worst(x: Floats, rows: Floats, fs_hz: float) -> tuple[int, int]:
    """Most beats lost and invented in a row, a second and more from where it was changed."""
    truth = np.asarray(detect_r_peaks(x, fs_hz)) / fs_hz
    assert truth.size >= 3
    lost = invented = 0
    for row, positions in zip(rows, detect_r_peaks(rows, fs_hz), strict=True):
        changed = np.flatnonzero(np.diff(row - x, prepend=0.0, append=0.0)) / fs_hz
        found = positions / fs_hz
        lost = max(lost, _unmatched(truth, found, changed))
        invented = max(invented, _unmatched(found, truth, changed))
    return lost, invented


def _unmatched(beats: Floats, others: Floats, changed: Floats) -> int:
    far = [b for b in beats if np.abs(changed - b).min() > _SECOND]
    return sum(np.abs(others - b).min(initial=np.inf) > _SAME_S for b in far)


@pytest.mark.parametrize("seconds", [4, 6, 8, 10, 14])
@pytest.mark.parametrize(
    ("length_s", "height"),
    [(0.0, 5.0), (0.0, 40.0), (0.02, 50.0), (0.1, 50.0), (np.inf, 5.0), (0.0, 1e4)],
)
@pytest.mark.parametrize("rr_s", [0.45, 1.1])
def test_an_artefact_costs_only_beats_within_a_second(
    ecg_wave: Wave, seconds: int, length_s: float, height: float, rr_s: float
) -> None:
    fs_hz = 125.0
    n = round(seconds * fs_hz)
    x = ecg_wave(n, fs_hz, np.arange(0.3, seconds - 0.1, rr_s))
    assert _worst(x, _pulsed(x, fs_hz, length_s, height), fs_hz) == (0, 0)


@pytest.mark.parametrize("fs_hz", [50.0, 250.0, 500.0])
def test_an_artefact_costs_as_little_at_any_rate(ecg_wave: Wave, fs_hz: float) -> None:
    n = round(8 * fs_hz)
    x = ecg_wave(n, fs_hz, np.arange(0.3, 7.9, 0.8))
    rows = np.concatenate([_pulsed(x, fs_hz, length_s, 50.0) for length_s in (0.0, 0.1)])
    assert _worst(x, rows, fs_hz) == (0, 0)


def test_three_artefacts_cost_only_their_neighbours(ecg_wave: Wave) -> None:
    x = ecg_wave(1250, 125.0, np.arange(0.3, 9.9, 0.7))
    row = x.copy()
    row[[200, 210, 560, 1000]] += 30.0, -25.0, 40.0, 30.0
    assert _worst(x, row[None], 125.0) == (0, 0)


def test_a_beat_next_to_a_spike_of_one_sample_is_kept(ecg_wave: Wave) -> None:
    at = np.arange(0.3, 9.9, 0.8)
    x = ecg_wave(1250, 125.0, at)
    x[round((at[5] + 0.1) * 125)] += 40.0
    found = np.asarray(detect_r_peaks(x, 125.0)) / 125.0
    assert found.size == at.size
    assert np.abs(found[5] - at[5]) < _SAME_S


@pytest.mark.parametrize("rate_bpm", [15, 20, 25, 30, 40])
@pytest.mark.parametrize("noise", [0.002, 0.01, 0.03])
def test_the_beats_of_a_slow_heart_are_no_artefacts(
    ecg_wave: Wave, rate_bpm: int, noise: float
) -> None:
    at = np.arange(0.6, 13.5, 60 / rate_bpm)
    for seed in range(6):
        added = np.random.default_rng(seed).normal(0, noise, 1750)
        found = detect_r_peaks(ecg_wave(1750, 125.0, at + 0.15 * seed) + added, 125.0)
        beats = at + 0.15 * seed
        assert np.asarray(found).size == np.count_nonzero(beats < 14.0)


def _envelope(summits: dict[float, float]) -> Floats:
    """Ten seconds of an envelope at 100 Hz: its summits by their time, little noise between."""
    t = np.arange(1000) / 100.0
    row = 0.05 + np.zeros(1000)
    for at_s, height in summits.items():
        row += height * np.exp(-0.5 * ((t - at_s) / 0.03) ** 2)
    return row[None]


def test_the_bar_of_what_is_too_large_does_not_cut_through_the_beats_of_a_slow_heart() -> None:
    """Four of ten seconds are silent, so that the little in them counts as usual."""
    beats = {0.9: 6.8, 2.3: 6.5, 3.7: 7.2, 5.2: 6.8, 6.8: 7.0, 8.4: 7.1}
    silent = {1.5: 0.9, 4.5: 0.6, 7.4: 0.5, 9.5: 0.4}
    none = np.zeros((1, 1000), np.bool_)
    blank, *_ = artefacts.too_large(_envelope(beats | silent), none, 100.0)
    assert not blank.any()


def test_what_is_too_large_is_blanked_among_beats_of_four_times_the_usual_height() -> None:
    usual = {0.3 + 0.8 * k: 1.0 for k in range(12)}
    blank, heart, _ = artefacts.too_large(
        _envelope(usual | {4.3: 4.0, 6.6: 90.0}), np.zeros((1, 1000), np.bool_), 100.0
    )
    assert heart.all()
    assert blank[0, 660]
    assert not blank[0, [430, 590, 750]].any()


def test_narrow_r_waves_are_no_spikes_at_50_hz() -> None:
    beats, t = np.array([1.5, 2.8, 4.1]), np.arange(240) / 50.0
    x = np.exp(-0.5 * ((t[:, None] - beats) / 0.009) ** 2).sum(axis=1)
    x += np.random.default_rng(2).normal(0, 0.005, t.size)
    spiked = x.copy()
    spiked[146:149] += 30.0
    assert _worst(x, spiked[None], 50.0) == (0, 0)


def test_a_usual_row_is_left_as_it_is(ecg_wave: Wave) -> None:
    x = ecg_wave(1750, 125.0, np.arange(0.3, 13.9, 0.8))[None]
    found = candidates.find(x, 125.0)
    assert found is not None
    assert found[0].slow is x
    assert found[0].blanked.tolist() == [0.0]


def test_what_may_hide_a_beat_lowers_the_quality_and_a_bridged_spike_does_not(
    ecg_wave: Wave,
) -> None:
    x = ecg_wave(1750, 125.0, np.arange(0.3, 13.9, 0.8))
    spiked, pulsed = x.copy(), x.copy()
    spiked[900] += 40.0
    pulsed[900:940] += 40.0
    clean, one, wide = analyse_ecg(np.stack([x, spiked, pulsed]), 125.0).quality
    assert one > 0.9 * clean
    assert wide < one


def _coupled(fs_hz: float, spikes_s: tuple[float, ...]) -> Floats:
    """Ten seconds of seven beats in pairs, and spikes of three samples."""
    t = np.arange(round(10 * fs_hz)) / fs_hz
    x = np.random.default_rng(4).normal(0, 0.005, t.size)
    for beat in (0.77, 2.38, 3.34, 4.95, 5.91, 7.52, 8.48):
        for height, delay, width in ((1.0, 0.0, 0.012), (0.2, 0.27, 0.045)):
            x += height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    for at_s in spikes_s:
        x[round(at_s * fs_hz) :][:3] += 25.0
    return x


@pytest.mark.parametrize("fs_hz", [125.0, 200.0, 360.0])
def test_three_spikes_among_seven_beats_are_not_taken_for_the_heart(fs_hz: float) -> None:
    spikes_s = (4.17, 6.05, 7.88)
    found = np.asarray(detect_r_peaks(_coupled(fs_hz, spikes_s), fs_hz)) / fs_hz
    for beat in (0.77, 2.38, 3.34):
        assert np.abs(found - beat).min() < 0.06
    assert np.abs(found[:, None] - np.array(spikes_s)).min() > _SAME_S


@pytest.mark.parametrize("fs_hz", [125.0, 250.0])
def test_what_three_spikes_leave_of_seven_beats_outweighs_them(fs_hz: float) -> None:
    beats = (1.36, 2.77, 3.67, 6.5, 9.84)
    t = np.arange(round(10 * fs_hz)) / fs_hz
    x = np.random.default_rng(6).normal(0, 0.002, t.size)
    for beat in (*beats, 4.61, 8.32):
        for height, delay, width in ((1.0, 0.0, 0.018), (0.1, 0.27, 0.045)):
            x += height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    spikes_s = (4.2, 8.0, 9.24)
    x[np.round(np.array(spikes_s) * fs_hz).astype(int)] += 30.0
    found = np.asarray(detect_r_peaks(x, fs_hz)) / fs_hz
    for beat in beats:
        assert np.abs(found - beat).min() < 0.06
    assert np.abs(found[:, None] - np.array(spikes_s)).min() > _SAME_S


@pytest.mark.parametrize("fs_hz", [125.0, 200.0, 500.0])
@pytest.mark.parametrize(
    ("beats", "spikes_s"),
    [
        ((1.42, 2.87, 4.33, 5.79, 7.25, 8.71), (4.09, 4.51, 6.8)),
        ((1.6, 2.67, 4.46, 5.53, 7.31, 8.39), (4.43, 7.33, 9.6)),
    ],
)
def test_the_beats_of_a_slow_heart_are_found_among_three_spikes(
    fs_hz: float, beats: tuple[float, ...], spikes_s: tuple[float, ...]
) -> None:
    """Most seconds hold no beat: without the spikes its beats seem too large for a heart."""
    t = np.arange(round(10 * fs_hz)) / fs_hz
    x = np.random.default_rng(8).normal(0, 0.005, t.size)
    for beat in beats:
        for height, delay, width in ((0.1, -0.16, 0.02), (1.0, 0.0, 0.018), (0.2, 0.27, 0.04)):
            x += height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    for at_s in spikes_s:
        x[round(at_s * fs_hz) :][: max(1, round(0.006 * fs_hz))] -= 25.0
    found = np.asarray(detect_r_peaks(x, fs_hz)) / fs_hz
    for beat in beats:
        assert np.abs(found - beat).min() < _SAME_S
    assert found.size == len(beats)
    assert analyse_ecg(x[None], fs_hz).quality[0] < GATE, "a beat may have been one of the spikes"


def test_spikes_that_stay_in_a_row_make_it_doubtful() -> None:
    """What is left without the spikes is noise: no heart, and nothing to be sure of."""
    x = np.random.default_rng(5).normal(0, 0.05, 1750)
    x[[250, 800, 1350]] += 5.0
    found = candidates.find(x[None], 125.0)
    assert found is not None
    assert found[0].spikes.tolist() == [3.0]
    assert analyse_ecg(x[None], 125.0).quality[0] < GATE


def test_three_spikes_unlike_each_other_are_no_slow_heart() -> None:
    """Ten beats in pairs, a twentieth of the spikes: too small to speak against them."""
    t = np.arange(1250) / 125.0
    x = np.random.default_rng(1).normal(0, 0.0003, t.size)
    for beat in (1.073, 1.836, 3.11, 3.874, 5.147, 5.911, 7.184, 7.948, 9.221, 9.985):
        x += 0.05 * np.exp(-0.5 * ((t - beat) / 0.009) ** 2)
    for begin, length, height in ((206, 3, 1.4), (712, 2, -0.87), (1129, 3, -0.198)):
        x[begin : begin + length] += height
    seen = analyse_ecg(x[None], 125.0)
    assert seen.beats.position.size == 3
    assert seen.quality[0] == 0.0
    assert seen.reason[0] == FeatureReason.NOISE


@pytest.mark.parametrize("rate_bpm", [13, 16, 20])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_slow_heart_whose_beats_are_alike_passes(
    ecg_wave: Wave, rate_bpm: int, noise: float
) -> None:
    x = ecg_wave(3500, 250.0, np.arange(0.6, 13.5, 60 / rate_bpm))
    x += np.random.default_rng(rate_bpm).normal(0, noise, x.size)
    assert analyse_ecg(x[None], 250.0, (500, 3000)).quality[0] >= GATE
