"""Rate and variability of windows: what must be there before a formula is believed.

Not here: the formulas (`features.hrv`), intervals (`features.beat_intervals`), hours and days
(`features.long_windows`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.beat_intervals import Intervals
from features.column import Column
from features.feature import FeatureReason
from features.hrv import (
    Values,
    kind_values,
    nonlinear_values,
    raw_rows,
    spectral_values,
    spectrum_of,
    time_values,
)
from features.variability.correction import LONGEST_NN_MS, Kind, corrected_rows
from features.variability.entropy import sample_entropy
from features.variability.quantum import QUANTISED, without_quantum
from features.variability.rhythm import relative_steps
from features.variability.rows import Bools, Floats, Ints, NnRows, sums
from features.variability.time_domain import rates_bpm

# Five intervals in half a minute: a heart at 15/min is still reported, which 20 would hide.
FEWEST_RATE_NN: Final = 5
FEWEST_NN: Final = {60: 20, 300: 100}  # by length of the window in seconds
LEAST_COVERAGE: Final = 0.5
# The reference toolbox drops windows with more than 15 % missing (Vest 2018).
LEAST_NONLINEAR_COVERAGE: Final = 0.85
LEAST_SPECTRAL_COVERAGE: Final = 0.7
MOST_ARTEFACTS_PCT: Final = 20.0  # of intervals; more leave nothing to be trusted
# A rate counts normal and ectopic intervals: with so few left it reads, with pacing spikes that are
# taken for every second beat, 68 for 60. Of 1,803 windows of MIT-BIH with and without noise three
# have fewer (median error 9 %), of 282 alarms of the 2015 challenge one.
MOST_UNCOUNTED: Final = 0.3  # of intervals
_FULL_US: Final = 300_000_000  # the window all measures are made for
_SHORT_WINDOW: Final = (
    "ecg_hr_bpm",
    "ecg_hr_min_bpm",
    "ecg_hr_max_bpm",
    "ecg_nn_mean_ms",
    "ecg_sdnn_ms",
    "ecg_cvnn",
    "ecg_rmssd_ms",
    "ecg_af_cv",
    "ecg_af_sampen",
    "ecg_ectopic_pct",
    "ecg_artefact_pct",
)
_OF_HF: Final = (
    "ecg_hf_ms2",
    "ecg_tp_ms2",
    "ecg_lf_nu_pct",
    "ecg_hf_nu_pct",
    "ecg_lf_hf",
    "ecg_hf_peak_hz",
)
# As numbers once: NumPy asks a member of an enumeration ten questions before it takes it for one.
_OK, _QUANTISED, _ALIAS, _UNDEFINED, _TOO_SHORT, _TOO_FEW_BEATS, _ARTEFACT_PCT, _NO_SIGNAL = (
    np.uint8(FeatureReason[name])
    for name in (
        "OK",
        "QUANTISED",
        "ALIAS",
        "UNDEFINED",
        "TOO_SHORT",
        "TOO_FEW_BEATS",
        "ARTEFACT_PCT",
        "NO_SIGNAL",
    )
)
_NORMAL, _ECTOPIC = int(Kind.NORMAL), int(Kind.ECTOPIC)


class Standing(NamedTuple):
    """What is known of each row's window apart from its beats, (B,) each."""

    length_us: Ints
    usable: Floats  # 0-1, share of the window that could have held beats
    quality: Floats  # 0-1
    lost_to: NDArray[np.uint8]  # `FeatureReason` of what was not usable
    quantum_ms: Floats  # step of the clock behind the beats' times; 0: fine


