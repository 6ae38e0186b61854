"""Signal quality: how far a stretch of samples can be believed, and what is wrong with it.

The score rests on physiology repeating itself: a heart beat looks like other beats nearby, while
noise looks like nothing. Amplitude plays no part, so a small clean signal is a good one. ECG and
PPG are judged where their beats are found (`features.ecg.quality`, `features.ppg.quality`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import electrodermal, oximetry, runs, temperature
from features.ecg.quality import GATE as ECG_GATE
from features.ecg.segment import analyse_ecg
from features.feature import FeatureReason
from features.ppg.quality import GATE as PPG_GATE
from features.ppg.segment import analyse_ppg
from features.runs import Bools, Floats
from features.signals import SIGNALS, SignalKind
from features.variability.correction import LONGEST_NN_MS, SHORTEST_NN_MS

GATE: Final = 0.5  # a segment below it counts as a gap

_CLIP_REPORTED: Final = 0.05  # share of samples on a rail that is worth a word
_FLAT_REPORTED: Final = 0.1
_GAP_REPORTED: Final = 0.1
_FEWEST_BEATS: Final = 3  # fewer cannot be compared
_LEAST_USABLE: Final = 0.5  # of which, without a beat, one may say that it is noise
_SHORTEST_CLIP: Final = 3  # samples on the rail; one flat-topped peak is not clipping
_SHORTEST_CLIP_S: Final = 0.02
_RESP_FLAT_S: Final = 8.0  # impedance waves rest on a rail for seconds and still show breaths
_RESP_LAG_S: Final = 0.1
# A number outside is no measurement, as for the features made of it.
_LIMITS: Final = {
    SignalKind.ACC: (SIGNALS["acc_x"].lo, SIGNALS["acc_x"].hi),
    SignalKind.SPO2: (oximetry.LOWEST_PCT, oximetry.HIGHEST_PCT),
    SignalKind.TEMP: (temperature.LOWEST_C, temperature.HIGHEST_C),
    SignalKind.EDA: (electrodermal.LOWEST_US, electrodermal.HIGHEST_US),
    SignalKind.RR: (SHORTEST_NN_MS, LONGEST_NN_MS),
}


class Shares(NamedTuple):
    """Per row, the share of samples that are a gap, a flat line, or on a rail."""

    gap: Floats
    flat: Floats
    clip: Floats


class _Judged(NamedTuple):
    """One stretch."""

    score: float
    gap: float
    flat: float
    clip: float
    noisy: bool
    few: bool  # beats
    no_qrs: bool = False  # the beats are P waves, or pacing spikes


def signal_quality(
    x: NDArray[np.generic], fs_hz: float, kind: SignalKind | str
) -> tuple[float, tuple[str, ...]]:
    """How far one stretch of a signal can be believed.

    Parameters
    ----------
    x : (n_samples,) any numeric type
        A wave in any unit, a number in the signal's own (`features.signals`); NaN or infinite
        marks a gap, and so does a number that cannot be one, such as a saturation of 0 %. About
        5 s or more of a wave can be judged.
    fs_hz : float
        Sampling rate.
    kind : SignalKind or its name
        `ecg`, `ppg`, `resp`, or any other.

    Returns
    -------
    score : float
        0-1; below 0.5 (`GATE`) the stretch is better not used.
    reasons : tuple of str
        What is wrong: `gap`, `flat`, `clip`, `noise`, `too_few_beats`, `no_qrs`. Empty if nothing
        is.

    Raises
    ------
    ValueError
        If `kind` is not a kind of signal, or `x` has neither one nor two dimensions.

    Examples
    --------
    >>> signal_quality(np.zeros(1250), 125.0, "ecg")
    (0.0, ('flat',))
    """
    if kind not in list(SignalKind):
        raise ValueError(f"no kind of signal {kind!r}; valid: {', '.join(SignalKind)}")
    kind = SignalKind(kind)
    rows = runs.as_rows(x)[:1]
    if rows.size == 0 or not runs.is_rate(fs_hz):
        return 0.0, ("gap",)
    judged = _judged(rows, fs_hz, kind)
    reasons = [
        name
        for name, value, limit in (
            ("gap", judged.gap, _GAP_REPORTED),
            ("flat", judged.flat, _FLAT_REPORTED),
            ("clip", judged.clip, _CLIP_REPORTED),
        )
        if value > limit
    ]
    usable = max(0.0, 1.0 - judged.gap - judged.flat)
    if usable == 0:
        return 0.0, tuple(reasons)
    if judged.noisy and (not judged.few or usable > _LEAST_USABLE):
        reasons.append("noise")
    if judged.few:
        return 0.0, (*reasons, "too_few_beats")
    if judged.no_qrs:
        reasons.append("no_qrs")
    return usable * judged.score, tuple(reasons)


def shares(x: Floats, fs_hz: float, within: Bools, flat_s: float = _RESP_FLAT_S) -> Shares:
    """Gap, flat and clipped share of each row's samples inside the mask `within`.

    Parameters
    ----------
    x : (B, n_samples) float64
        NaN marks a gap.
    fs_hz : float
        Sampling rate.
    within : (B, n_samples) bool
    flat_s : float
        How long an unchanging value is no measurement.

    Returns
    -------
    Shares
        (B,) float64 each, 0-1. A row with nothing inside the mask is all gap.
    """
    count = runs.counts(within)
    total = np.maximum(count, 1)
    flat = runs.flat(x, fs_hz, flat_s)
    clip = runs.on_a_rail(x, max(_SHORTEST_CLIP, round(_SHORTEST_CLIP_S * fs_hz))) & ~flat
    return Shares(
        np.where(count > 0, runs.counts(np.isnan(x) & within) / total, 1.0),
        runs.counts(flat & within) / total,
        runs.counts(clip & within) / total,
    )


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


def _judged(x: Floats, fs_hz: float, kind: SignalKind) -> _Judged:
    """One row, by the rules of its kind."""
    if kind is SignalKind.ECG:
        ecg = analyse_ecg(x, fs_hz)
        gap, flat, clip = (float(p[0]) / 100.0 for p in (ecg.gap_pct, ecg.flat_pct, ecg.clip_pct))
        score, few = float(ecg.quality[0]), ecg.beats.row.size < _FEWEST_BEATS
        no_qrs = bool(ecg.reason[0] == FeatureReason.NO_QRS)
        noisy = score < ECG_GATE and not no_qrs
        return _Judged(score, gap, flat, clip, noisy, few, no_qrs)
    if kind is SignalKind.PPG:
        ppg = analyse_ppg(x, fs_hz)
        gap, flat, clip = (float(part[0]) for part in (ppg.gap, ppg.flat, ppg.clip))
        score, few = float(ppg.quality[0]), ppg.pulses.row.size < _FEWEST_BEATS
        return _Judged(score, gap, flat, clip, score < PPG_GATE, few)
    whole = np.ones(x.shape, np.bool_)
    if kind is SignalKind.RESP:
        gap, flat, clip = (float(part[0]) for part in shares(x, fs_hz, whole))
        score = float(smoothness(x, fs_hz)[0])
        few = bool(np.isnan(score))
        return _Judged(0.0 if few else score, gap, flat, clip, score < GATE, few)
    lo, hi = _LIMITS.get(kind, (-np.inf, np.inf))
    return _Judged(1.0, 1.0 - float(((x >= lo) & (x <= hi)).mean()), 0.0, 0.0, False, False)
