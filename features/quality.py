"""Signal quality: how far a stretch of samples can be believed, and what is wrong with it.

The score rests on physiology repeating itself: a heart beat looks like other beats nearby, also
under ectopy (each beat needs only two like itself), while noise looks like nothing. Amplitude
plays no part, so a small clean signal is a good one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import beats, filters, runs
from features.beats import Beats
from features.ecg.segment import analyse_ecg
from features.runs import Bools, Floats, Ints
from features.signals import SignalKind

GATE: Final = 0.5  # a segment below it counts as a gap
FEWEST_BEATS: Final = 3  # fewer cannot be compared

_CLIP_REPORTED: Final = 0.05  # share of samples on a rail that is worth a word
_FLAT_REPORTED: Final = 0.1
_GAP_REPORTED: Final = 0.1
_SHORTEST_CLIP: Final = 3  # samples on the rail; one flat-topped peak is not clipping
_SHORTEST_CLIP_S: Final = 0.02
_RESP_FLAT_S: Final = 8.0  # impedance waves rest on a rail for seconds and still show breaths
_RESP_LAG_S: Final = 0.1
_MOST_BEATS: Final = 64  # compared with each other; the cost is quadratic
_SHAPE_HZ: Final = 125.0  # beats are compared at about this rate
# Likeness at which the score is 0: above the beats of white noise (99th percentile 0.34 ECG,
# 0.72 PPG: they are alike because they were chosen to be), and set so that the gate keeps clean
# recordings (all of BIDMC's lead II, 99.8 % of MIT-BIH) and still drops the worst motion noise.
_NOISE_LIKENESS: Final = {SignalKind.ECG: 0.45, SignalKind.PPG: 0.72}


class _Shape(NamedTuple):
    """What of a beat is compared."""

    band_hz: tuple[float, float]
    before_s: float
    after_s: float


_SHAPES: Final = {
    SignalKind.ECG: _Shape((0.5, 40.0), 0.3, 0.3),
    SignalKind.PPG: _Shape((0.5, 8.0), 0.2, 0.4),
}


class Shares(NamedTuple):
    """Per row, the share of samples that are a gap, a flat line, or on a rail."""

    gap: Floats
    flat: Floats
    clip: Floats


def signal_quality(
    x: NDArray[np.generic], fs_hz: float, kind: SignalKind | str
) -> tuple[float, tuple[str, ...]]:
    """How far one stretch of a signal can be believed.

    Parameters
    ----------
    x : (n_samples,) any numeric type
        Any unit; NaN or infinite marks a gap. About 5 s or more can be judged.
    fs_hz : float
        Sampling rate.
    kind : SignalKind or its name
        `ecg`, `ppg`, `resp`, `acc` or `scalar`.

    Returns
    -------
    score : float
        0-1; below 0.5 (`GATE`) the stretch is better not used.
    reasons : tuple of str
        What is wrong: `gap`, `flat`, `clip`, `noise`, `too_few_beats`. Empty if nothing is.

    Raises
    ------
    ValueError
        If `kind` is not a kind of signal, or `x` has neither one nor two dimensions.

    Examples
    --------
    >>> signal_quality(np.zeros(1250), 125.0, "ecg")
    (0.0, ('flat',))
    """
    kind = SignalKind(kind)
    rows = runs.as_rows(x)[:1]
    if rows.size == 0 or not runs.is_rate(fs_hz):
        return 0.0, ("gap",)
    share = shares(rows, fs_hz, kind, np.ones(rows.shape, np.bool_))
    gap, flat, clip = float(share.gap[0]), float(share.flat[0]), float(share.clip[0])
    reasons = [
        name
        for name, value, limit in (
            ("gap", gap, _GAP_REPORTED),
            ("flat", flat, _FLAT_REPORTED),
            ("clip", clip, _CLIP_REPORTED),
        )
        if value > limit
    ]
    usable = max(0.0, 1.0 - gap - flat)
    if usable == 0:
        return 0.0, tuple(reasons)
    likeness = float(_likeness_of(rows, fs_hz, kind)[0])
    if np.isnan(likeness):
        # A wave without beats is noise to whoever asks for quality.
        noise = ("noise",) if kind is SignalKind.ECG and usable > 0.5 else ()
        return 0.0, (*reasons, *noise, "too_few_beats")
    score = usable * likeness * (1.0 - clip if kind is SignalKind.PPG else 1.0)
    if likeness < GATE:
        reasons.append("noise")
    return score, tuple(reasons)


def shares(x: Floats, fs_hz: float, kind: SignalKind, within: Bools) -> Shares:
    """Gap, flat and clipped share of each row's samples inside the mask `within`.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.
    kind : SignalKind
    within : (B, n_samples) bool

    Returns
    -------
    Shares
        (B,) float64 each, 0-1. A row with nothing inside the mask is all gap.
    """
    count = within.sum(axis=1)
    total = np.maximum(count, 1)
    flat = np.zeros(x.shape, np.bool_)
    clip = flat
    rail = max(_SHORTEST_CLIP, round(_SHORTEST_CLIP_S * fs_hz))
    if kind in (SignalKind.ECG, SignalKind.PPG):
        flat = runs.flat(x, fs_hz)
        clip = runs.on_a_rail(x, rail) & ~flat
    elif kind is SignalKind.RESP:
        flat = runs.flat(x, fs_hz, _RESP_FLAT_S)
        clip = runs.on_a_rail(x, rail) & ~flat
    return Shares(
        np.where(count > 0, (np.isnan(x) & within).sum(axis=1) / total, 1.0),
        (flat & within).sum(axis=1) / total,
        (clip & within).sum(axis=1) / total,
    )


def beat_likeness(x: Floats, fs_hz: float, kind: SignalKind, found: Beats) -> Floats:
    """How alike each row's beats are: 0 as white noise, 1 as copies.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.
    kind : SignalKind
        ECG or PPG.
    found : Beats
        The beats of these rows.

    Returns
    -------
    (B,) float64
        Mean over beats of the correlation with the two beats most like it, rescaled so that
        noise is 0. NaN with fewer than three whole beats.

    Notes
    -----
    The correlation with one median beat, as usual, would condemn bigeminy.
    After Orphanidou et al. (2015), IEEE J Biomed Health Inform 19:832 (template matching).
    """
    out = np.full(len(x), np.nan)
    row, shapes = _shapes(x, fs_hz, _SHAPES[kind], found)
    borders = np.searchsorted(row, np.arange(len(x) + 1))
    floor = _NOISE_LIKENESS[kind]
    for i, (first, last) in enumerate(pairwise(borders.tolist())):
        own = shapes[first:last]
        if len(own) < FEWEST_BEATS:
            continue
        if len(own) > _MOST_BEATS:
            own = own[np.linspace(0, len(own) - 1, _MOST_BEATS).astype(np.intp)]
        # Products and sums, not a matrix product: BLAS may add in another order elsewhere.
        alike = (own[:, None, :] * own[None, :, :]).sum(axis=2)
        np.fill_diagonal(alike, -1.0)
        two_best = np.partition(alike, len(own) - 2, axis=1)[:, -2:]
        out[i] = ((two_best.mean() - floor) / (1.0 - floor)).clip(0.0, 1.0)
    return out


def smoothness(x: Floats, fs_hz: float) -> Floats:
    """Correlation of each row with itself 0.1 s later, 0-1: breathing is slow, noise is not.

    NaN samples are left out; NaN with fewer than three pairs; 0 for a constant row.
    """
    lag = max(1, round(_RESP_LAG_S * fs_hz))
    out = np.full(len(x), np.nan)
    if x.shape[1] <= lag + 2:
        return out
    early, late = x[:, :-lag], x[:, lag:]
    both = ~np.isnan(early) & ~np.isnan(late)
    n = both.sum(axis=1)
    many = np.maximum(n, 1)
    centre = np.where(both, early + late, 0.0).sum(axis=1) / (2 * many)
    a = np.where(both, early - centre[:, None], 0.0)
    b = np.where(both, late - centre[:, None], 0.0)
    power = 0.5 * ((a * a).sum(axis=1) + (b * b).sum(axis=1))
    alike = np.where(power > 0, (a * b).sum(axis=1) / np.where(power > 0, power, 1.0), 0.0)
    return np.where(n > 2, alike.clip(0.0, 1.0), np.nan)


def _likeness_of(x: Floats, fs_hz: float, kind: SignalKind) -> Floats:
    """The measure of noise that belongs to a kind of signal."""
    if kind is SignalKind.ECG:
        found = analyse_ecg(x, fs_hz)
        n_beats = np.bincount(found.beats.row, minlength=len(x))
        return np.where(n_beats < FEWEST_BEATS, np.nan, found.quality)
    if kind is SignalKind.PPG:
        return beat_likeness(x, fs_hz, kind, beats.pulses(x, fs_hz))
    if kind is SignalKind.RESP:
        return smoothness(x, fs_hz)
    return np.ones(len(x))


def _shapes(x: Floats, fs_hz: float, shape: _Shape, found: Beats) -> tuple[Ints, Floats]:
    """Row and normalised samples (mean 0, norm 1) around each beat that is whole."""
    step = max(1, round(fs_hz / _SHAPE_HZ))
    around = np.arange(-round(shape.before_s * fs_hz), round(shape.after_s * fs_hz) + 1, step)
    centre = np.rint(found.position).astype(np.intp)
    band = filters.band_pass(2, *shape.band_hz, fs_hz)
    whole = (centre + around[0] >= 0) & (centre + around[-1] < x.shape[1])
    if band is None or not whole.any():
        return np.empty(0, np.intp), np.empty((0, around.size))
    row, centre = found.row[whole], centre[whole]
    y = filters.zero_phase(band, _held(x), round(fs_hz))
    cut = y[row[:, None], centre[:, None] + around]
    cut = cut - cut.mean(axis=1, keepdims=True)
    norm = np.sqrt((cut * cut).sum(axis=1, keepdims=True))
    return row, cut / np.where(norm > 0, norm, 1.0)


def _held(x: Floats) -> Floats:
    """Rows whose gaps hold the last sample before them (the first one after, at the start)."""
    known = ~np.isnan(x)
    index = np.arange(x.shape[1])
    before = np.maximum.accumulate(np.where(known, index, -1), axis=1)
    first = np.argmax(known, axis=1)[:, None]
    held = np.take_along_axis(x, np.where(before < 0, first, before), axis=1)
    return np.nan_to_num(held, nan=0.0)
