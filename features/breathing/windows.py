"""Breathing of many patients' windows: every source, their fusion, the rate followed over time.

Not here: features with reasons (`features.respiration`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from features.breathing import fusion, series, spectrum, tracking, wave
from features.breathing.series import EcgBeats, Pulses, Series
from features.breathing.wave import WAVE_HZ, WaveRate
from features.runs import Bools, Floats, Ints

# Chest waves of this quality are counted within 1/min of the mean of two annotators on BIDMC,
# better than any fusion; below it whichever is the surer is taken.
WAVE_WINS: Final = 0.6
# Share of the wave's power near the counted rate: 0.83 is usual in breathing (2 % of windows have
# less than 0.4), in white, low-passed and brown noise 0.19, 0.32 and 0.23.
_PURE: Final = 0.6
LOWEST_COUNTED_PER_MIN: Final = 2.0  # two breaths in a minute
HIGHEST_COUNTED_PER_MIN: Final = 90.0  # beyond the band's edge: no lung, a heart or a hand
_ECG_NAMES: Final = ("r_peak", "r_trough", "rr_interval")
_PPG_NAMES: Final = ("pulse_baseline", "pulse_amplitude", "pulse_interval")


class RespSource(IntEnum):
    """Where a respiration rate comes from."""

    NONE = 0
    WAVE = 1
    ECG = 2
    PPG = 3
    ECG_PPG = 4


class Windows(NamedTuple):
    """Windows of one length, at most 120 s, one a row."""

    wave: Floats  # (B, 4 * seconds) chest wave at 4 Hz from the window's start; NaN = none
    ecg: EcgBeats
    ppg: Pulses
    end_us: Ints  # (B,) int64


class FromBeats(NamedTuple):
    """What the beats of one signal say by themselves, (B,) each."""

    per_min: Floats  # NaN where they say nothing
    quality: Floats  # 0-1, probability that it is right within 2/min
    known: Bools  # at least one source is there
    coverage: Floats  # 0-1, share of the window with beats
    n: Ints  # beats


class Evidence(NamedTuple):
    """What windows say by themselves."""

    wave: WaveRate
    wave_quality: Floats  # (B,)
    wave_coverage: Floats  # (B,)
    ecg: FromBeats
    ppg: FromBeats
    log_likelihood: Floats  # (B, N_RATES) of ECG and PPG together


class Fused(NamedTuple):
    """The rate of each window, (B,) each."""

    rate_per_min: Floats  # NaN only if nothing says anything
    quality: Floats  # 0-1
    source: Ints  # RespSource
    state: Floats  # (B, STATE_SIZE)


def evidence_of(windows: Windows, in_wave: WaveRate | None = None) -> Evidence:
    """What each window says by itself.

    Parameters
    ----------
    windows : Windows
        B windows.
    in_wave : WaveRate, optional
        What is counted in the chest waves, where that is known already.

    Returns
    -------
    Evidence
        Stateless; a row's bits do not depend on the other rows.
    """
    counted, quality, covered = _of_chest(windows.wave, in_wave)
    shape = windows.wave.shape
    every = [*series.ecg_series(windows.ecg), *series.ppg_series(windows.ppg)]
    sources, coverage = _sources((*_ECG_NAMES, *_PPG_NAMES), every, shape)
    n_ecg = len(_ECG_NAMES)
    ecg, ppg = sources[:n_ecg], sources[n_ecg:]
    ecg_covered, ppg_covered = coverage[:n_ecg].max(axis=0), coverage[n_ecg:].max(axis=0)
    together, _ = fusion.evidence(sources)
    return Evidence(
        counted,
        quality,
        covered,
        _alone(ecg, ecg_covered, windows.ecg.row),
        _alone(ppg, ppg_covered, windows.ppg.row),
        together,
    )


def _of_chest(chest: Floats, counted: WaveRate | None) -> tuple[WaveRate, Floats, Floats]:
    """What is counted in the chest wave, how far to believe it, and how much of it there is."""
    known = np.isfinite(chest)
    if not known.any():  # as on most wards
        n_rows = len(chest)
        return wave.uncounted(n_rows), np.zeros(n_rows), np.zeros(n_rows)
    counted = counted or wave.wave_rate(wave.breaths(chest, WAVE_HZ), len(chest))
    covered = known.sum(axis=1) / max(chest.shape[1], 1)
    near = spectrum.share_near(chest, counted.rate_per_min)
    pure = np.minimum(near / _PURE, 1.0)
    rate = counted.rate_per_min
    real = (rate >= LOWEST_COUNTED_PER_MIN) & (rate <= HIGHEST_COUNTED_PER_MIN)
    real &= covered >= spectrum.LEAST_COVERAGE
    return counted, np.where(real, counted.regular * pure, 0.0), covered


def fuse(found: Evidence, state: Floats, end_us: Ints) -> Fused:
    """One rate a window, with what earlier windows of the same patients said.

    Parameters
    ----------
    found : Evidence
        Of B windows of B different patients.
    state : (B, STATE_SIZE) float64
        `tracking.fresh_state` at first, then what the last call returned.
    end_us : (B,) int64
        Ends of the windows.

    Returns
    -------
    Fused
        The chest wave's own rate where its quality is at least 0.6 or above that of ECG and PPG,
        which are followed over time by `tracking.track`.
    """
    likelihood, known = likelihoods(found)
    tracked = tracking.track(state, end_us, likelihood, known)
    return chosen(found, tracked)


def follow(found: Evidence, state: Floats, end_us: Ints) -> Fused:
    """As `fuse`, for successive windows of one patient.

    Parameters
    ----------
    found : Evidence
        Of B windows of one patient, in time order.
    state : (1, STATE_SIZE) float64
        From before the first.
    end_us : (B,) int64
        Their ends.

    Returns
    -------
    Fused
        Its `state` is the one after each window.
    """
    likelihood, known = likelihoods(found)
    probabilities, states = np.empty_like(likelihood), np.empty((len(known), state.shape[1]))
    for i in range(len(known)):
        own = slice(i, i + 1)
        tracked = tracking.track(state, end_us[own], likelihood[own], known[own])
        state = tracked.state
        probabilities[own], states[own] = tracked
    return chosen(found, tracking.Tracked(probabilities, states))


def likelihoods(found: Evidence) -> tuple[Floats, Bools]:
    """Likelihood of every rate from all sources, (B, N_RATES), and which rows have any."""
    wave_wins = found.wave_quality >= WAVE_WINS
    said = fusion.wave_evidence(found.wave.rate_per_min, wave_wins)
    return found.log_likelihood + said, found.ecg.known | found.ppg.known | wave_wins


def chosen(found: Evidence, tracked: tracking.Tracked) -> Fused:
    """The wave's own rate or the one followed, whichever is to be believed."""
    by_beats = found.ecg.known | found.ppg.known
    followed = fusion.best_rate(tracked.probability)
    followed_quality = np.where(by_beats, followed.quality, 0.0)
    use_wave = found.wave_quality >= np.minimum(WAVE_WINS, followed_quality)
    use_wave &= found.wave_quality > 0
    source = np.where(found.ecg.known, int(RespSource.ECG), 0)
    source += np.where(found.ppg.known, int(RespSource.PPG), 0)
    source = np.where(found.ecg.known & found.ppg.known, int(RespSource.ECG_PPG), source)
    rate = np.where(by_beats, followed.per_min, np.nan)
    return Fused(
        np.where(use_wave, found.wave.rate_per_min, rate),
        np.where(use_wave, found.wave_quality, followed_quality),
        np.where(use_wave, int(RespSource.WAVE), source),
        tracked.state,
    )


def _sources(
    names: Sequence[str], values: Sequence[Series], shape: tuple[int, ...]
) -> tuple[list[fusion.Source], Floats]:
    """The sources for the model, and their coverage, (sources, B)."""
    waves = [wave for one in values for wave in series.on_grid(one, *shape)]
    found = spectrum.spectra(np.concatenate(waves))  # rows of all sources at once
    return fusion.sources(names, found), found.coverage.reshape(len(names), -1)


def _alone(sources: list[fusion.Source], covered: Floats, row: Ints) -> FromBeats:
    """Rate from some of the sources and no history."""
    likelihood, n = fusion.evidence(sources)
    rate = fusion.best_rate(fusion.normalised(likelihood + fusion.LOG_PRIOR))
    known = n > 0
    return FromBeats(
        np.where(known, rate.per_min, np.nan),
        np.where(known, rate.quality, 0.0),
        known,
        covered,
        np.bincount(row, minlength=covered.size),
    )
