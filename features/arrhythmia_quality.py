"""How far the signals around an alarm can be believed: a score each, and what a lead's is made of.

The score of a whole lead answers whether its beats can be counted. An alarm asks more: which of the
views failed. Beats on which two detectors agree but which resemble nothing are another finding
than beats that only one of them sees.
Not here: what beats and waves say (`features.arrhythmia`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.ecg.segment import analyse_ecg
from features.quality import signal_quality
from features.runs import Floats

# In the order of `features.ecg.quality.inputs`.
VIEWS: Final = ("risk", "bsqi", "kinship", "peaked", "steady")


def believed(x: Floats, fs_hz: float, kind: str) -> dict[str, Floats]:
    """Quality of rows and, of an ECG, its parts.

    Parameters
    ----------
    x : (B, n) float64
        The stretch in question; NaN marks a gap, all NaN no signal.
    fs_hz : float
    kind : `ecg` or `ppg`

    Returns
    -------
    dict of str to (B,) float64
        `quality` 0-1. Of an ECG also `risk`, logarithm of the expected wrong decisions; `bsqi`,
        0-1, agreement of two detectors; `kinship`, -1 to 1, likeness of each beat to the two nearby
        ones most alike; `peaked`, logarithm of the kurtosis at 4-30 Hz; `steady`, share of power
        from 1 Hz on. What cannot be told counts as bad; NaN without a signal.

    Notes
    -----
    Checked against: ``tests/features/test_arrhythmia.py``, ``benchmarks/bench_false_alarms.py``.
    """
    score = np.array([signal_quality(row, fs_hz, kind)[0] for row in x])
    if kind != "ecg":
        return {"quality": score}
    inputs = analyse_ecg(np.ascontiguousarray(x), fs_hz).score_inputs
    absent = np.isnan(x).all(axis=1, keepdims=True)
    inputs = np.where(absent, np.nan, inputs)
    return {"quality": score, **dict(zip(VIEWS, inputs.T, strict=True))}