def hrv_window(standing: Standing, intervals: Intervals) -> dict[str, Column]:
    """Every HRV feature of windows of one length, by catalogue name.

    Parameters
    ----------
    standing : Standing
        B windows: all of 300 s, or all of 60 s.
    intervals : Intervals
        Their intervals.

    Returns
    -------
    dict of str to Column
        Windows of 300 s: every name of `features.tables.hrv` for that window. Shorter ones: rate,
        level, SDNN, RMSSD, irregularity and artefacts. NaN wherever the reason is neither OK nor
        QUANTISED.

    Notes
    -----
    Time domain: 100 NN (60 s: 20), coverage 0.5. Entropy, scaling, PRSA, fragmentation:
    coverage 0.85. Spectra: 0.7. All of these: at most 20 % artefacts. Irregularity is measured
    on intervals as they were found, so artefacts do not refuse it.
    Checked against: ``tests/features/test_hrv_windows.py``.
    """
    full = bool((standing.length_us >= _FULL_US).any())
    judge = Judge(standing, intervals, FEWEST_NN[300 if full else 60])
    n_rows = standing.length_us.size
    nn = corrected_rows(
        intervals.end_us, intervals.row, intervals.joined, intervals.corrected, n_rows
    )
    columns = {"ecg_hr_bpm": rate(standing, intervals)}
    timed = judge.reasons(judge.covered, LEAST_COVERAGE)
    values = time_values(nn)
    coarse = standing.quantum_ms > 0
    if coarse.any():
        values = without_quantum(values, standing.quantum_ms)
    columns |= judge.columns(values, timed)
    for name in QUANTISED:
        known = coarse & (columns[name].reason == _OK)
        columns[name].reason[known] = _QUANTISED
    kinds = kind_values(intervals.kind, intervals.row, n_rows)
    columns |= judge.columns(kinds, judge.any_reasons())
    entropy = np.full(n_rows, np.nan)
    if full:
        whole = judge.reasons(judge.covered, LEAST_NONLINEAR_COVERAGE)
        values = nonlinear_values(only(nn, whole == _OK))
        entropy = np.where(judge.artefacts == 0, values["ecg_sampen"], np.nan)
        columns |= judge.columns(values, whole) | _spectral(judge, nn)
    columns |= _irregularity(judge, intervals, entropy)
    return columns if full else {name: columns[name] for name in _SHORT_WINDOW}


def _spectral(judge: Judge, nn: NnRows) -> dict[str, Column]:
    """Powers and what is made of them."""
    reason = judge.reasons(judge.covered, LEAST_SPECTRAL_COVERAGE)
    found = spectrum_of(only(nn, reason == _OK))
    columns = judge.columns(spectral_values(found), reason)
    for name in _OF_HF:
        aliased = found.alias & (columns[name].reason == _UNDEFINED)
        columns[name].reason[aliased] = _ALIAS
    for name in ("ecg_vlf_ms2", "ecg_lf_ms2", "ecg_hf_ms2", "ecg_tp_ms2"):
        short = columns[name].reason == _UNDEFINED
        columns[name].reason[short] = _TOO_SHORT
    return columns


def _irregularity(judge: Judge, intervals: Intervals, entropy: Floats) -> dict[str, Column]:
    """The AF numbers, on intervals as they were found.

    `entropy` is known already, not NaN, where no interval was corrected.
    """
    raw = raw_rows(intervals.nn_ms, intervals.row, intervals.joined, entropy.size)
    n = np.bincount(raw.row, minlength=raw.n_rows)
    reason = judge.any_reasons()
    reason[(reason == _OK) & (n < judge.fewest)] = _TOO_FEW_BEATS
    left = np.isnan(entropy) & (reason == _OK)
    values = {
        "ecg_af_cv": relative_steps(raw),
        "ecg_af_sampen": np.where(left, sample_entropy(only(raw, left)), entropy),
    }
    return judge.columns(values, reason)


def only(nn: NnRows, kept: Bools) -> NnRows:
    """The intervals of these rows; the others are empty."""
    if kept.all():
        return nn
    at = np.flatnonzero(kept[nn.row])
    return NnRows(nn.nn_ms[at], nn.row[at], nn.linked[at], nn.stepped[at], nn.end_us[at], nn.n_rows)


