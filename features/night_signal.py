"""NightSignal: a resting heart rate at night above the person's usual one on two nights running.

Not here: the night's heart rate (`features.motion.day.night_columns`) and alerts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.intervals import Floats
from features.segment_rows import row_median

N_NIGHTS: Final = 28
FEWEST_NIGHTS: Final = 5
_YELLOW_BPM: Final = 3.0
_RED_BPM: Final = 4.0


class NightState(NamedTuple):
    """State of B patients."""

    nights_bpm: Floats  # (B, 28) a ring, NaN where empty
    n: NDArray[np.int64]  # (B,) nights ever put in
    last_day: NDArray[np.int64]  # (B,) of the last known night; -1 for none
    height: NDArray[np.int64]  # (B,) of that night: 0, 1 above +3, 2 above +4


def fresh(n_rows: int) -> NightState:
    """State of patients without a night."""
    return NightState(
        np.full((n_rows, N_NIGHTS), np.nan),
        np.zeros(n_rows, np.int64),
        np.full(n_rows, -1, np.int64),
        np.zeros(n_rows, np.int64),
    )


def night(
    state: NightState, night_bpm: Floats, day: NDArray[np.int64]
) -> tuple[NightState, Floats, Floats]:
    """Level of the signal after one more night of each patient.

    Parameters
    ----------
    state : NightState
    night_bpm : (B,) float64
        Resting heart rate of the night; NaN if it was not measured: nothing changes then.
    day : (B,) int64
        Number of the day the night ended on, ascending per patient.

    Returns
    -------
    NightState
    (B,) float64
        0, 1 (yellow: this night and the one before at least 3/min above the median of up to 28
        earlier nights) or 2 (red: 4/min). NaN without this night or fewer than five earlier ones.
    (B,) float64
        That median; NaN likewise.

    Notes
    -----
    Alavi et al. (2022), Nat Med 28:175, the rule of its text; their median is of all nights.
    A night that is missing breaks the row.
    Checked against: ``tests/features/test_night_signal.py``.
    """
    known = np.isfinite(night_bpm)
    usual = np.where(state.n >= FEWEST_NIGHTS, row_median(state.nights_bpm), np.nan)
    above = night_bpm - usual
    height = np.where(above >= _YELLOW_BPM, 1, 0) + np.where(above >= _RED_BPM, 1, 0)
    running = (day - state.last_day == 1) & (state.last_day >= 0)
    level = np.where(running, np.minimum(height, state.height), 0).astype(np.float64)
    level[np.isnan(above)] = np.nan
    nights = state.nights_bpm.copy()
    row = np.flatnonzero(known)
    nights[row, state.n[row] % N_NIGHTS] = night_bpm[row]
    new = NightState(
        nights,
        state.n + known,
        np.where(known, day, state.last_day),
        np.where(known, height, state.height),
    )
    return new, level, usual
