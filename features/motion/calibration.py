"""Gain and offset of three axes from rest: a device that lies still measures 1 g.

Not here: which epochs are still (`features.motion.epochs`). The state is 28 numbers a device.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.intervals import Floats
from features.lean import number_or

N_STATE: Final = 28  # upper half of a 6 x 6 matrix, 6 sums, epochs seen
# Scatter of a still epoch's norm, and how far gains and offsets may be expected from 1 and 0:
# their squared ratio is what the prior weighs against one epoch.
_NOISE_G: Final = 0.01
_GAIN_SD: Final = 0.05
_OFFSET_SD_G: Final = 0.05
_MEMORY: Final = 8640.0  # epochs: a day at rest; what came before fades
_LARGEST_CHANGE: Final = 0.25  # beyond it the device is broken, not off
_UPPER: Final = np.triu_indices(6)
# The squares' coefficients are gains squared, those of the axes twice gain times offset.
_PRIOR: Final = np.array(
    [(_NOISE_G / _GAIN_SD) ** 2] * 3 + [(_NOISE_G / (2.0 * _OFFSET_SD_G)) ** 2] * 3
)


class Calibration(NamedTuple):
    """Corrected axes are `gain * axis + offset_g`."""

    gain: Floats  # (B, 3)
    offset_g: Floats  # (B, 3)
    epochs: Floats  # (B,) still epochs it rests on


def fresh(n_rows: int) -> Floats:
    """State of devices never seen: `(B, 28)`."""
    return np.zeros((n_rows, N_STATE))


def learned(state: Floats, mean_g: Floats, still: Floats) -> Floats:
    """State after one more epoch of each device.

    Parameters
    ----------
    state : (B, 28) float64
    mean_g : (B, 3) float64
        Mean of each axis, as `MotionEpochs.mean_g`.
    still : (B,) float64
        1 where the epoch was still; anything else leaves the state as it is.

    Returns
    -------
    (B, 28) float64
    """
    norm = np.sqrt((mean_g**2).sum(axis=1))
    use = (still == 1.0) & (np.abs(norm - 1.0) < _LARGEST_CHANGE)
    terms = np.concatenate([mean_g**2, mean_g], axis=1)
    step = np.concatenate(
        [terms[:, _UPPER[0]] * terms[:, _UPPER[1]], terms, np.ones((len(state), 1))], axis=1
    )
    kept = np.where(state[:, -1:] >= _MEMORY, 1.0 - 1.0 / _MEMORY, 1.0)
    return np.where(use[:, None], state * kept + number_or(step), state)


def calibration(state: Floats) -> Calibration:
    """Gains and offsets that bring the still epochs closest to 1 g.

    Parameters
    ----------
    state : (B, 28) float64

    Returns
    -------
    Calibration
        1 and 0 for a fresh state; directions never seen stay there.

    Notes
    -----
    Least squares of sum(a_i m_i² + b_i m_i) = 1 over the still means m, pulled to a = 1, b = 0 as
    one epoch's noise of 10 mg weighs against 5 % of gain and 50 mg of offset. The sphere of
    van Hees et al. (2014), J Appl Physiol 117:738, in one step and with constant memory.
    Checked against: ``tests/features/motion/test_calibration.py``.
    """
    matrix = np.zeros((len(state), 6, 6))
    matrix[:, _UPPER[0], _UPPER[1]] = matrix[:, _UPPER[1], _UPPER[0]] = state[:, :21]
    matrix[:, range(6), range(6)] += _PRIOR
    right = state[:, 21:27].copy()
    right[:, :3] += _PRIOR[:3]
    found = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    square, twice = np.maximum(found[:, :3], 0.25), found[:, 3:]
    radius = 1.0 + (twice**2 / (4.0 * square)).sum(axis=1, keepdims=True)
    gain = np.sqrt(square / radius)
    offset = gain * twice / (2.0 * square)
    low, high = 1.0 - _LARGEST_CHANGE, 1.0 + _LARGEST_CHANGE
    return Calibration(
        np.clip(gain, low, high),
        np.clip(offset, -_LARGEST_CHANGE, _LARGEST_CHANGE),
        state[:, -1].copy(),
    )


def corrected(axes: Floats, found: Calibration) -> Floats:
    """Three axes, `(3, B, n)` in g, with each row's own gain and offset applied."""
    moved = np.multiply(found.gain.T[:, :, None], axes, order="C")  # a row's samples side by side
    moved += found.offset_g.T[:, :, None]
    return moved
