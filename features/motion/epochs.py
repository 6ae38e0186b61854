"""One 10 s epoch of a three-axis accelerometer as a small vector of numbers.

Not here: what windows make of epochs (`features.motion.windows`), the correction of the axes
(`features.motion.calibration`). Stateless; the three axes are samples of the same instants.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.ecg import kernels
from features.intervals import Bools, Floats
from features.motion.steps import steps_of
from features.runs import is_rate
from features.segment_rows import divided
from features.spectrum_specs import SPECTRA
from features.waveform_spectra import Bins, axes_bins

# Below this SD of every axis a device lies still: van Hees et al. (2014), J Appl Physiol 117:738.
STILL_SD_G: Final = 0.013
# Band, dead zone and step of counts: Neishabouri et al. (2022), Sci Rep 12:11958 (ActiGraph).
COUNT_BAND_HZ: Final = (0.3, 3.0)
_COUNT_DEAD_G: Final = 0.068
_COUNT_STEP_G: Final = 0.01664
_COUNTS_PER_S: Final = 10.0
_LARGEST_G: Final = 64.0 * 3.0**0.5  # the signals' range on three axes
# A full-scale sine of 8 g on three axes; anything above is no acceleration of a person.
MOST_COUNTS: Final = 1e5


class MotionEpochs(NamedTuple):
    """Numbers of B epochs, (B,) or (B, 3) for x, y, z; NaN in an epoch without samples."""

    n: Floats  # instants with all three axes
    coverage: Floats  # their share of the epoch
    enmo_mg: Floats
    mad_mg: Floats
    mean_g: Floats  # (B, 3)
    sd_g: Floats  # (B, 3), ddof 0
    low_g: Floats  # (B, 3)
    high_g: Floats  # (B, 3)
    still: Floats  # 1 or 0
    counts: Floats  # NaN unless the epoch is complete
    steps: Floats
    step_intervals: Floats  # between successive steps of one bout
    gait_s: Floats  # their sum
    bins: Bins  # (B, n_bins) power of the three axes together


def epoch(x_g: Floats, y_g: Floats, z_g: Floats, fs_hz: float) -> MotionEpochs:
    """Movement, posture, counts and steps of each epoch.

    Parameters
    ----------
    x_g, y_g, z_g : (B, n) float64
        The cores of B epochs in g, sample by sample of the same instants; NaN is a gap.
    fs_hz : float
        25 to 100 Hz; other rates are taken as they are.

    Returns
    -------
    MotionEpochs
        An instant counts only where all three axes are there. Steps lost in gaps stay lost.

    Notes
    -----
    ENMO: 1000 mean(max(|a| - 1, 0)), van Hees et al. (2013), PLoS One 8:e61691. MAD:
    1000 mean(||a| - mean|a||), Vähä-Ypyä et al. (2015), Clin Physiol Funct Imaging 35:64.
    Counts: the RMS of the axes between 0.3 and 3 Hz, less the dead zone of 68 mg, in steps of
    16.64 mg, ten a second: the scale of ActiGraph's counts, not a copy of them.
    Checked against: ``tests/features/motion/test_epochs.py``.
    """
    return epochs_of(np.array([x_g, y_g, z_g], np.float64), fs_hz)


def epochs_of(axes: Floats, fs_hz: float) -> MotionEpochs:
    """`epoch` of the three axes in one array, `(3, B, n)`."""
    _, n_rows, n_samples = axes.shape
    if n_samples == 0 or n_rows == 0 or not is_rate(fs_hz):
        return _nothing(n_rows)
    told, axes = _looped(axes) if kernels.worth_it(n_rows) else _told(axes)
    n, sd = told.n, told.sd
    bins = axes_bins(axes, fs_hz, SPECTRA["acc"])
    steps = steps_of(told.away, fs_hz)
    known_as = np.where(n > 0, 0.0, np.nan)  # adds nothing, or makes it unknown
    return MotionEpochs(
        n,
        n / n_samples,
        told.enmo,
        told.mad,
        told.mean,
        sd,
        told.low,
        told.high,
        (sd.max(axis=1) < STILL_SD_G) + known_as,
        counts_of(bins),
        steps.steps + known_as,
        steps.intervals + known_as,
        steps.gait_s + known_as,
        bins,
    )


class _Told(NamedTuple):
    """What the samples of B epochs say one by one, in no other order than their own."""

    n: Floats
    enmo: Floats
    mad: Floats
    mean: Floats  # (B, 3), as the next three
    sd: Floats
    low: Floats
    high: Floats
    away: Floats  # (B, n) norm less its mean, 0 where unknown


def _looped(axes: Floats) -> tuple[_Told, Floats]:
    """`_told` by a loop."""
    _, n_rows, n_samples = axes.shape
    n, enmo, mad = np.empty((3, n_rows))
    known, away = np.empty((n_rows, n_samples), np.bool_), np.empty((n_rows, n_samples))
    of_axes = np.empty((n_rows, 3, 4))
    axes = np.ascontiguousarray(axes)
    if not _loops().epochs(axes, _LARGEST_G, known, away, (n, enmo, mad, of_axes)):
        axes = np.where(known, axes, np.nan)
    mean, sd, low, high = (np.ascontiguousarray(of_axes[:, :, k]) for k in range(4))
    return _Told(n, enmo, mad, mean, sd, low, high, away), axes


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.motion.loops")


def _told(axes: Floats) -> tuple[_Told, Floats]:
    """What the samples say, and the axes without samples that no person can make."""
    norm = np.sqrt(axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2)
    known = norm <= _LARGEST_G
    whole = bool(known.all())
    if not whole:
        axes = np.where(known, axes, np.nan)
        norm = np.where(known, norm, np.nan)
    n = known.sum(axis=1).astype(np.float64)
    away = _deviation(norm, known, n, whole)
    over = norm - 1.0
    np.maximum(over, 0.0, out=over)
    enmo = divided(_total(over, known, whole), n) * 1000.0
    mad = divided(np.abs(away).sum(axis=1), n) * 1000.0
    mean, sd, low, high = _each_axis(axes, known, n, whole)
    return _Told(n, enmo, mad, mean, sd, low, high, away), axes


def counts_of(bins: Bins) -> Floats:
    """Activity counts per second times 10 s from `(B, n_bins)` spectra; NaN for incomplete ones."""
    spec = SPECTRA["acc"]
    low, high = (round(edge / spec.bin_hz) for edge in COUNT_BAND_HZ)
    power = np.ascontiguousarray(bins[:, low:high], np.float64).sum(axis=1)
    live = np.maximum(np.sqrt(power) - _COUNT_DEAD_G, 0.0)
    counts = live / _COUNT_STEP_G * _COUNTS_PER_S * 10.0
    return np.asarray(np.minimum(counts, MOST_COUNTS), np.float64)


def _deviation(norm: Floats, known: Bools, n: Floats, whole: bool) -> Floats:
    """Norm less its mean in the epoch, 0 where unknown."""
    mean = divided(_total(norm, known, whole), n)
    away = norm - mean[:, None]
    return away if whole else np.where(known, away, 0.0)


def _each_axis(axes: Floats, known: Bools, n: Floats, whole: bool) -> list[Floats]:
    """Mean, SD, lowest and highest value of each axis, (B, 3) each."""
    mean = divided(_total(axes, known, whole), n[None])
    away = axes - mean[:, :, None]
    if whole:
        low, high = axes.min(axis=2), axes.max(axis=2)
    else:
        away = np.where(known, away, 0.0)
        some = n > 0
        low = np.where(some, np.where(known, axes, np.inf).min(axis=2), np.nan)
        high = np.where(some, np.where(known, axes, -np.inf).max(axis=2), np.nan)
    sd = np.sqrt(divided((away * away).sum(axis=2), n[None]))
    return [np.ascontiguousarray(number.T) for number in (mean, sd, low, high)]


def _total(a: Floats, known: Bools, whole: bool) -> Floats:
    """Sum of the known samples of each row."""
    return np.asarray((a if whole else np.where(known, a, 0.0)).sum(axis=-1), np.float64)


def _nothing(n_rows: int) -> MotionEpochs:
    """Epochs without a sample."""
    blank = np.full(n_rows, np.nan)
    vector = np.full((n_rows, 3), np.nan)
    zero = np.zeros(n_rows)
    bins = np.full((n_rows, SPECTRA["acc"].n_bins), np.nan, np.float32)
    return MotionEpochs(
        zero,
        zero,
        blank,
        blank,
        vector,
        vector,
        vector,
        vector,
        blank,
        blank,
        blank,
        blank,
        blank,
        bins,
    )
