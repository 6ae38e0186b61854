"""Beats of a window become intervals, a rate and variability, for many rows at once.

Not here: the formulas (`features.hrv`), the rules for what is normal
(`features.variability.correction`). Here is what must be there before a formula is believed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalog import INDEX
from features.feature import FeatureReason
from features.gather import Events, Rows, Segments, Support, events_of, select
from features.hrv import (
    Values,
    kind_values,
    nonlinear_values,
    raw_rows,
    rhythm_values,
    spectral_values,
    spectrum_of,
    time_values,
)
from features.intervals import LONGEST_NN_MS, Bools, Floats, Ints, Kind, classify, row_sums
from features.variability.correction import Corrected, correct, corrected_rows
from features.variability.quantum import QUANTISED, without_quantum
from features.variability.rows import NnRows
from features.variability.time_domain import rates_bpm

# Five intervals in half a minute: a heart at 15/min is still reported, which 20 would hide.
FEWEST_RATE_NN: Final = 5
FEWEST_NN: Final = {60: 20, 300: 100}  # by length of the window in seconds
LEAST_COVERAGE: Final = 0.5
# The reference toolbox drops windows with more than 15 % missing (Vest 2018).
LEAST_NONLINEAR_COVERAGE: Final = 0.85
LEAST_SPECTRAL_COVERAGE: Final = 0.7  # below 0.9 by Lomb
MOST_ARTEFACTS_PCT: Final = 20.0  # of intervals; more leave nothing to be trusted
_FULL_US: Final = 300_000_000  # the window all measures are made for
_ROW_US: Final = 1 << 44  # more than any window: keeps rows apart on one time axis
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


class Column(NamedTuple):
    """One feature of all rows; `value` counts only where `reason` is OK or QUANTISED."""

    value: Floats
    quality: Floats
    coverage: Floats
    n: NDArray[np.int64]
    reason: NDArray[np.uint8]


class Intervals(NamedTuple):
    """Intervals whose end beat lies in the row's window; one value per interval."""

    row: Ints
    end_us: Ints  # from the window's start
    nn_ms: Floats
    joined: Bools
    kind: NDArray[np.uint8]
    corrected: Corrected


class Beats(NamedTuple):
    """Beats of all rows, row after row, from up to 45 before the window; one value per beat."""

    row: Ints
    times_us: Ints  # from the window's start, ascending within a row
    run: Ints  # gap-free run
    ectopic: Bools  # known by its shape to be no sinus beat


class Standing(NamedTuple):
    """What is known of each row's window apart from its beats, (B,) each."""

    length_us: Ints
    usable: Floats  # 0-1, share of the window that could have held beats
    quality: Floats  # 0-1
    lost_to: NDArray[np.uint8]  # `FeatureReason` of what was not usable
    quantum_ms: Floats  # step of the clock behind the beats' times; 0: fine


def intervals_between(beats: Beats, length_us: Ints) -> Intervals:
    """Intervals between adjacent beats of each row, judged and corrected.

    Parameters
    ----------
    beats : Beats
        What does not ascend within a row is dropped: a later claim on a past time cannot be
        from one clock.
    length_us : (B,) int64
        Length of each window.

    Returns
    -------
    Intervals
        Those that end in [0, `length_us`); the ones before only help to judge them.
    """
    beats = _ascending(beats)
    exists = (beats.row[1:] == beats.row[:-1]) & (beats.run[1:] == beats.run[:-1])
    exists &= beats.times_us[1:] < length_us[beats.row[1:]]
    joined = exists.copy()
    joined[1:] &= exists[:-1]
    joined[:1] = False
    at = np.flatnonzero(exists)
    row, end_us, joined = beats.row[at + 1], beats.times_us[at + 1], joined[at]
    nn_ms = (end_us - beats.times_us[at]) / 1000.0
    kind = classify(nn_ms, row, joined, length_us.size)
    kind[(beats.ectopic[1:] | beats.ectopic[:-1])[at]] = Kind.ECTOPIC
    corrected = correct(nn_ms, row, joined, kind)
    inside = np.flatnonzero(end_us >= 0)
    if inside.size < at.size:
        joined[1:] &= end_us[:-1] >= 0
        parts = (field[inside] for field in (row, end_us, nn_ms, joined, kind))
        return Intervals(*parts, Corrected(*(field[inside] for field in corrected)))
    return Intervals(row, end_us, nn_ms, joined, kind, corrected)


