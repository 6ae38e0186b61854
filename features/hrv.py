"""Heart rate variability by catalogue name: one series, or many rows at once.

Not here: the formulas (`features.variability`), which intervals are normal
(`features.intervals`), how much of a window must be covered (`features.beat_windows`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.intervals import Kind, NnSeries
from features.spectra import Spectrum, nn_spectrum
from features.variability.correction import (
    LONGEST_NN_MS,
    SHORTEST_NN_MS,
    Corrected,
    corrected_rows,
)
from features.variability.entropy import sample_entropy
from features.variability.fractal import LONG_BOXES, LONG_SHORTEST_S, SHORT_BOXES, dfa
from features.variability.fragmentation import fragmentation
from features.variability.poincare import poincare
from features.variability.prsa import capacities
from features.variability.rhythm import relative_steps
from features.variability.rows import Bools, Floats, Ints, NnRows, ratio, row_shares
from features.variability.time_domain import distribution, rates_bpm, time_domain

# About 146,000 years in µs: beyond it a time is no time of a beat, and no int64 can hold it.
_FURTHEST_US: Final = 2.0**62
_NORMAL, _ECTOPIC = int(Kind.NORMAL), int(Kind.ECTOPIC)

Values = dict[str, Floats]


def hrv(nn: NnSeries) -> dict[str, float]:
    """All HRV features of one series of intervals, by catalogue name.

    Parameters
    ----------
    nn : NnSeries
        As from `features.intervals.nn_from_beats`, or put together by hand.

    Returns
    -------
    dict of str to float
        Every name of `features.tables.hrv` that a single series can have. NaN where undefined:
        too few intervals for the formula, less than 120 s (LF), 60 s (HF), 270 s (VLF), 900 s
        (alpha 2), more than 8192 intervals (entropies). Nothing is refused for quality.

    Notes
    -----
    Level and spectrum use the corrected intervals, differences only measured neighbours, the
    rate (`ecg_hr_bpm`) normal and ectopic intervals, the AF numbers all as they were found.
    Source: Task Force of the ESC and NASPE (1996), Circulation 93:1043, and each measure's own.
    Checked against: ``tests/features/test_hrv.py`` (golden values, 693 reference windows).

    Examples
    --------
    >>> from features.intervals import nn_from_beats
    >>> hrv(nn_from_beats(np.array([0.0, 0.8, 1.61, 2.4])))["ecg_rmssd_ms"].__round__(6)
    15.811388
    """
    rows = rows_of_series(nn)
    raw = raw_rows(nn.nn_ms, np.zeros(nn.nn_ms.size, np.int64), nn.joined, 1)
    true_beats = nn.valid | (nn.kind == _ECTOPIC)
    counted = nn.nn_ms[true_beats & np.isfinite(nn.nn_ms)]
    values = {"ecg_hr_bpm": rates_bpm(counted, np.zeros(counted.size, np.int64), 1)}
    values |= time_values(rows) | nonlinear_values(rows) | rhythm_values(raw)
    values |= kind_values(nn.kind, np.zeros(nn.kind.size, np.int64), 1)
    values |= spectral_values(spectrum_of(rows))
    long_enough = rows.nn_ms.sum() / 1000.0 >= LONG_SHORTEST_S
    values["ecg_dfa_a2"] = dfa(rows, LONG_BOXES) if long_enough else np.array([np.nan])
    return {name: float(value[0]) for name, value in values.items()}


def rows_of_series(nn: NnSeries) -> NnRows:
    """The NN intervals of a series, corrected where it says how, as one row."""
    clean, parts, measured = nn.clean_ms, nn.parts, nn.measured
    if clean is None or parts is None or measured is None:
        clean = np.where(nn.valid & np.isfinite(nn.times_s), nn.nn_ms, np.nan)
        parts = np.isfinite(clean).astype(np.uint8)
        measured = parts > 0
    row = np.zeros(nn.nn_ms.size, np.int64)
    from_s = nn.times_s[np.isfinite(nn.times_s)][:1]
    origin_s = float(from_s[0]) if from_s.size else 0.0
    end_us = np.rint((np.nan_to_num(nn.times_s, nan=origin_s) - origin_s) * 1e6)
    end_us = end_us.clip(-_FURTHEST_US, _FURTHEST_US)
    back = end_us < np.maximum.accumulate(end_us)  # put together by hand: out of order
    if back.any():
        clean, parts = np.where(back, np.nan, clean), np.where(back, 0, parts).astype(np.uint8)
        measured = measured & ~back
    corrected = Corrected(clean, parts, measured)
    return corrected_rows(end_us.astype(np.int64), row, nn.joined, corrected, 1)


def raw_rows(nn_ms: Floats, row: Ints, joined: Bools, n_rows: int) -> NnRows:
    """Intervals as they were found, those outside 200-6000 ms left out."""
    kept = np.flatnonzero((nn_ms >= SHORTEST_NN_MS) & (nn_ms <= LONGEST_NN_MS))
    linked = joined[kept]
    linked[:1] = False
    linked[1:] &= kept[1:] - kept[:-1] == 1
    return NnRows(nn_ms[kept], row[kept], linked, linked, np.zeros(kept.size, np.int64), n_rows)


def time_values(nn: NnRows) -> Values:
    """Time domain, distribution and Poincaré plot of every row."""
    found, shape = time_domain(nn), distribution(nn)
    cloud = poincare(found.sdnn_ms, found.sdsd_ms)
    return {
        "ecg_hr_min_bpm": found.hr_min_bpm,
        "ecg_hr_max_bpm": found.hr_max_bpm,
        "ecg_nn_mean_ms": found.mean_ms,
        "ecg_sdnn_ms": found.sdnn_ms,
        "ecg_cvnn": found.cvnn,
        "ecg_rmssd_ms": found.rmssd_ms,
        "ecg_sdsd_ms": found.sdsd_ms,
        "ecg_pnn50_pct": found.pnn50_pct,
        "ecg_pnn20_pct": found.pnn20_pct,
        "ecg_nn_iqr_ms": shape.iqr_ms,
        "ecg_nn_mad_ms": shape.mad_ms,
        "ecg_hti": shape.hti,
        "ecg_sd1_ms": cloud.sd1_ms,
        "ecg_sd2_ms": cloud.sd2_ms,
        "ecg_sd1_sd2": cloud.sd1_sd2,
    }


def nonlinear_values(nn: NnRows) -> Values:
    """Entropy, scaling, PRSA and fragmentation of every row."""
    turns, phase = fragmentation(nn), capacities(nn)
    return {
        "ecg_sampen": sample_entropy(nn),
        "ecg_dfa_a1": dfa(nn, SHORT_BOXES),
        "ecg_dc_ms": phase.dc_ms,
        "ecg_ac_ms": phase.ac_ms,
        "ecg_pip_pct": turns.pip_pct,
        "ecg_ials": turns.ials,
        "ecg_pss_pct": turns.pss_pct,
        "ecg_pas_pct": turns.pas_pct,
    }


def spectrum_of(nn: NnRows) -> Spectrum:
    """Spectrum of every row.

    What ends less than 200 ms after the one before is left out: only interpolated intervals do,
    where beats were found too close together, and a curve through both would swing wildly.
    """
    apart = np.ones(nn.nn_ms.size, np.bool_)
    apart[1:] = (np.diff(nn.end_us) >= SHORTEST_NN_MS * 1000.0) | (nn.row[1:] != nn.row[:-1])
    kept = np.flatnonzero(apart)
    return nn_spectrum(nn.end_us[kept], nn.nn_ms[kept], nn.row[kept], nn.n_rows)


def spectral_values(found: Spectrum) -> Values:
    """Powers, their total and shares, by catalogue name."""
    both = found.lf_ms2 + found.hf_ms2
    return {
        "ecg_vlf_ms2": found.vlf_ms2,
        "ecg_lf_ms2": found.lf_ms2,
        "ecg_hf_ms2": found.hf_ms2,
        "ecg_tp_ms2": found.vlf_ms2 + both,
        "ecg_lf_nu_pct": 100.0 * ratio(found.lf_ms2, both),
        "ecg_hf_nu_pct": 100.0 * ratio(found.hf_ms2, both),
        "ecg_lf_hf": ratio(found.lf_ms2, found.hf_ms2),
        "ecg_hf_peak_hz": found.hf_peak_hz,
    }


def rhythm_values(raw: NnRows) -> Values:
    """How irregular the intervals are as they were found."""
    return {"ecg_af_cv": relative_steps(raw), "ecg_af_sampen": sample_entropy(raw)}


def kind_values(kind: NDArray[np.uint8], row: Ints, n_rows: int) -> Values:
    """Share of ectopic intervals and of all that are not normal, in percent."""
    return {
        "ecg_ectopic_pct": row_shares(kind == _ECTOPIC, row, n_rows),
        "ecg_artefact_pct": row_shares(kind != _NORMAL, row, n_rows),
    }
