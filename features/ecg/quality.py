"""How far the beats of an ECG segment can be believed, and what is wrong with it.

One score from independent views: how sure the detector was, whether a second one agrees, whether
beats resemble each other, whether the wave is peaked as an ECG is. None alone decides: bigeminy
has two shapes, fibrillation no rhythm, a paced heart sharp peaks. Not here: finding beats.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from features.ecg import judge_weights, kernels
from features.ecg.candidates import Block
from features.ecg.network import Network, from_text, logits
from features.ecg.usable import Faults
from features.feature import FeatureReason
from features.lean import number_or
from features.runs import Bools, Floats, Ints

GATE: Final = 0.5  # a segment below it counts as a gap
JUDGED_FROM_S: Final = 5.0  # of usable signal: there, fewer than three beats are a finding
FEWEST_BEATS: Final = 3
# In 10 s: a heart that beats less often than 12/min has stopped, whatever beats the context holds.
_FEWEST_OWN: Final = 2
_UNJUDGED: Final = 0.5  # of a rest too short to judge: passes, but only just
# A heart of 24/min or less is paced by one place and its beats are alike; three spikes of 1.4, -0.9
# and -0.2 mV are not. Of 34 real segments that pass with seven beats or fewer none is below 0.5.
_SELDOM_S: Final = 2.5
_LEAST_KIN: Final = 0.5
_LEAST_COVERAGE: Final = 0.2  # of a core of 10 s: the shortest run in which beats are sought
_CLIP_BLAMED: Final = 0.2
_NOISE_KURTOSIS: Final = 5.0  # Gaussian noise has 3, fibrillation 2: no isolated wave at all
# A wave without isolated peaks has no beats to count: a sine has 1.5, flutter 2.3, and the least
# peaked segment of MIT-BIH that passes 4.3.
_FLUTTER_KURTOSIS: Final = 2.5
_RISK_FLOOR: Final = 1e-3
_PEAKED: Final = (1.0, 60.0)  # kurtosis: a sine has 1.5, a slow heart 30
_WANDER_HZ: Final = 1.0
_ECG_HZ: Final = 40.0


class Indices(NamedTuple):
    """Per row, what the score is made of; NaN where there is nothing to judge."""

    risk: Floats  # expected wrong decisions
    bsqi: Floats  # 0-1, agreement of two detectors
    kinship: Floats  # -1 to 1, mean correlation of beats with the two nearby ones most alike
    template_corr: Floats  # -1 to 1, mean correlation of beats with the mean of the others
    ksqi: Floats  # kurtosis of the 4-30 Hz wave
    bassqi: Floats  # 0-1, 1 less the share of power below 1 Hz
    n_beats: Ints
    n_own: Ints  # of the core
    unheard: Bools  # a stretch between gaps has hardly a beat where there must be some
    no_qrs: Bools  # the beats are P waves or pacing spikes


class Verdict(NamedTuple):
    """Per row, the score and why it is low."""

    quality: Floats  # 0-1; below `GATE` the segment is better not used
    reason: NDArray[np.uint8]  # FeatureReason, OK at or above the gate


def peakedness(block: Block) -> Floats:
    """Kurtosis of each run's 4-30 Hz wave; 1 for a constant one."""
    if kernels.worth_it(len(block.wave)):
        spread, fourth = kernels.moments(block.wave)
    else:
        wave = block.wave - block.wave.mean(axis=1, keepdims=True)
        square = wave * wave
        spread = square.mean(axis=1)
        square *= square
        fourth = square.mean(axis=1)
    return np.asarray(np.where(spread > 0, fourth / np.where(spread > 0, spread**2, 1.0), 1.0))


def steadiness(block: Block) -> Floats:
    """1 less the share of power below 1 Hz, of what lies below 40 Hz; 0 for a constant run."""
    n = block.slow.shape[1]
    length = fft.next_fast_len(n, real=True)
    few, most = (int(np.ceil(hz * length / block.fs_hz)) for hz in (_WANDER_HZ, _ECG_HZ))
    if kernels.worth_it(len(block.slow)):
        return _compiled_steadiness(block.slow, length, (few, most))
    centred = block.slow - block.slow.mean(axis=1, keepdims=True)
    centred *= _hann(n)
    spectrum = fft.rfft(centred, length, axis=1)[:, :most]
    power = spectrum.real**2
    power += spectrum.imag**2
    slow, whole = power[:, :few].sum(axis=1), power.sum(axis=1)
    return np.asarray(np.where(whole > 0, 1.0 - slow / np.where(whole > 0, whole, 1.0), 0.0))