def _ascending(beats: Beats) -> Beats:
    """Beats without those not later than one before them in their row."""
    since_us = np.clip(beats.times_us, -_ROW_US // 4, _ROW_US // 4)
    along = since_us + beats.row * _ROW_US
    rising = np.ones(along.size, np.bool_)
    rising[1:] = along[1:] > np.maximum.accumulate(along)[:-1]
    return beats if rising.all() else Beats(*(field[rising] for field in beats))


def intervals_in(rows: Rows, segments: Segments, refractory_us: Ints) -> Intervals:
    """Intervals between adjacent beats of each row.

    Parameters
    ----------
    rows : Rows
        B windows.
    segments : Segments
        Their segments, from at least 10 s before the window, so that the beat that begins the
        first interval is there; from 45 beats before it, and the first intervals are judged as
        surely as the others.
    refractory_us : (B,) int64
        Two beats closer than this across a border of segments are one: the larger is kept, of
        equals the earlier.

    Returns
    -------
    Intervals
        An interval exists only between beats of one gap-free run; runs go on over borders that
        are open on both sides. Segments that failed the gate are gaps.
    """
    events = events_of(segments)
    events = _in_order(events, rows)
    run, kept = _runs_and_merged(events, segments, refractory_us)
    row = events.row[kept]
    times_us = events.times_us[kept] - rows.start_us[row]
    beats = Beats(row, times_us, run[kept], np.zeros(row.size, np.bool_))
    return intervals_between(beats, rows.end_us - rows.start_us)


def _in_order(events: Events, rows: Rows) -> Events:
    """Events without those not later than one before them in their row."""
    since_us = np.clip(events.times_us - rows.start_us[events.row], -_ROW_US // 4, _ROW_US // 4)
    along = since_us + events.row * _ROW_US
    rising = np.ones(along.size, np.bool_)
    rising[1:] = along[1:] > np.maximum.accumulate(along)[:-1]
    return events if rising.all() else select(events, rising)


def _runs_and_merged(events: Events, segments: Segments, refractory_us: Ints) -> tuple[Ints, Bools]:
    """Gap-free run of each beat, numbered through, and the beats to keep at borders."""
    border = np.flatnonzero(events.place[1:] != events.place[:-1])
    left, right = events.place[border], events.place[border + 1]
    same_row = events.row[border] == events.row[border + 1]
    linked = same_row & segments.open_right[left] & segments.open_left[right]
    linked &= segments.end_us[left] == segments.start_us[right]
    broken = events.run[1:] != events.run[:-1]
    broken[border] = ~linked
    run = np.zeros(events.row.size, np.int64)
    np.cumsum(broken, out=run[1:])
    apart_us = events.times_us[border + 1] - events.times_us[border]
    doubled = border[same_row & (apart_us < refractory_us[events.row[border]])]
    kept = np.ones(events.row.size, np.bool_)
    later_wins = events.values[doubled + 1] > events.values[doubled]
    kept[np.where(later_wins, doubled, doubled + 1)] = False
    return run, kept


def standing_of(rows: Rows, support: Support) -> Standing:
    """What `hrv_window` needs to know of rows whose beats were found in a waveform."""
    lost_to = np.where(rows.known, support.reason, FeatureReason.NO_SIGNAL).astype(np.uint8)
    fine = np.zeros(rows.start_us.size)
    usable = np.where(rows.known, support.usable, 0.0)
    return Standing(rows.end_us - rows.start_us, usable, support.quality, lost_to, fine)


def rate_column(rows: Rows, support: Support, intervals: Intervals) -> Column:
    """Rate in 1/min over normal and ectopic beats; at least 5 intervals, coverage 0.5."""
    return _rate(standing_of(rows, support), intervals)


def hrv_columns(rows: Rows, support: Support, intervals: Intervals) -> dict[str, Column]:
    """`hrv_window` of beats found in a waveform: what of it the catalogue knows."""
    columns = hrv_window(standing_of(rows, support), intervals)
    return {name: column for name, column in columns.items() if name in INDEX}


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
    Checked against: ``tests/features/test_beat_windows.py``.
    """
    full = bool((standing.length_us >= _FULL_US).any())
    judge = _Judge(standing, intervals, FEWEST_NN[300 if full else 60])
    n_rows = standing.length_us.size
    nn = corrected_rows(
        intervals.end_us, intervals.row, intervals.joined, intervals.corrected, n_rows
    )
    columns = {"ecg_hr_bpm": _rate(standing, intervals)}
    timed = judge.reasons(judge.covered, LEAST_COVERAGE)
    values = time_values(nn)
    coarse = standing.quantum_ms > 0
    if coarse.any():
        values = without_quantum(values, standing.quantum_ms)
    columns |= judge.columns(values, timed)
    for name in QUANTISED:
        known = coarse & (columns[name].reason == FeatureReason.OK)
        columns[name].reason[known] = FeatureReason.QUANTISED
    columns |= _irregularity(judge, intervals, nn)
    kinds = kind_values(intervals.kind, intervals.row, n_rows)
    columns |= judge.columns(kinds, judge.any_reasons())
    if not full:
        return {name: columns[name] for name in _SHORT_WINDOW}
    whole = judge.reasons(judge.covered, LEAST_NONLINEAR_COVERAGE)
    columns |= judge.columns(nonlinear_values(_only(nn, whole == FeatureReason.OK)), whole)
    return columns | _spectral(judge, nn)


def _spectral(judge: _Judge, nn: NnRows) -> dict[str, Column]:
    """Powers and what is made of them."""
    reason = judge.reasons(judge.covered, LEAST_SPECTRAL_COVERAGE)
    found = spectrum_of(_only(nn, reason == FeatureReason.OK))
    columns = judge.columns(spectral_values(found), reason)
    for name in _OF_HF:
        aliased = found.alias & (columns[name].reason == FeatureReason.UNDEFINED)
        columns[name].reason[aliased] = FeatureReason.ALIAS
    for name in ("ecg_vlf_ms2", "ecg_lf_ms2", "ecg_hf_ms2", "ecg_tp_ms2"):
        short = columns[name].reason == FeatureReason.UNDEFINED
        columns[name].reason[short] = FeatureReason.TOO_SHORT
    return columns


def _irregularity(judge: _Judge, intervals: Intervals, nn: NnRows) -> dict[str, Column]:
    """The AF numbers, on intervals as they were found."""
    raw = raw_rows(intervals.nn_ms, intervals.row, intervals.joined, nn.n_rows)
    n = np.bincount(raw.row, minlength=nn.n_rows)
    reason = judge.any_reasons()
    reason[(reason == FeatureReason.OK) & (n < judge.fewest)] = FeatureReason.TOO_FEW_BEATS
    return judge.columns(rhythm_values(_only(raw, reason == FeatureReason.OK)), reason)


def _only(nn: NnRows, kept: Bools) -> NnRows:
    """The intervals of these rows; the others are empty."""
    if kept.all():
        return nn
    at = np.flatnonzero(kept[nn.row])
    return NnRows(
        nn.nn_ms[at], nn.row[at], nn.linked[at], nn.stepped[at], nn.end_us[at], nn.n_rows
    )


class _Judge:
    """What each row has, and hence which of its values count."""

    def __init__(self, standing: Standing, intervals: Intervals, fewest: int) -> None:
        n_rows, row = standing.length_us.size, intervals.row
        self.standing, self.fewest = standing, fewest
        parts = intervals.corrected.parts
        total_ms = np.where(parts > 0, intervals.corrected.clean_ms * parts, 0.0)
        self.n = row_sums(parts.astype(np.float64), row, n_rows).astype(np.int64)
        self.covered = _shares(total_ms, row, standing.length_us)
        possible = intervals.nn_ms <= LONGEST_NN_MS  # no pause: beats are there
        self.beating = _shares(np.where(possible, intervals.nn_ms, 0.0), row, standing.length_us)
        self.n_all = np.bincount(row[possible], minlength=n_rows)
        n_artefacts = np.bincount(row[intervals.kind != Kind.NORMAL], minlength=n_rows)
        self.artefacts = n_artefacts / np.maximum(np.bincount(row, minlength=n_rows), 1)

    def reasons(self, covered: Floats, least: float) -> NDArray[np.uint8]:
        """OK, or what kept the row from having enough corrected intervals."""
        enough = (self.n >= self.fewest) & (covered >= least)
        reason = _reasons(self.standing, enough, self.beating, least)
        reason[enough & (100.0 * self.artefacts > MOST_ARTEFACTS_PCT)] = FeatureReason.ARTEFACT_PCT
        return reason

    def any_reasons(self) -> NDArray[np.uint8]:
        """OK, or what kept the row from having enough intervals of any kind."""
        enough = (self.n_all >= FEWEST_RATE_NN) & (self.beating >= LEAST_COVERAGE)
        return _reasons(self.standing, enough, np.zeros(enough.size), LEAST_COVERAGE)

    def columns(self, values: Values, reason: NDArray[np.uint8]) -> dict[str, Column]:
        """Columns of these values; one that is no number although it was due is UNDEFINED."""
        quality = self.standing.quality * (1.0 - self.artefacts)
        out = {}
        for name, value in values.items():
            why = np.where(
                (reason == FeatureReason.OK) & np.isnan(value), FeatureReason.UNDEFINED, reason
            ).astype(np.uint8)
            kept = np.where(why == FeatureReason.OK, value, np.nan)
            out[name] = Column(kept, quality, self.covered, self.n, why)
        return out


def _rate(standing: Standing, intervals: Intervals) -> Column:
    """Rate over normal and ectopic intervals."""
    counted = intervals.kind <= Kind.ECTOPIC
    row, nn_ms, n_rows = intervals.row[counted], intervals.nn_ms[counted], standing.usable.size
    n = np.bincount(row, minlength=n_rows)
    covered = _shares(nn_ms, row, standing.length_us)
    possible = np.where(intervals.nn_ms <= LONGEST_NN_MS, intervals.nn_ms, 0.0)
    beating = _shares(possible, intervals.row, standing.length_us)
    enough = (n >= FEWEST_RATE_NN) & (covered >= LEAST_COVERAGE)
    reason = _reasons(standing, enough, beating, LEAST_COVERAGE)
    value = np.where(reason == FeatureReason.OK, rates_bpm(nn_ms, row, n_rows), np.nan)
    return Column(value, standing.quality, covered, n, reason)


def _shares(nn_ms: Floats, row: Ints, length_us: Ints) -> Floats:
    """Share of each window that these intervals cover."""
    total_ms = row_sums(nn_ms, row, length_us.size)
    return np.clip(total_ms / (np.maximum(length_us, 1) / 1000.0), 0.0, 1.0)


def _reasons(
    standing: Standing, enough: Bools, beating: Floats, least: float
) -> NDArray[np.uint8]:
    """OK, or what kept the row from having enough intervals."""
    reason = np.full(enough.size, FeatureReason.TOO_FEW_BEATS, np.uint8)
    reason[beating >= least] = FeatureReason.ARTEFACT_PCT  # beats are there, out of rhythm
    missing = standing.usable < least
    reason[missing] = standing.lost_to[missing]
    reason[standing.lost_to == FeatureReason.NO_SIGNAL] = FeatureReason.NO_SIGNAL
    reason[enough] = FeatureReason.OK
    return reason
