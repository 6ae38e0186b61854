"""What movement does to the pulse wave, told from the spectra both segments left behind.

Segments of wave and acceleration are analysed apart, as they may come apart; their spectra have
the same bins of 0.1 Hz, and that is enough to see a cadence. The same with samples of both at
hand: `features.ppg.motion`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.lean import number_or
from features.ppg.motion import HIGHEST_BPM, LOWEST_BPM
from features.runs import Floats
from features.spectrum_specs import SPECTRA

_BIN_HZ: Final = SPECTRA["ppg"].bin_hz
FIRST_BIN: Final = round(LOWEST_BPM / 60.0 / _BIN_HZ)
LAST_BIN: Final = round(HIGHEST_BPM / 60.0 / _BIN_HZ)
HZ: Final = np.arange(FIRST_BIN, LAST_BIN + 1) * _BIN_HZ
# As in `features.ppg.motion`.
_LINE_HEIGHT: Final = 0.1
_LINE_FROM: Final = 0.15
_LINE_FULL: Final = 0.45
_MOVING_MG: Final = 80.0  # mean deviation of |a| of a slow walk, SD 0.1 g
REJECTION: Final = 0.95
_NEAR_BINS: Final = 1

# As the loop takes them.
OF_LINES: Final = _LINE_HEIGHT, _LINE_FROM, _LINE_FULL, _MOVING_MG, _NEAR_BINS


class Movement(NamedTuple):
    """Movement as far as it concerns the wave."""

    line: Floats  # (..., n_bins) 0-1, 1 where the acceleration has a line; 30-240/min
    strength: Floats  # (...,) 0-1, how strong and periodic it is


def movement_of(acc_bins: Floats, mad_mg: Floats) -> Movement:
    """Lines of the acceleration at the frequencies of the pulse.

    Parameters
    ----------
    acc_bins : (B, S, >= n) float
        Power of the three axes in bins of 0.1 Hz; NaN for segments without.
    mad_mg : (B, S) float64
        Mean deviation of |a|; NaN likewise.

    Returns
    -------
    Movement
        Nothing where the movement is not known.
    """
    there = number_or(np.asarray(acc_bins[..., FIRST_BIN : LAST_BIN + 1], np.float64))
    top = there.max(axis=-1, keepdims=True)
    line = np.minimum(there / (_LINE_HEIGHT * np.where(top > 0, top, 1.0)), 1.0)
    near = np.abs(np.arange(HZ.size) - there.argmax(axis=-1)[..., None]) <= _NEAR_BINS
    total = there.sum(axis=-1)
    share = np.where(near, there, 0.0).sum(axis=-1) / np.where(total > 0, total, 1.0)
    periodic = np.clip((share - _LINE_FROM) / (_LINE_FULL - _LINE_FROM), 0.0, 1.0)
    return Movement(line, np.minimum(number_or(mad_mg) / _MOVING_MG, 1.0) * periodic)


def explained(ppg_bins: Floats, movement: Movement) -> Floats:
    """Share of the pulse band's power that movement explains, 0-1; 0 where nothing is known.

    Parameters
    ----------
    ppg_bins : (B, S, >= n) float
        Power of the wave in bins of 0.1 Hz.
    movement : Movement
        Of the same segments.
    """
    # Of the wave's slope: slow movement must not outweigh the pulse.
    power = number_or(np.asarray(ppg_bins[..., FIRST_BIN : LAST_BIN + 1], np.float64)) * HZ**2
    removed = REJECTION * movement.strength[..., None] * movement.line
    total = power.sum(axis=-1)
    return np.asarray((power * removed).sum(axis=-1) / np.where(total > 0, total, 1.0))


def without_cadence(bpm: Floats, weight: Floats, movement: Movement) -> Floats:
    """Weights of the rates that segments offer, less where a rate is one of movement.

    Parameters
    ----------
    bpm, weight : (B, S, N) float64
        As `features.ppg.motion.Rates`.
    movement : Movement
        Of the same segments.

    Returns
    -------
    (B, S, N) float64
    """
    place = np.rint(number_or(bpm) / 60.0 / _BIN_HZ).astype(np.intp) - FIRST_BIN
    at = np.clip(place, 0, HZ.size - 1)
    line = np.take_along_axis(movement.line, at, axis=-1)
    return np.asarray(weight * (1.0 - REJECTION * movement.strength[..., None] * line))
