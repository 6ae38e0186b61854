"""The breathing rate followed from window to window: a grid filter with a state per patient.

Causal: a window is judged by itself and what came before it. Not here: the evidence (`fusion`).
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.breathing.fusion import LOG_PRIOR, normalised
from features.breathing.spectrum import N_RATES, STEP_PER_MIN
from features.ecg import kernels
from features.runs import Bools, Floats, Ints

STATE_SIZE: Final = 1 + N_RATES  # end of the last window in µs, then the probability of each rate

_HOP_S: Final = 10.0
# In 10 s a rate moves by about 0.7/min (mean absolute, two-sided exponential), and in 3 of 100
# steps to anywhere breathing usually is. Set on BIDMC, where 0.5-1 and 1-3 % do about equally
# well: after a sudden change the new rate is found within 30-40 s.
_DRIFT_PER_MIN: Final = 0.7
_JUMP: Final = 0.03
# Windows of 60 s every 10 s share samples: each brings about a third of new evidence.
_FRESH: Final = 0.35
_FORGOTTEN_S: Final = 300.0
_TINY: Final = 1e-12


class Tracked(NamedTuple):
    """Probability of each rate after the window, and the state to go on from."""

    probability: Floats  # (B, N_RATES)
    state: Floats  # (B, STATE_SIZE)


def fresh_state(n_rows: int) -> Floats:
    """State of patients of whom nothing is known: (n_rows, 84) NaN."""
    return np.full((n_rows, STATE_SIZE), np.nan)


def track(state: Floats, end_us: Ints, log_likelihood: Floats, known: Bools) -> Tracked:
    """One window of each patient.

    Parameters
    ----------
    state : (B, 84) float64
        From `fresh_state` or the last call. NaN: nothing known.
    end_us : (B,) int64
        End of the window.
    log_likelihood : (B, N_RATES) float64
        `fusion.evidence` of the window.
    known : (B,) bool
        The window brings evidence.

    Returns
    -------
    Tracked
        A window without evidence leaves its state as it was. So does one that does not end after
        the last: it is judged by itself.

    Notes
    -----
    Forward filter of a hidden Markov model over 4-45/min: the probabilities spread (two-sided
    exponential) and leak to the prior with the time passed, then are multiplied by likelihood
    and prior, both to the power 0.35 per 10 s passed. The prior counts in every window because
    slow rhythms of the vessels look like slow breathing persistently. After 300 s the past is
    forgotten.
    Checked against: ``tests/features/breathing/test_tracking.py``.
    """
    passed_s = (end_us.astype(np.float64) - state[:, 0]) / 1e6
    later = ~(passed_s <= 0.0)
    follows = (passed_s > 0.0) & (passed_s <= _FORGOTTEN_S)
    hops = np.where(follows, passed_s, _HOP_S) / _HOP_S
    before = np.where(follows[:, None], state[:, 1:], 1.0 / N_RATES)
    predicted = np.log(_predicted(before, hops) + _TINY)
    new = log_likelihood + LOG_PRIOR
    share = np.where(follows, np.minimum(_FRESH * hops, 1.0), 1.0)[:, None]
    log_p = np.where(follows[:, None], predicted, 0.0) + share * new
    probability = normalised(log_p)
    kept = np.concatenate([end_us.astype(np.float64)[:, None], probability], axis=1)
    updated = np.where((known & later)[:, None], kept, state)
    return Tracked(probability, updated)


def _predicted(p: Floats, hops: Floats) -> Floats:
    """Probabilities after the time passed, before the new window is seen."""
    scale = STEP_PER_MIN / (_DRIFT_PER_MIN * np.sqrt(hops))
    ratio = np.exp(-scale)[:, None]
    index = np.arange(N_RATES, dtype=np.float64)
    out_of = (1.0 + ratio - ratio ** (index + 1.0) - ratio ** (N_RATES - index)) / (1.0 - ratio)
    shares = p / out_of  # nothing leaves the grid
    up, down = shares.copy(), shares.copy()
    if kernels.worth_it(len(p)):
        _loops().spread(ratio[:, 0].copy(), up, down)
    else:
        for i in range(1, N_RATES):
            up[:, i] += ratio[:, 0] * up[:, i - 1]
            down[:, -1 - i] += ratio[:, 0] * down[:, -i]
    jump = 1.0 - (1.0 - _JUMP) ** hops[:, None]
    return np.asarray((1.0 - jump) * (up + down - shares) + jump * _USUAL, np.float64)


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.window_loops")


_USUAL: Final = normalised(LOG_PRIOR[None])[0]
