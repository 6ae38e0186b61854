"""Whether what was found are no QRS complexes: P waves alone, or the spikes of a pacemaker.

Where the ventricles stand still and the atria or a pacemaker go on, their waves are regular, alike
and peaked, as beats are. The mean wave tells: a QRS complex is steeper than a P wave and wider than
a spike, and a heart that has contracted recovers with a T wave.
Not here: what is usual for a patient (`features.usual_beats`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.ecg import kernels
from features.ecg.candidates import Block
from features.ecg.company import row_totals
from features.runs import Bools, Floats, Ints

FEWEST: Final = 3  # beats whose mean says anything
_REACH_S: Final = 0.45  # on either side of a beat
_QRS_S: Final = 0.08
_T_S: Final = (0.13, 0.42)  # after a beat
_REST_SHARE: Final = 4  # of a side, its outer quarter: the line there is no wave
_TINY: Final = 1e-9
# Log-odds of P waves against beats, of logarithms to the base 2: slope over height per second,
# height of what follows over height, and height in mV where the unit is known. Logistic regression
# of segments that pass the gate, by `benchmarks.train_ecg_standstill`; at the bars 0.05 % of 15,162
# segments of beats are refused. Records left out: 0.05 and 0.02 % of those, and 67 and 95 % of
# simulated P waves and of the records' own.
_BY_SHAPE: Final = (18.81, -5.98, -3.71)
_BY_SIZE: Final = (21.25, -8.83, -5.72, -4.15)
_SHAPE_BAR: Final = 4.81
_SIZE_BAR: Final = 4.34
# A pacemaker's spike that nothing answers: beyond 20 ms of its top nothing is as high as this share
# of it. Of 15,162 segments of beats none lies below 0.043: QRS has shoulders, or a T wave follows.
_SPIKE_S: Final = 0.02
_AROUND_S: Final = (0.2, 0.42)
_LEAST_AROUND: Final = 0.039
# Or, among noise and waves of another rhythm, which stay in the mean: from 12 to 60 ms from its top
# there is less than this share of it, and not more than twice of what lies before it, where nothing
# can answer; nor is anything later as high as a T wave. Of those segments none is as bare: a QRS
# complex lasts 40 ms and more.
_FLANK_S: Final = (0.012, 0.06)
_LEAST_FLANK: Final = 0.07
_BEFORE_S: Final = 0.2
_OF_BEFORE: Final = 2.0
_ANSWER: Final = 0.15
# Or a mean beat barer than this, however noisy: a heart answers each time alike, so that
# what follows, and stands next to the top, is far more standard errors from nothing than this.
_BARE_FLANK: Final = 0.08
_LEAST_ANSWER: Final = 4.0
_LEAST_T: Final = -5.0  # below it only noise is measured
_SIZES: Final = (-4.0, 1.0)  # 0.06 to 2 mV


class MeanBeats(NamedTuple):
    """Sums a mean beat is made of; one per run or row."""

    total: Floats  # (n, points)
    n_beats: Ints  # (n,) in it


def mean_beats(block: Block, row: Ints, peak: Ints) -> MeanBeats:
    """Sums over each run's beats that lie far enough from its ends.

    Parameters
    ----------
    block : Block
    row, peak : (n,) int
        Run and working sample of each beat, by run.
    """
    reach = round(_REACH_S * block.fs_hz)
    n_runs, n = block.slow.shape
    whole = (peak >= reach) & (peak < n - reach)
    row, peak = row[whole], peak[whole]
    n_beats = np.bincount(row, minlength=n_runs)
    if kernels.worth_it(n_runs) and n_beats.max(initial=0) <= kernels.MOST_ADDED:
        return MeanBeats(kernels.around(block.slow, (row, peak), reach), n_beats)
    cut = block.slow[row[:, None], peak[:, None] + np.arange(-reach, reach + 1)]
    return MeanBeats(row_totals(cut, row, n_runs), n_beats)


class Measures(NamedTuple):
    """What tells a mean beat from a P wave or spike, logarithms to the base 2; (n,) each."""

    known: Bools  # whether there is a mean beat
    steepness: Floats  # slope over height, per second
    t_wave: Floats  # height of what follows over height
    size: Floats  # height, in mV if the unit is known
    around: Floats  # highest excursion around the top over height, not a logarithm
    flank: Floats  # highest excursion next to it over height, likewise
    before: Floats  # range of what lies before it over height, likewise


class Verdict(NamedTuple):
    """What the mean beats of rows are; (n,) each."""

    no_qrs: Bools  # a P wave or a spike and nothing else; False with fewer than three beats
    qrs_odds: Floats  # log-odds of a beat against a P wave by shape, in any unit; NaN likewise
    bare: Bools  # not told, but bare enough to ask `answered`


def told(means: tuple[MeanBeats, MeanBeats], fs_hz: float, mv_per_unit: float | None) -> Verdict:
    """Whether the mean beat of rows is a QRS complex.

    Parameters
    ----------
    means : two MeanBeats
        Of rows: of all their beats, and of those of their cores.
    fs_hz : float
        Working rate.
    mv_per_unit : float or None
        None: the unit is not known, and the size says nothing.

    Returns
    -------
    Verdict

    Notes
    -----
    Checked against: ``tests/features/ecg/test_standstill.py``, ``benchmarks/bench_standstill.py``.
    """
    seen, own = (measures(mean, fs_hz, mv_per_unit or 1.0) for mean in means)
    steep, t_wave = seen.steepness, seen.t_wave
    by_shape = _BY_SHAPE[0] + _BY_SHAPE[1] * steep + _BY_SHAPE[2] * t_wave
    p_wave = by_shape > _SHAPE_BAR
    if mv_per_unit is not None:
        odds = _BY_SIZE[0] + _BY_SIZE[1] * steep + _BY_SIZE[2] * t_wave + _BY_SIZE[3] * seen.size
        p_wave = odds > _SIZE_BAR
    no_qrs = (seen.known & p_wave) | (own.known & _is_spike(own))
    bare = own.known & (own.flank < _BARE_FLANK) & ~no_qrs
    return Verdict(no_qrs, np.where(seen.known, -by_shape, np.nan), bare)


def answered(block: Block, run: int, peak: Ints) -> bool:
    """Whether anything follows the beats of a run each time, as the heart's answer to a spike does.

    Parameters
    ----------
    block : Block
    run : int
    peak : (n,) int
        Working samples of its beats.

    Returns
    -------
    bool
        True, too, where fewer than three beats lie far enough from the run's ends to tell.
    """
    reach = round(_REACH_S * block.fs_hz)
    peak = peak[(peak >= reach) & (peak < block.slow.shape[1] - reach)]
    if peak.size < FEWEST:
        return True
    beats = _levelled(block.slow[run, peak[:, None] + np.arange(-reach, reach + 1)])
    mean, error = beats.mean(axis=0), beats.std(axis=0, ddof=1) / np.sqrt(peak.size)
    side = round(_QRS_S * block.fs_hz)
    top = np.abs(mean[reach - side : reach + side + 1]).argmax() + reach - side
    since = np.arange(mean.size) - top
    near, far = (s * block.fs_hz for s in _FLANK_S)
    asked = (np.abs(since) > near) & (since >= -far) & (since < round(_AROUND_S[1] * block.fs_hz))
    return bool(np.any(np.abs(mean[asked]) >= _LEAST_ANSWER * error[asked]))


def _levelled(beat: Floats) -> Floats:
    """Beats less the line through the outer quarters of their sides."""
    rest = max(1, beat.shape[1] // 2 // _REST_SHARE)
    first, last = beat[:, :rest].mean(axis=1), beat[:, -rest:].mean(axis=1)
    return np.asarray(
        beat - first[:, None] - (last - first)[:, None] * np.linspace(0.0, 1.0, beat.shape[1]),
        np.float64,
    )


def _is_spike(seen: Measures) -> Bools:
    """Whether mean beats are spikes that nothing answers."""
    bar = np.minimum(_OF_BEFORE * seen.before, _LEAST_FLANK)
    hidden = (seen.flank < bar) & (seen.around < _ANSWER)
    return np.asarray((seen.around < _LEAST_AROUND) | hidden, np.bool_)


def measures(mean: MeanBeats, fs_hz: float, mv_per_unit: float) -> Measures:
    """Steepness, T wave, size and surroundings of the mean beats of rows."""
    seen = (
        _compiled_sizes(mean, fs_hz) if kernels.worth_it(len(mean.total)) else _sizes(mean, fs_hz)
    )
    height, steepest, before, follows, around, flank = seen
    slope = steepest * (0.5 * fs_hz)
    known = (mean.n_beats >= FEWEST) & (height > 0)
    height = np.where(known, height, 1.0)
    return Measures(
        known,
        np.log2(slope / height + _TINY),
        np.log2(follows / height + _TINY).clip(_LEAST_T, 0.0),
        np.log2(height * mv_per_unit + _TINY).clip(*_SIZES),
        around / height,
        flank / height,
        before / height,
    )


def _sizes(mean: MeanBeats, fs_hz: float) -> tuple[Floats, ...]:
    """Height and steepest step of mean beats, ranges before and after, excursions."""
    beat = _levelled(mean.total / np.maximum(mean.n_beats, 1)[:, None])
    reach = beat.shape[1] // 2
    side, begin, end = (round(s * fs_hz) for s in (_QRS_S, *_T_S))
    qrs = beat[:, reach - side : reach + side + 1]
    return (
        np.ptp(qrs, axis=1),
        np.abs(qrs[:, 2:] - qrs[:, :-2]).max(axis=1),
        np.ptp(beat[:, : max(1, reach - round(_BEFORE_S * fs_hz))], axis=1),
        np.ptp(beat[:, reach + begin : reach + end], axis=1),
        *_excursions(beat, reach, fs_hz),
    )


def _compiled_sizes(mean: MeanBeats, fs_hz: float) -> tuple[Floats, ...]:
    """The same by a loop."""
    n = mean.total.shape[1]
    reach = n // 2
    side, begin, end, before, after = (round(s * fs_hz) for s in (_QRS_S, *_T_S, *_AROUND_S))
    spec = (
        max(1, reach // _REST_SHARE),
        side,
        max(1, reach - round(_BEFORE_S * fs_hz)),
        (begin, end),
        (before, after, float(np.ceil(_SPIKE_S * fs_hz))),
        (_FLANK_S[0] * fs_hz, _FLANK_S[1] * fs_hz),
    )
    out = np.empty((6, len(mean.total)))
    along = np.linspace(0.0, 1.0, n)
    kernels.over_beats().mean_measures(tuple(mean), along, spec, out)
    return tuple(out)


def _excursions(beat: Floats, reach: int, fs_hz: float) -> tuple[Floats, Floats]:
    """Highest excursion of each mean beat around its top, and next to it, the top left out."""
    size, side = np.abs(beat), round(_QRS_S * fs_hz)
    top = size[:, reach - side : reach + side + 1].argmax(axis=1) + reach - side
    since = np.arange(beat.shape[1]) - top[:, None]
    before, after = (round(s * fs_hz) for s in _AROUND_S)
    around = (since >= -before) & (since < after) & (np.abs(since) > np.ceil(_SPIKE_S * fs_hz))
    near, far = (s * fs_hz for s in _FLANK_S)
    flank = (np.abs(since) > near) & (np.abs(since) <= far)
    return np.where(around, size, 0.0).max(axis=1), np.where(flank, size, 0.0).max(axis=1)
