"""Zero-phase filters with cached coefficients, and the low-pass decimation of slow waves."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from features import lanes
from features.ecg import kernels

Floats = NDArray[np.float64]

# A band edge must stay below half the sampling rate; closer than this the design is unstable.
_HIGHEST_SHARE_OF_NYQUIST: Final = 0.9
# Below this ratio of upper to lower edge nothing is left of the band.
_NARROWEST_BAND: Final = 1.1


@lru_cache(maxsize=256)
def band_pass(order: int, low_hz: float, high_hz: float, fs_hz: float) -> Floats | None:
    """Butterworth band-pass as second-order sections.

    Parameters
    ----------
    order : int
        Order of the prototype; the filter has twice as many poles.
    low_hz, high_hz : float
        Band edges. `high_hz` is lowered to 0.9 of half the sampling rate where it lies above.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    (sections, 6) float64 or None
        None if no band is left at this sampling rate.

    Examples
    --------
    >>> band_pass(1, 8.0, 20.0, 10.0) is None
    True
    """
    if not np.isfinite(fs_hz) or fs_hz <= 0:
        return None
    top = min(high_hz, _HIGHEST_SHARE_OF_NYQUIST * fs_hz / 2)
    if top < _NARROWEST_BAND * low_hz:
        return None
    sos = signal.butter(order, (low_hz, top), "bandpass", fs=fs_hz, output="sos")
    return np.asarray(sos, np.float64)


@lru_cache(maxsize=64)
def low_pass(order: int, high_hz: float, fs_hz: float) -> Floats | None:
    """Butterworth low-pass as second-order sections; None if it would pass everything."""
    if not np.isfinite(fs_hz) or high_hz >= _HIGHEST_SHARE_OF_NYQUIST * fs_hz / 2:
        return None
    sos = signal.butter(order, high_hz, "lowpass", fs=fs_hz, output="sos")
    return np.asarray(sos, np.float64)


def zero_phase(sos: Floats, x: Floats, pad: int) -> Floats:
    """Filter each row forwards and backwards, its ends continued by odd reflection.

    Parameters
    ----------
    sos : (sections, 6) float64
    x : (B, n_samples) float64
        Finite; n_samples at least 2.
    pad : int
        Samples of reflection at each end (fewer where the row is shorter).

    Returns
    -------
    (B, n_samples) float64
    """
    if kernels.worth_it(len(x)):
        return lanes.zero_phase(sos, x, pad)
    # As `scipy.signal.sosfiltfilt`, whose checks and initial state cost more than a row's filter.
    pad = min(pad, x.shape[-1] - 1)
    left, right = 2 * x[:, :1] - x[:, pad:0:-1], 2 * x[:, -1:] - x[:, -2 : -pad - 2 : -1]
    out = np.concatenate([left, x, right], axis=1)
    state = lanes.steady_state(sos)[:, None, :]
    for _ in range(2):  # forwards, then backwards
        out = signal.sosfilt(sos, out, axis=-1, zi=state * out[:, :1])[0][:, ::-1]
    return np.ascontiguousarray(out[:, pad : out.shape[1] - pad], np.float64)