class Judge:
    """What each row has, and hence which of its values count."""

    def __init__(self, standing: Standing, intervals: Intervals, fewest: int) -> None:
        n_rows, row = standing.length_us.size, intervals.row
        self.standing, self.fewest = standing, fewest
        parts = intervals.corrected.parts
        total_ms = np.where(parts > 0, intervals.corrected.clean_ms * parts, 0.0)
        every = np.bincount(row, minlength=n_rows)
        self.n = sums(parts.astype(np.float64), every).astype(np.int64)
        self.covered = _shares(total_ms, row, standing.length_us)
        possible = intervals.nn_ms <= LONGEST_NN_MS  # no pause: beats are there
        self.beating = _shares(np.where(possible, intervals.nn_ms, 0.0), row, standing.length_us)
        self.n_all = np.bincount(row[possible], minlength=n_rows)
        n_artefacts = np.bincount(row[intervals.kind != _NORMAL], minlength=n_rows)
        self.artefacts = n_artefacts / np.maximum(every, 1)

    def reasons(self, covered: Floats, least: float) -> NDArray[np.uint8]:
        """OK, or what kept the row from having enough corrected intervals."""
        enough = (self.n >= self.fewest) & (covered >= least)
        spoilt = (self.n_all >= self.fewest) & (self.beating >= least)
        reason = reasons_of(self.standing, enough, spoilt, least)
        reason[enough & (100.0 * self.artefacts > MOST_ARTEFACTS_PCT)] = _ARTEFACT_PCT
        return reason

    def any_reasons(self) -> NDArray[np.uint8]:
        """OK, or what kept the row from having enough intervals of any kind."""
        enough = (self.n_all >= FEWEST_RATE_NN) & (self.beating >= LEAST_COVERAGE)
        return reasons_of(self.standing, enough, np.zeros(enough.size, np.bool_), LEAST_COVERAGE)

    def columns(self, values: Values, reason: NDArray[np.uint8]) -> dict[str, Column]:
        """Columns of these values; one that is no number although it was due is UNDEFINED."""
        quality = self.standing.quality * (1.0 - self.artefacts)
        due = reason == _OK
        return {
            name: Column(
                np.where(due, value, np.nan),
                quality,
                self.covered,
                self.n,
                np.where(due & np.isnan(value), _UNDEFINED, reason),
            )
            for name, value in values.items()
        }


def rate(standing: Standing, intervals: Intervals) -> Column:
    """Rate in 1/min over normal and ectopic intervals: 5 or more, coverage 0.5, 70 % of all."""
    counted = intervals.kind <= _ECTOPIC
    row, nn_ms, n_rows = intervals.row[counted], intervals.nn_ms[counted], standing.usable.size
    n = np.bincount(row, minlength=n_rows)
    covered = _shares(nn_ms, row, standing.length_us)
    possible = np.where(intervals.nn_ms <= LONGEST_NN_MS, intervals.nn_ms, 0.0)
    spoilt = _shares(possible, intervals.row, standing.length_us) >= LEAST_COVERAGE
    spoilt &= np.bincount(intervals.row[possible > 0], minlength=n_rows) >= FEWEST_RATE_NN
    enough = (n >= FEWEST_RATE_NN) & (covered >= LEAST_COVERAGE)
    reason = reasons_of(standing, enough, spoilt, LEAST_COVERAGE)
    uncounted = np.bincount(intervals.row, minlength=n_rows) - n
    reason[enough & (uncounted > MOST_UNCOUNTED * (uncounted + n))] = _ARTEFACT_PCT
    value = np.where(reason == _OK, rates_bpm(nn_ms, row, n_rows), np.nan)
    return Column(value, standing.quality, covered, n, reason)


def _shares(nn_ms: Floats, row: Ints, length_us: Ints) -> Floats:
    """Share of each window that these intervals cover."""
    total_ms = sums(nn_ms, np.bincount(row, minlength=length_us.size))
    return np.clip(total_ms / (np.maximum(length_us, 1) / 1000.0), 0.0, 1.0)


def reasons_of(standing: Standing, enough: Bools, spoilt: Bools, least: float) -> NDArray[np.uint8]:
    """OK, or what kept the row from having enough intervals; `spoilt`: beats are there."""
    reason = np.full(enough.size, _TOO_FEW_BEATS, np.uint8)
    reason[spoilt] = _ARTEFACT_PCT
    missing = standing.usable < least
    reason[missing] = standing.lost_to[missing]
    reason[standing.lost_to == _NO_SIGNAL] = _NO_SIGNAL
    reason[enough] = _OK
    return reason
