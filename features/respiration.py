"""Respiration of a patient's windows: rate, its source, variability and pauses, with reasons.

From the chest wave where it can be counted, else from what breathing does to the ECG and the
pulse wave, followed over time. The parts are in `features.breathing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import runs
from features.breathing import recording, windows
from features.breathing.apnoea import apnoea_s
from features.breathing.spectrum import LEAST_COVERAGE
from features.breathing.wave import (
    MIN_FS_HZ,
    WAVE_HZ,
    WaveRate,
    breath_rate,
    breath_wave,
    breaths,
    wave_rate,
)
from features.breathing.windows import Evidence, Fused, RespSource, Windows
from features.catalog import FeatureReason
from features.column import Column
from features.runs import Bools, Floats, Ints

__all__ = [
    "WAVE_HZ",
    "breath_rate",
    "breath_wave",
    "fused_columns",
    "rate_columns",
    "respiration_rate",
    "wave_columns",
]

MIN_SAMPLES: Final = 2
# A rate from ECG and PPG comes with the probability that it is right within 2/min: one that is
# more likely wrong than right is not reported. At the wave's gate 96 % of BIDMC's windows pass
# (the two annotators disagree in the others) and 0, 7 and 4 % of white, low-passed, brown noise.
LEAST_PROBABLE: Final = 0.5
LEAST_WAVE_QUALITY: Final = 0.5
FEWEST_CV_INTERVALS: Final = 5
# As numbers once: NumPy asks a member of an enumeration ten questions before it takes it for one.
_OK, _GAP, _FLAT, _TOO_FEW_BEATS, _UNDEFINED, _LOW_QUALITY = (
    np.uint8(reason)
    for reason in (
        FeatureReason.OK,
        FeatureReason.GAP,
        FeatureReason.FLAT,
        FeatureReason.TOO_FEW_BEATS,
        FeatureReason.UNDEFINED,
        FeatureReason.LOW_QUALITY,
    )
)
_BY_WAVE: Final = int(RespSource.WAVE)


def rate_columns(asked: Windows, state: Floats) -> tuple[dict[str, Column], Floats]:
    """Respiration rates of windows, by catalogue name.

    Parameters
    ----------
    asked : Windows
        One window each of B patients; 60 s in the catalogue, 16 to 120 s possible.
    state : (B, 84) float64
        What the last call returned for these patients, `tracking.fresh_state` at first.

    Returns
    -------
    columns : dict
        `resp_rate_per_min` (fused, followed over time), `resp_source` (`RespSource`),
        `resp_wave_rate_per_min`, `resp_ecg_rate_per_min`, `resp_ppg_rate_per_min` (each source
        by itself, without history).
    state : (B, 84) float64
        For each patient's next window.

    Notes
    -----
    `n` is the number of breath intervals where the wave was used, else of beats.
    Checked against: ``tests/features/test_respiration.py``.
    """
    found = windows.evidence_of(asked)
    fused = windows.fuse(found, state, asked.end_us)
    return fused_columns(found, fused), fused.state


def fused_columns(found: Evidence, fused: Fused) -> dict[str, Column]:
    """The columns of `rate_columns`."""
    by_wave = fused.source == _BY_WAVE
    n = np.where(by_wave, found.wave.n, found.ecg.n + found.ppg.n)
    beats_covered = np.maximum(found.ecg.coverage, found.ppg.coverage)
    covered = np.where(by_wave, found.wave_coverage, beats_covered)
    least = np.where(by_wave, LEAST_WAVE_QUALITY, LEAST_PROBABLE)
    why = _reason(np.isfinite(fused.rate_per_min), fused.quality >= least, covered)
    source = fused.source.astype(np.float64)
    wave_why = _wave_reason(found)
    columns = {
        "resp_rate_per_min": _column(fused.rate_per_min, fused.quality, covered, n, why),
        "resp_source": _column(source, fused.quality, covered, n, why),
        "resp_wave_rate_per_min": _column(
            found.wave.rate_per_min, found.wave_quality, found.wave_coverage, found.wave.n, wave_why
        ),
    }
    for signal, one in (("ecg", found.ecg), ("ppg", found.ppg)):
        why = _reason(one.known, one.quality >= LEAST_PROBABLE, one.coverage)
        columns[f"resp_{signal}_rate_per_min"] = _column(
            one.per_min, one.quality, one.coverage, one.n, why
        )
    return columns


def wave_columns(wave: Floats, counted: WaveRate | None = None) -> dict[str, Column]:
    """What only the chest wave tells, by catalogue name: `resp_rate_cv`, `resp_apnoea_s`.

    Parameters
    ----------
    wave : (B, n_samples) float64
        Chest wave at 4 Hz of windows of any one length; NaN marks a gap.
    counted : WaveRate, optional
        What is counted in it, where that is known already.

    Returns
    -------
    dict
        Variability needs 5 breath intervals, pauses a moving wave; both coverage 0.5. Neither is
        refused for irregular breathing, which is what they measure.
    """
    found = counted or wave_rate(breaths(wave, WAVE_HZ), len(wave))
    covered = np.isfinite(wave).sum(axis=1) / max(wave.shape[1], 1)
    enough = found.n >= FEWEST_CV_INTERVALS
    known = covered >= LEAST_COVERAGE
    why = np.where(enough, _OK, _TOO_FEW_BEATS)
    why = np.where(known, why, _GAP)
    paused_s = apnoea_s(wave)
    moving = np.where(np.isfinite(paused_s), _OK, _FLAT)
    moving = np.where(known, moving, _GAP)
    return {
        "resp_rate_cv": _column(found.cv, found.regular, covered, found.n, why),
        "resp_apnoea_s": _column(paused_s, covered, covered, found.n, moving),
    }


def respiration_rate(
    signals: Mapping[str, NDArray[np.generic]], fs_hz: float
) -> tuple[float, float]:
    """Respiration rate of one stretch of a patient's signals.

    Parameters
    ----------
    signals : mapping of signal name to (n_samples,) array
        Any of `resp`, `ecg`, `ppg`, in any unit; not finite marks a gap. Others are ignored.
    fs_hz : float
        Their sampling rate: `resp` needs at least 2 Hz, the others 20 Hz.

    Returns
    -------
    rate_per_min : float
        Up to 90 s: the rate of the one window. Longer: the mean over 60-s windows every 10 s,
        followed over time, weighted by quality. NaN if no signal says anything.
    quality : float
        0-1. From ECG and PPG: the probability that the rate is right within 2/min.

    Examples
    --------
    >>> respiration_rate({"ecg": np.zeros(1000)}, 125.0)
    (nan, 0.0)
    >>> t = np.arange(240) / 4
    >>> rate, quality = respiration_rate({"resp": np.sin(2 * np.pi * 0.25 * t)}, 4.0)
    >>> round(rate, 1), quality
    (15.0, 1.0)
    """
    if not MIN_FS_HZ <= fs_hz <= runs.MOST_FS_HZ:
        return float("nan"), 0.0
    rows = {k: runs.as_rows(signals[k])[:1] for k in ("resp", "ecg", "ppg") if k in signals}
    longest = max((x.shape[1] for x in rows.values()), default=0)
    if longest < MIN_SAMPLES:
        return float("nan"), 0.0
    parts = [(fused.rate_per_min, fused.quality) for fused in recording.followed(rows, fs_hz)]
    rate, quality = (np.concatenate(part) for part in zip(*parts, strict=True))
    usable = np.isfinite(rate) & (quality > 0)
    if not usable.any():
        return float("nan"), 0.0
    weighted = (rate[usable] * quality[usable]).sum() / quality[usable].sum()
    return float(weighted), float(np.where(usable, quality, 0.0).mean())


def _column(value: Floats, quality: Floats, covered: Floats, n: Ints, reason: Ints) -> Column:
    """One feature of all rows; NaN where there is a reason not to give it."""
    ok = reason == _OK
    return Column(
        np.where(ok, value, np.nan),
        np.asarray(quality, np.float64),
        np.asarray(covered, np.float64),
        np.asarray(n, np.int64),
        np.asarray(reason, np.uint8),
    )


def _reason(known: Bools, believable: Bools, covered: Floats) -> Ints:
    """OK, or why there is no rate."""
    absent = np.where(covered >= LEAST_COVERAGE, _UNDEFINED, _GAP)
    found = np.where(believable, _OK, _LOW_QUALITY)
    return np.where(known, found, absent)


def _wave_reason(found: Evidence) -> Ints:
    """OK, or why the wave gives no rate."""
    counted = np.isfinite(found.wave.rate_per_min)
    believable = found.wave_quality >= LEAST_WAVE_QUALITY
    why = np.where(believable, _OK, _LOW_QUALITY)
    why = np.where(counted, why, _TOO_FEW_BEATS)
    return np.where(found.wave_coverage >= LEAST_COVERAGE, why, _GAP)
