"""Heart rate turbulence: how the sinus node answers a ventricular premature beat.

What one window knows can be added up: the tachogram after each beat, summed. Not here: beats'
shapes; a premature beat is told by its timing alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from features.variability.rows import Bools, Floats, Ints, sums

FOLLOWED: Final = 15  # intervals after the pause, ISHNE 2008
_BEFORE: Final = 5  # sinus intervals that set the reference
_LINE: Final = 5  # intervals per straight line
_PREMATURE: Final = 0.8  # of the reference, ISHNE 2008
_PAUSE: Final = 1.2
_SINUS_MS: Final = (300.0, 2000.0)
_LARGEST_STEP_MS: Final = 200.0
_LARGEST_SHARE: Final = 0.2  # off the reference
FEWEST_PVC: Final = 5


class Turbulence(NamedTuple):
    """Sums over the premature beats of each row, to be added up over hours."""

    n_pvc: Floats  # (n_rows,)
    onset_pct: Floats  # (n_rows,) sum of turbulence onsets
    tachogram_ms: Floats  # (n_rows, 15) sum of the intervals after the pause


def turbulence(nn_ms: Floats, row: Ints, joined: Bools, counted: Bools, n_rows: int) -> Turbulence:
    """Sums over the isolated premature beats of each row.

    Parameters
    ----------
    nn_ms, row, joined
        Intervals as they were found, with those of the context before the window.
    counted : (n,) bool
        A premature beat counts for the window that holds the last of its 15 intervals: given 22
        intervals of context, consecutive windows count each beat once.
    n_rows : int

    Returns
    -------
    Turbulence
        Only beats at least 20 % early with a pause of at least 20 %, 5 sinus intervals before
        and 15 after: 300-2000 ms, steps below 200 ms, within 20 % of the mean of the 5.

    Notes
    -----
    Source: Bauer et al. (2008), ISHNE consensus, J Am Coll Cardiol 52:1353.
    Checked against: ``tests/features/variability/test_turbulence.py``.
    """
    span = _BEFORE + 2 + FOLLOWED
    nothing = Turbulence(np.zeros(n_rows), np.zeros(n_rows), np.zeros((n_rows, FOLLOWED)))
    if nn_ms.size < span:
        return nothing
    # The intervals of one gap-free run: joined all along, from the second one on.
    broken = np.concatenate([[0], np.cumsum(~joined)])
    first = np.arange(nn_ms.size - span + 1)
    able = (broken[first + span] == broken[first + 1]) & counted[first + span - 1]
    early = first + _BEFORE
    able &= (nn_ms[early] < nn_ms[early - 1]) & (nn_ms[early + 1] > nn_ms[early])
    first = first[able]
    x = nn_ms[first[:, None] + np.arange(span)]
    before, after = x[:, :_BEFORE], x[:, _BEFORE + 2 :]
    reference = before.sum(axis=1) / _BEFORE
    kept = x[:, _BEFORE] <= _PREMATURE * reference
    kept &= x[:, _BEFORE + 1] >= _PAUSE * reference
    for sinus in (before, after):
        kept &= _is_sinus(sinus, reference)
    before, after, row = before[kept], after[kept], row[first[kept]]
    quiet = before[:, -1] + before[:, -2]
    onset = 100.0 * (after[:, 0] + after[:, 1] - quiet) / quiet
    n = np.bincount(row, minlength=n_rows)
    tachogram = [sums(np.ascontiguousarray(after[:, k]), n) for k in range(FOLLOWED)]
    return Turbulence(n.astype(np.float64), sums(onset, n), np.stack(tachogram, axis=1))


def onset_and_slope(found: Turbulence) -> tuple[Floats, Floats]:
    """Turbulence onset in % and slope in ms per beat, (n_rows,) each; NaN for under 5 beats.

    Notes
    -----
    The onset is the mean of the beats' onsets; the slope the steepest rise of a straight line
    over any 5 consecutive intervals of the mean tachogram.
    """
    enough = found.n_pvc >= FEWEST_PVC
    n = np.where(enough, found.n_pvc, np.nan)
    mean = found.tachogram_ms / n[:, None]
    along = np.arange(_LINE) - (_LINE - 1) / 2.0
    slopes = [
        sum(along[j] * mean[:, k + j] for j in range(_LINE)) / float((along**2).sum())
        for k in range(FOLLOWED - _LINE + 1)
    ]
    return found.onset_pct / n, np.asarray(np.max(slopes, axis=0), np.float64)


def _is_sinus(x: Floats, reference: Floats) -> Bools:
    """Whether all these intervals can be sinus rhythm."""
    inside = ((x >= _SINUS_MS[0]) & (x <= _SINUS_MS[1])).all(axis=1)
    steady = (np.abs(np.diff(x, axis=1)) <= _LARGEST_STEP_MS).all(axis=1)
    near = (np.abs(x - reference[:, None]) <= _LARGEST_SHARE * reference[:, None]).all(axis=1)
    return np.asarray(inside & steady & near)
