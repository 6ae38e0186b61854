"""Heart beats: R peaks of the ECG and pulses of the PPG, at sub-sample positions.

Not here: which beats belong to which window, RR intervals and their correction.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features import runs
from features.ecg import detector
from features.ecg.decision import REFRACTORY_S
from features.ppg import pulses as ppg_pulses
from features.ppg.choice import REFRACTORY_S as PPG_REFRACTORY_S
from features.ppg.pulses import detect_pulses
from features.runs import Floats, Ints

__all__ = [
    "ECG_REFRACTORY_S",
    "PPG_REFRACTORY_S",
    "Beats",
    "detect_pulses",
    "detect_r_peaks",
    "pulses",
    "r_peaks",
]

ECG_REFRACTORY_S: Final = REFRACTORY_S


class Beats(NamedTuple):
    """Beats of a batch, sorted by row, then position. Rows without beats are absent."""

    row: Ints
    position: Floats  # samples from the row's first
    amplitude: Floats  # of the band-passed wave, in the signal's unit, at least 0


def detect_r_peaks(ecg: NDArray[np.generic], fs_hz: float) -> Floats | list[Floats]:
    """Positions of the R peaks.

    Parameters
    ----------
    ecg : (n_samples,) or (B, n_samples), any numeric type
        ECG of either polarity in any unit; NaN or infinite marks a gap.
    fs_hz : float
        Sampling rate, 25 to 2000 Hz. At other rates nothing is found.

    Returns
    -------
    (n_beats,) float64, or a list of B such arrays
        Samples from the first, ascending, to a fraction of a sample. Empty if there is no beat.

    Raises
    ------
    ValueError
        If `ecg` has neither one nor two dimensions.

    Notes
    -----
    Every summit of the 8-24 Hz envelope is a candidate; two small networks decide which are
    beats by size, shape and rhythm among their neighbours; the peak of the 4-30 Hz wave is then
    placed by a quartic. Rows above 20 s are cut into 10 s with 2 s on either side, as a stream
    is. Runs between gaps are looked at by themselves; beats within 0.25 s of a cut are dropped;
    runs shorter than 2 s give none.
    Source: own; the energy ratio among the inputs after Elgendi (2013), PLoS One 8:e73557.
    Checked against: ``tests/features/test_beats.py``, ``benchmarks/bench_beats_ecg.py``.
    """
    return _by_row(r_peaks(runs.as_rows(ecg), fs_hz), ecg)


def r_peaks(x: Floats, fs_hz: float) -> Beats:
    """R peaks of `[B, n]` float64 rows, NaN = gap; see `detect_r_peaks`."""
    found = detector.in_rows(x, fs_hz)
    return Beats(found.row, found.position, found.amplitude)


def pulses(x: Floats, fs_hz: float) -> Beats:
    """Pulses of `[B, n]` segments, float64, NaN = gap; see `features.ppg.pulses.find`."""
    found = ppg_pulses.find(x, fs_hz).pulses
    return Beats(found.row, found.position, found.amplitude)


def _by_row(beats: Beats, like: NDArray[np.generic]) -> Floats | list[Floats]:
    """Positions in the shape the caller gave: one array, or one per row."""
    if np.ndim(like) == 1:
        return beats.position
    n_rows = np.shape(like)[0]
    borders = np.searchsorted(beats.row, np.arange(n_rows + 1)).tolist()
    return [beats.position[first:last] for first, last in pairwise(borders)]
