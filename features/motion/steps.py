"""Steps in an epoch: regular peaks of the acceleration's norm.

Not here: whether the person walks for long, where (`features.motion.windows`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.intervals import Bools, Floats, Ints, row_sums

# A box of this length passes steps (to 3 Hz) and stops the ringing of the shoe; the longer one
# takes away posture.
_SMOOTH_S: Final = 0.22
_TREND_S: Final = 1.3
_LEAST_PEAK_G: Final = 0.04  # above the trend; wrists at a desk stay below most of the time
# 50 to 200 steps a minute: from a shuffle to a sprint.
SHORTEST_STEP_S: Final = 0.3
LONGEST_STEP_S: Final = 1.2
_UNEVEN: Final = 0.25  # share of an interval by which the next may differ
_FEWEST_STEPS: Final = 5  # in a row: fewer are gestures


class Steps(NamedTuple):
    """Of B epochs, (B,) each."""

    steps: Floats
    intervals: Floats  # between successive steps of one bout
    gait_s: Floats  # their sum


def steps_of(away_g: Floats, fs_hz: float) -> Steps:
    """Steps of each epoch.

    Parameters
    ----------
    away_g : (B, n) float64
        Norm of the acceleration less its mean in the epoch; 0 where unknown.
    fs_hz : float

    Returns
    -------
    Steps
        A bout is at least five peaks of more than 40 mg, 0.3 to 1.2 s apart, no interval more
        than a quarter longer or shorter than the one before. Bouts do not cross epochs.

    Notes
    -----
    Our own rule. Cadence 1.4-2.3 Hz of ordinary walking: Straczkiewicz et al. (2023), npj Digit
    Med 6:29; here 0.8-3.3 Hz, from frail to running.
    Checked against: ``tests/features/motion/test_steps.py``.
    """
    n_rows, n = away_g.shape
    if n < 3 or fs_hz < 2.0 / SHORTEST_STEP_S:  # too slow a rate to show a step
        return Steps(np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows))
    active = np.flatnonzero(away_g.max(axis=1) > _LEAST_PEAK_G)  # a resting wrist costs nothing
    row, at = _peaks(_detrended(away_g[active], fs_hz), SHORTEST_STEP_S * fs_hz)
    row = active[row]
    gap_s = np.diff(at) / fs_hz
    even = (row[1:] == row[:-1]) & (gap_s >= SHORTEST_STEP_S) & (gap_s <= LONGEST_STEP_S)
    member, inside = _bouts(gap_s, even)
    return Steps(
        np.bincount(row[member], minlength=n_rows).astype(np.float64),
        np.bincount(row[1:][inside], minlength=n_rows).astype(np.float64),
        row_sums(gap_s[inside], row[1:][inside], n_rows),
    )


def _detrended(x: Floats, fs_hz: float) -> Floats:
    """Short less long centred running mean of each row, both shorter at the row's ends."""
    n = x.shape[1]
    short, long = (max(int(width_s * fs_hz / 2.0), 1) for width_s in (_SMOOTH_S, _TREND_S))
    # Sums from the row's start, continued on both sides so that boxes may reach over its ends.
    total = np.zeros((x.shape[0], n + 1 + 2 * long))
    np.cumsum(x, axis=1, out=total[:, long + 1 : long + 1 + n])
    total[:, long + 1 + n :] = total[:, long + n, None]
    return _box(total, n, long, short) - _box(total, n, long, long)


def _box(total: Floats, n: int, pad: int, half: int) -> Floats:
    """Mean of the `2 half + 1` samples around each, from padded running sums."""
    at = np.arange(n)
    size = np.minimum(at + half + 1, n) - np.maximum(at - half, 0)
    after = total[:, pad + half + 1 : pad + half + 1 + n]
    mean = after - total[:, pad - half : pad - half + n]
    mean /= size
    return np.asarray(mean, np.float64)


def _peaks(wave: Floats, refractory: float) -> tuple[Ints, Floats]:
    """Row and place of the peaks, the larger of two that are too close."""
    n = wave.shape[1]
    place = np.flatnonzero(wave.reshape(-1) > _LEAST_PEAK_G)
    row, at = np.divmod(place, n)
    row, at = row[(at > 0) & (at < n - 1)], at[(at > 0) & (at < n - 1)]
    here = wave[row, at]
    top = (here > wave[row, at - 1]) & (here >= wave[row, at + 1])
    row, at = row[top], at[top]
    for _ in range(3):  # three peaks within 0.3 s at most survive the smoothing
        height = wave[row, at]
        close = (row[1:] == row[:-1]) & (np.diff(at) < refractory)
        drop = np.zeros(row.size, np.bool_)
        later = height[1:] > height[:-1]
        drop[:-1] |= close & later
        drop[1:] |= close & ~later
        row, at = row[~drop], at[~drop]
    left, here, right = (wave[row, at + step] for step in (-1, 0, 1))
    bend = 2.0 * here - left - right
    shift = np.zeros(row.size)
    np.divide(0.5 * (right - left), bend, out=shift, where=bend > 0)
    return row, at + np.clip(shift, -0.5, 0.5)


def _bouts(gap_s: Floats, even: Bools) -> tuple[Bools, Bools]:
    """Which peaks, and which gaps between them, belong to a bout of regular steps."""
    like = np.zeros(gap_s.size, np.bool_)  # gap i goes on with the rhythm of gap i - 1
    like[1:] = np.abs(np.diff(gap_s)) <= _UNEVEN * gap_s[:-1]
    # Runs of even gaps, cut where the rhythm changes.
    begins = even & ~(like & np.r_[False, even[:-1]])
    run = np.cumsum(begins)
    size = np.bincount(run[even], minlength=int(run[-1]) + 1 if run.size else 1)
    inside = even.copy()
    inside[even] = size[run[even]] >= _FEWEST_STEPS - 1
    member = np.zeros(gap_s.size + 1, np.bool_)
    member[:-1] |= inside
    member[1:] |= inside
    return member if gap_s.size else np.zeros(0, np.bool_), inside
