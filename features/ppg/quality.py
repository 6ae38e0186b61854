"""How far a stretch of PPG can be believed: one score, calibrated, and what is wrong.

Evidence is that two detectors agree, that pulses look alike and that the rhythm holds; the rhythm
weighs too little to condemn atrial fibrillation by itself.
Not here: gates of windows, other signals (`features.quality`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features import runs
from features.ecg import kernels
from features.feature import FeatureReason
from features.lean import number_or
from features.ppg.flat import row_mean
from features.ppg.pulses import Found, Pulses
from features.runs import Bools, Floats, Ints

GATE: Final = 0.5  # a segment below it counts as a gap
# Log-odds that at least 90 % of a segment's pulses are right (F1 against the ECG), by logistic
# regression on BIDMC and the 2015 challenge's pulse waves, coloured noise as bad and simulated
# atrial fibrillation as good. In folds by record: AUC 0.93 and 0.86, and what scores 0.8 is
# right in 83 % of cases.
_CONSTANT: Final = -12.7
_AGREEMENT: Final = 10.8
_LIKENESS: Final = 6.7
_IRREGULARITY: Final = -13.7
_MOST_IRREGULARITY: Final = 0.3  # atrial fibrillation: 0.15-0.28; white noise: 0.22
_FEWEST_ALIKE: Final = 2  # pulses that can be compared
_LEAST_USABLE: Final = 0.2
_JUDGED_FROM_S: Final = 5.0  # of usable wave: there, too few pulses are a finding
_UNJUDGED: Final = 0.5  # a rest too short to judge passes, but only just
_CLIP_BLAMED: Final = 0.2
_SHORTEST_CLIP: Final = 3  # samples on the rail; one flat-topped peak is not clipping
_SHORTEST_CLIP_S: Final = 0.02


class Shares(NamedTuple):
    """Per row, the share of samples that are a gap, a flat line, or on a rail; (B,) 0-1."""

    gap: Floats
    flat: Floats
    clip: Floats


class Quality(NamedTuple):
    """One value per row."""

    score: Floats  # 0-1; below `GATE` the row is better not used
    bsqi: Floats  # 0-1, agreement of the two detectors; 0 without any
    template_corr: Floats  # -1 to 1, mean likeness of neighbouring pulses; NaN with too few
    reason: Ints  # FeatureReason, OK exactly when the score passes the gate


def shares(x: Floats, fs_hz: float, usable: Bools, within: Bools | None = None) -> Shares:
    """Gap, flat and clipped share of each row's samples.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.
    usable : (B, n_samples) bool
        Neither gap nor flat, as `features.ppg.pulses.find` tells.
    within : (B, n_samples) bool, optional
        Which samples count; all by default. A row with none is all gap.

    Returns
    -------
    Shares
    """
    n = np.full(len(x), x.shape[1]) if within is None else runs.counts(within)
    out = Shares(np.where(n > 0, 0.0, 1.0), *np.zeros((2, len(x))))
    odd = np.flatnonzero(_odd(x, fs_hz, usable))
    if not odd.size:
        return out
    x, usable, total = x[odd], usable[odd], np.maximum(n[odd], 1)
    known = x == x
    gap, flat, clip = ~known, known & ~usable, _on_a_rail(x, fs_hz) & usable
    if within is not None:
        gap, flat, clip = (mask & within[odd] for mask in (gap, flat, clip))
    out.gap[odd] = np.where(n[odd] > 0, runs.counts(gap) / total, 1.0)
    out.flat[odd], out.clip[odd] = runs.counts(flat) / total, runs.counts(clip) / total
    return out


def _odd(x: Floats, fs_hz: float, usable: Bools) -> Bools:
    """Rows in which there may be a gap, a flat line or a rail; where loops are compiled only."""
    out = np.ones(len(x), np.bool_)
    if x.shape[1] and kernels.worth_it(len(x)):
        low, high = x.min(axis=1), x.max(axis=1)  # NaN where there is one
        rows, shortest = np.ascontiguousarray(x), _shortest_clip(fs_hz)
        kernels.over_pulse_waves().often(rows, low, high, shortest, out)
        out |= np.isnan(low) | ~usable.all(axis=1)
    return out


def _shortest_clip(fs_hz: float) -> int:
    """Samples at an extreme that are clipping."""
    return max(_SHORTEST_CLIP, round(_SHORTEST_CLIP_S * fs_hz))


def quality(found: Found, share: Shares, motion: Floats, fs_hz: float) -> Quality:
    """Judge rows by their pulses.

    Parameters
    ----------
    found : Found
        As `features.ppg.pulses.find` gives them.
    share : Shares
        Of the part of each row that counts.
    motion : (B,) float64
        0-1, share of the wave that movement explains (`features.ppg.motion`); 0 if not known.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    Quality
        Score = probability that at least 90 % of the pulses are right, times the share not on a
        rail, times what movement leaves. A rest of less than 5 s without pulses to compare gets
        0.5; less than 20 % of usable wave, an unheard stretch between gaps, or noise in which
        pulses drown, gets 0.
    """
    n_rows, votes = motion.size, found.votes
    seen = votes.by_slope + votes.by_area
    bsqi = 2.0 * votes.by_both / np.maximum(seen, 1)
    alike, n_alike = _likeness(found.pulses, n_rows)
    odds = _CONSTANT + _AGREEMENT * bsqi + _LIKENESS * np.maximum(number_or(alike), 0.0)
    odds += _IRREGULARITY * _irregularity(found.pulses, n_rows)
    score = 1.0 / (1.0 + np.exp(-odds))
    few = (n_alike < _FEWEST_ALIKE) | found.unheard
    short = runs.counts(found.usable) < _JUDGED_FROM_S * fs_hz
    score = np.where(few, np.where(short, _UNJUDGED, 0.0), score)
    score = (
        np.where(found.unheard | found.drowned, 0.0, score) * (1.0 - share.clip) * (1.0 - motion)
    )
    usable = 1.0 - share.gap - share.flat
    score = np.where(usable < _LEAST_USABLE, 0.0, score)
    reason = np.full(n_rows, FeatureReason.NOISE, np.intp)
    reason[few] = FeatureReason.TOO_FEW_BEATS
    reason[share.clip > _CLIP_BLAMED] = FeatureReason.CLIP
    absent = np.where(share.flat > share.gap, FeatureReason.FLAT, FeatureReason.GAP)
    reason = np.where(usable < _LEAST_USABLE, absent, reason)
    reason = np.where(score >= GATE, FeatureReason.OK, reason)
    return Quality(score, bsqi, alike, reason)


def confidence(pulses: Pulses) -> Floats:
    """How far each pulse can be believed, 0-1: its likeness, less where one detector sees it."""
    alike = np.clip(2.0 * pulses.likeness - 1.0, 0.0, 1.0)
    alike = np.where(np.isnan(alike), _UNJUDGED, alike)
    return np.asarray(alike * np.where(pulses.both, 1.0, 0.7), np.float64)


def _likeness(pulses: Pulses, n_rows: int) -> tuple[Floats, Ints]:
    """Mean likeness of each row's pulses and how many can be compared."""
    known = ~np.isnan(pulses.likeness)
    row = pulses.row[known]
    return row_mean(pulses.likeness[known], row, n_rows), np.bincount(row, minlength=n_rows)


def _irregularity(pulses: Pulses, n_rows: int) -> Floats:
    """Standard deviation over mean of the intervals between pulses, at most 0.3."""
    same = pulses.row[1:] == pulses.row[:-1]
    row, interval = pulses.row[1:][same], np.diff(pulses.position)[same]
    mean = row_mean(interval, row, n_rows)
    spread = np.sqrt(row_mean((interval - mean[row]) ** 2, row, n_rows)) / mean
    return np.minimum(np.where(np.isnan(spread), np.inf, spread), _MOST_IRREGULARITY)


def _on_a_rail(x: Floats, fs_hz: float) -> Bools:
    """Samples that stay at their row's extreme for at least 20 ms."""
    shortest = _shortest_clip(fs_hz)
    out = np.zeros(x.shape, np.bool_)
    if x.shape[1] == 0:
        return out
    for rail in (np.fmin.reduce(x, axis=1), np.fmax.reduce(x, axis=1)):
        on = x == rail[:, None]
        some = np.flatnonzero(runs.counts(on) >= shortest)
        if some.size == 0:
            continue
        row, start, stop = runs.spans(on[some])
        long = stop - start >= shortest
        out[some] |= runs.fill((some.size, x.shape[1]), row[long], start[long], stop[long])
    return out
