"""What sensors would see: waveforms from beat times, breath phase and movement. Pure functions.

Shapes are sums of Gaussians around the beat, after McSharry et al. (2003), IEEE Trans Biomed Eng
50:289, with the phase replaced by time since and until a beat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class _Wave(NamedTuple):
    size: float
    centre_s: float  # from the R peak at a heart rate of 60 /min
    width_s: float


_P = _Wave(0.12, -0.17, 0.022)  # mV
_Q = _Wave(-0.10, -0.026, 0.009)
_R = _Wave(1.10, 0.0, 0.011)
_S = _Wave(-0.22, 0.028, 0.010)
_T = _Wave(0.28, 0.29, 0.050)
_SYSTOLE = _Wave(1.0, 0.16, 0.060)
_DICROTIC = _Wave(0.42, 0.38, 0.090)
_TRANSIT_S = 0.20  # R peak to the foot of the pulse at the wrist


def ecg(t_s: Floats, beats_s: Floats, breath_rad: Floats) -> Floats:
    """Lead II.

    Parameters
    ----------
    t_s, breath_rad : (n,)
        Sample times, and phase of breathing there.
    beats_s : (n_beats,)
        R peaks, at least one before and one after all of `t_s`.

    Returns
    -------
    (n,) float64
        mV.
    """
    after = np.searchsorted(beats_s, t_s, side="right")
    since, until = t_s - beats_s[after - 1], beats_s[after] - t_s
    stretch = np.sqrt(np.clip(since + until, 0.25, 2.0))  # P and T move with the rate (Bazett)
    wave = sum(_bump(since, one, 1.0) for one in (_R, _S)) + _bump(since, _T, stretch)
    wave = wave + sum(_bump(-until, one, 1.0) for one in (_Q, _R)) + _bump(-until, _P, stretch)
    return np.asarray(wave * (1 + 0.06 * np.sin(breath_rad)))


def ppg(t_s: Floats, beats_s: Floats, breath_rad: Floats) -> Floats:
    """Pulse wave at the wrist; parameters as for `ecg` with two beats before `t_s`.

    Returns
    -------
    (n,) float64
        Sensor units; a systolic peak is about 1 above its foot.
    """
    feet = beats_s + _TRANSIT_S
    after = np.searchsorted(feet, t_s, side="right")
    since, before = t_s - feet[after - 1], t_s - feet[after - 2]
    stretch = np.sqrt(np.clip(before - since, 0.25, 2.0))
    wave = sum(_bump(age, one, stretch) for age in (since, before) for one in (_SYSTOLE, _DICROTIC))
    breath = np.sin(breath_rad)
    return np.asarray(wave * (1 + 0.07 * breath) + 0.12 * breath)


def resp(breath_rad: Floats) -> Floats:
    """Chest movement (n,): about ±1, a little faster in than out."""
    return np.asarray(np.sin(breath_rad) + 0.18 * np.sin(2 * breath_rad + 0.4))


def movement(t_s: Floats, begin_s: float, length_s: float) -> Floats:
    """How much somebody moves (n,): 0, and within the episode up to 1."""
    x = np.clip((t_s - begin_s) / length_s, 0, 1)
    return np.asarray(np.sin(np.pi * x) ** 2)


def _bump(age_s: Floats, wave: _Wave, stretch: Floats | float) -> Floats:
    return np.asarray(
        wave.size * np.exp(-0.5 * ((age_s - wave.centre_s * stretch) / wave.width_s) ** 2)
    )
