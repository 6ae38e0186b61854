"""Heart rate variability: one definition per name, over one series or many rows at once.

Not here: which intervals are normal (`features.intervals`), how much of a window must be covered
(`features.extract`). The bare formulas, nothing corrected and nothing refused for quality.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.intervals import Bools, Floats, Ints, Kind, NnSeries, row_sums
from features.spectra import band_powers

_PNN_MS: Final = 50.0


class TimeDomain(NamedTuple):
    """Measures in time, (n_rows,) each; NaN where too few intervals exist."""

    n: NDArray[np.int64]  # intervals used
    mean_ms: Floats
    sdnn_ms: Floats
    rmssd_ms: Floats
    pnn50_pct: Floats


def hrv(nn: NnSeries) -> dict[str, float]:
    """All HRV features of one series of intervals, by catalogue name.

    Parameters
    ----------
    nn : NnSeries
        As from `features.intervals.nn_from_beats`.

    Returns
    -------
    dict of str to float
        `ecg_hr_bpm` (1/min, over normal and ectopic beats), `ecg_sdnn_ms`, `ecg_rmssd_ms` (ms),
        `ecg_pnn50_pct` (%), `ecg_lf_ms2`, `ecg_hf_ms2` (ms²), `ecg_lf_hf`. NaN where undefined:
        no interval for the rate, one for SDNN, no two joined ones for RMSSD and pNN50, less than
        120 s (LF) or 60 s (HF).

    Notes
    -----
    Source: Task Force of the ESC and NASPE (1996), Circulation 93:1043.
    Checked against: ``tests/features/test_hrv.py``.

    Examples
    --------
    >>> from features.intervals import nn_from_beats
    >>> hrv(nn_from_beats(np.array([0.0, 0.8, 1.61, 2.4])))["ecg_rmssd_ms"].__round__(6)
    15.811388
    """
    row = np.zeros(nn.nn_ms.size, np.int64)
    measures = time_domain(nn.nn_ms, row, nn.valid, nn.joined, 1)
    true_beats = nn.valid | (nn.kind == Kind.ECTOPIC)
    rate = rates_bpm(nn.nn_ms, row, true_beats, 1)
    kept = np.flatnonzero(nn.valid & np.isfinite(nn.times_s) & np.isfinite(nn.nn_ms))
    times_us = np.round((nn.times_s[kept] - nn.times_s[kept[:1]]) * 1e6).astype(np.int64)
    later = np.diff(times_us, prepend=-1) > 0
    kept, times_us = kept[later], times_us[later]
    power = band_powers(times_us, nn.nn_ms[kept], row[kept], 1)
    return {
        "ecg_hr_bpm": float(rate[0]),
        "ecg_sdnn_ms": float(measures.sdnn_ms[0]),
        "ecg_rmssd_ms": float(measures.rmssd_ms[0]),
        "ecg_pnn50_pct": float(measures.pnn50_pct[0]),
        "ecg_lf_ms2": float(power.lf[0]),
        "ecg_hf_ms2": float(power.hf[0]),
        "ecg_lf_hf": float(ratio(power.lf, power.hf)[0]),
    }


def time_domain(nn_ms: Floats, row: Ints, valid: Bools, joined: Bools, n_rows: int) -> TimeDomain:
    """SDNN, RMSSD and pNN50 of many rows.

    Parameters
    ----------
    nn_ms : (n,) float64
        Intervals of all rows, row after row, in time order.
    row : (n,) int
        Row of each interval, ascending.
    valid, joined : (n,) bool
        As in `NnSeries`.
    n_rows : int

    Returns
    -------
    TimeDomain
        SDNN with ddof 1. RMSSD and pNN50 over differences of joined valid intervals only: a
        rejected beat or a gap is never bridged. pNN50 counts |difference| > 50 ms, strictly.
    """
    n, mean = _means(nn_ms[valid], row[valid], n_rows)
    deviation = nn_ms[valid] - mean[row[valid]]
    squares = row_sums(deviation**2, row[valid], n_rows)
    pair = np.flatnonzero(joined[1:] & valid[1:] & valid[:-1] & (row[1:] == row[:-1])) + 1
    step = nn_ms[pair] - nn_ms[pair - 1]
    _, mean_square = _means(step**2, row[pair], n_rows)
    _, large = _means((np.abs(step) > _PNN_MS).astype(np.float64), row[pair], n_rows)
    sdnn = np.full(n_rows, np.nan)
    np.divide(squares, n - 1, out=sdnn, where=n > 1)
    return TimeDomain(n, mean, np.sqrt(sdnn), np.sqrt(mean_square), 100.0 * large)


def rates_bpm(nn_ms: Floats, row: Ints, counted: Bools, n_rows: int) -> Floats:
    """60000 / mean interval per row, over the intervals counted; NaN where there is none."""
    _, mean = _means(nn_ms[counted], row[counted], n_rows)
    return ratio(np.full(n_rows, 60000.0), mean)


def ratio(above: Floats, below: Floats) -> Floats:
    """`above` / `below` per row; NaN where `below` is 0 or either is NaN.

    Examples
    --------
    >>> ratio(np.array([3.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [1.5, nan]
    """
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _means(values: Floats, row: Ints, n_rows: int) -> tuple[NDArray[np.int64], Floats]:
    """Count and mean per row, summed in order so that neighbours cannot change a bit."""
    n = np.bincount(row, minlength=n_rows)
    mean = np.full(n_rows, np.nan)
    np.divide(row_sums(values, row, n_rows), n, out=mean, where=n > 0)
    return n, mean
