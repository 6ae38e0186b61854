"""One 10-s segment of PPG, with its context, becomes pulses and a verdict; many rows at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.ppg.motion import Rates, segment_rates
from features.ppg.pulses import Pulses, find
from features.ppg.quality import confidence, quality, shares
from features.ppg.wave import MAX_FS_HZ, MIN_FS_HZ
from features.runs import Bools, Floats, Ints

_MEDIAN_HZ: Final = 32.0  # enough samples for the level of a wave


class Acceleration(NamedTuple):
    """Movement of the same device over about the same time as the rows."""

    magnitude_g: Floats  # (B, m_samples); a row with any NaN counts as not known
    fs_hz: float


class PpgSegments(NamedTuple):
    """What analysing B rows gives; `pulses` is flat, by row, then position."""

    pulses: Pulses
    confidence: Floats  # (n_pulses,) 0-1
    usable: Bools  # (B, n_samples) neither gap nor flat: pulses of one run are neighbours
    quality: Floats  # (B,) 0-1; below 0.5 better not used
    bsqi: Floats  # (B,) 0-1, agreement of two detectors
    template_corr: Floats  # (B,) -1 to 1; NaN with fewer than two pulses to compare
    gap: Floats  # (B,) 0-1, share of samples, as the next two
    flat: Floats
    clip: Floats
    raw_median: Floats  # (B,) of the wave as sent; NaN without a sample
    reason: Ints  # (B,) FeatureReason, OK exactly when the row passes
    rates: Rates | None  # from the spectrum; None without an accelerometer


def analyse_ppg(
    x: Floats,
    fs_hz: float,
    acceleration: Acceleration | None = None,
    within: Bools | None = None,
) -> PpgSegments:
    """Pulses, fiducial points and quality of rows of PPG.

    Parameters
    ----------
    x : (B, n_samples) float64
        Core with 2 s of context on both sides; systole upwards, any unit; NaN marks a gap.
    fs_hz : float
        Sampling rate, 20 to 5000 Hz. At other rates everything is a gap.
    acceleration : Acceleration, optional
        Row i belongs to row i of `x`. Periodic movement in the wave lowers its quality.
    within : (B, n_samples) bool, optional
        The core: what gap, flat and clip shares refer to. Pulses are found in the whole row.

    Returns
    -------
    PpgSegments
        Never raises for what samples hold. A row's bits do not depend on other rows.

    Notes
    -----
    Checked against: ``tests/features/ppg/test_segment.py``.
    """
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:  # nothing can be made of it
        x, fs_hz = np.full(x.shape, np.nan), MIN_FS_HZ
    found = find(x, fs_hz)
    share = shares(x, fs_hz, found.usable, within)
    rates, motion = None, np.zeros(len(x))
    if acceleration is not None:
        rates = segment_rates(x, fs_hz, acceleration.magnitude_g, acceleration.fs_hz)
        motion = rates.motion
    verdict = quality(found, share, motion, fs_hz)
    return PpgSegments(
        found.pulses,
        confidence(found.pulses),
        found.usable,
        verdict.score,
        verdict.bsqi,
        verdict.template_corr,
        share.gap,
        share.flat,
        share.clip,
        _medians(x, fs_hz),
        verdict.reason,
        rates,
    )


def _medians(x: Floats, fs_hz: float) -> Floats:
    """Median of each row's samples, thinned to about 32 Hz."""
    step = max(1, int(fs_hz / _MEDIAN_HZ))
    ordered = np.sort(x[:, ::step], axis=1)  # NaN last
    n = (ordered == ordered).sum(axis=1)
    if ordered.shape[1] == 0:
        return np.full(len(x), np.nan)
    at = np.arange(len(x))
    low, high = ordered[at, np.maximum(n - 1, 0) // 2], ordered[at, np.minimum(n // 2, n - 1)]
    return np.where(n > 0, low + 0.5 * (high - low), np.nan)