def _compiled_steadiness(slow: Floats, length: int, lines: tuple[int, int]) -> Floats:
    """The same by loops."""
    by = kernels.over_lines()
    out, tapered, good = np.empty(len(slow)), np.empty(slow.shape), np.empty(len(slow), np.bool_)
    by.tapered(slow, _hann(slow.shape[1]), np.inf, tapered, good)
    spectrum = fft.rfft(tapered, length, axis=1)
    n_lines = len(spectrum[0])
    by.low_shares(spectrum, min(lines[0], n_lines), min(lines[1], n_lines), out)
    return out


@lru_cache(maxsize=64)
def _hann(n: int) -> Floats:
    return np.hanning(n)


def inputs(indices: Indices) -> Floats:
    """Inputs of the score, (5, B); what is not known counts as bad.

    Likeness is to nearby beats, not to one mean beat, which would condemn bigeminy.
    """
    risk = np.log(number_or(indices.risk, 10.0) + _RISK_FLOOR)
    bsqi = number_or(indices.bsqi)
    alike = number_or(indices.kinship)
    peaked = np.log(number_or(indices.ksqi, 1.0).clip(*_PEAKED))
    steady = number_or(indices.bassqi)
    return np.stack([risk, bsqi, alike, peaked, steady])


def judged(indices: Indices, fault: Faults, fs_hz: float, n_samples: int) -> Verdict:
    """Score and reason of each row.

    Parameters
    ----------
    indices : Indices
    fault : Faults
    fs_hz : float
    n_samples : int
        Of a row, context included.

    Returns
    -------
    Verdict
        The score is the chance that no beat of the core is wrong, learnt from MIT-BIH records
        under noise; 0 where less than a fifth is usable, the wave has no isolated peaks, the few
        beats are unlike each other or a stretch between gaps is unheard, at most 0.5 where a rest
        is too short to be judged. What would pass but is no QRS complexes gets 0 too, and says
        `NO_QRS`.
    """
    chance = 1.0 / (1.0 + np.exp(-logits(_score(), inputs(indices)).clip(-40, 40)))
    few = (indices.n_beats < FEWEST_BEATS) | (indices.n_own < _FEWEST_OWN) | indices.unheard
    short = fault.usable * n_samples < JUDGED_FROM_S * fs_hz
    score = np.where(few, np.where(short, _UNJUDGED, 0.0), chance) * (1.0 - fault.clip)
    score = np.where(indices.unheard, 0.0, score)
    score = np.where(indices.ksqi < _FLUTTER_KURTOSIS, 0.0, score)
    asked = np.maximum(indices.n_beats, FEWEST_BEATS) * _SELDOM_S
    seldom = ~few & (asked * fs_hz <= fault.usable * n_samples)
    score = np.where(seldom & (indices.kinship < _LEAST_KIN) & (score >= GATE), 0.0, score)
    absent = fault.usable < _LEAST_COVERAGE
    score = np.where(absent, 0.0, score)
    standstill = indices.no_qrs & (score >= GATE)
    score = np.where(standstill, 0.0, score)
    reason = np.full(score.size, FeatureReason.NOISE, np.uint8)
    reason[few & ~(indices.ksqi < _NOISE_KURTOSIS)] = FeatureReason.TOO_FEW_BEATS
    reason[fault.clip > _CLIP_BLAMED] = FeatureReason.CLIP
    reason[absent] = FeatureReason.GAP
    reason[absent & (fault.flat > fault.gap)] = FeatureReason.FLAT
    reason[standstill] = FeatureReason.NO_QRS
    reason[score >= GATE] = FeatureReason.OK
    return Verdict(score, reason)


@lru_cache(maxsize=1)
def _score() -> Network:
    return from_text(judge_weights.SCORE)
