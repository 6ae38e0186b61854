"""What a window says about its pulses: amplitude, rise, perfusion, arrival, deficit, variability.

Not here: rates from intervals (`features.beat_windows`), how pulses are gathered from rings.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.column import Column
from features.feature import FeatureReason
from features.intervals import row_sums
from features.ppg.arrival import FEWEST_PAIRS, MOST_IQR_MS, arrival
from features.ppg.flat import row_quantile
from features.ppg.motion import track
from features.runs import Bools, Floats, Ints

FEWEST_PULSES: Final = 5
FEWEST_INTERVALS: Final = 100
LEAST_COVERAGE: Final = 0.5
MOST_ARTEFACTS: Final = 0.2  # of intervals; more leave nothing to be trusted
LEAST_RATE_CONFIDENCE: Final = 0.4  # on the wrist as right as pulses that pass the gate
# A sensor that sends no steady part has no perfusion: there the pulse exceeds the level.
_MOST_PERFUSION: Final = 0.5


class Window(NamedTuple):
    """What is known of B windows before looking at pulses; (B,) each."""

    length_us: Ints
    usable: Floats  # 0-1, share of the window in segments that passed the gate
    quality: Floats  # 0-1, mean over the usable time
    lost_to: NDArray[np.uint8]  # FeatureReason: what most of the rest was lost to; never OK


class WindowPulses(NamedTuple):
    """Pulses inside the windows that passed the gate, by row, then time; (n,) each."""

    row: Ints
    time_us: Ints  # of the steepest upslope, from the window's start
    amplitude: Floats
    rise_s: Floats


class WindowIntervals(NamedTuple):
    """Intervals between neighbouring pulses, by row, then time; (n,) each."""

    row: Ints
    ibi_ms: Floats
    normal: Bools  # neither artefact nor out of rhythm
    joined: Bools  # begins with the pulse that ends the interval before it


def shape_columns(window: Window, pulses: WindowPulses, raw_median: Floats) -> dict[str, Column]:
    """Amplitude, rise time and perfusion: medians over at least 5 pulses, coverage 0.5.

    Parameters
    ----------
    window : Window
    pulses : WindowPulses
    raw_median : (B,) float64
        Level of the wave as sent, in the unit of the amplitudes; NaN where not known.

    Returns
    -------
    dict of Column
        `ppg_pulse_amp_au`, `ppg_rise_time_ms`, `ppg_perfusion_pct`. Perfusion, 100 times
        amplitude over |level|, is `UNDEFINED` where the wave has no steady part (above 50 %).
    """
    n_rows = window.length_us.size
    n = np.bincount(pulses.row, minlength=n_rows)
    reason = _reasons(window, n >= FEWEST_PULSES)
    amplitude = row_quantile(pulses.amplitude, pulses.row, n_rows, 0.5)
    rise_ms = 1000.0 * row_quantile(pulses.rise_s, pulses.row, n_rows, 0.5)
    level = np.abs(raw_median)
    steady = (level > 0) & (amplitude <= _MOST_PERFUSION * level)
    perfusion = 100.0 * amplitude / np.where(steady, level, 1.0)
    undefined = np.where((reason == FeatureReason.OK) & ~steady, FeatureReason.UNDEFINED, reason)
    values = {
        "ppg_pulse_amp_au": (amplitude, reason),
        "ppg_rise_time_ms": (rise_ms, reason),
        "ppg_perfusion_pct": (perfusion, undefined.astype(np.uint8)),
    }
    return {
        name: Column(value, window.quality, window.usable, n, why)
        for name, (value, why) in values.items()
    }


def arrival_columns(
    window: Window, r_row: Ints, r_us: Ints, pulses: WindowPulses
) -> dict[str, Column]:
    """Pulse arrival time: median and quartile range over at least 10 pairs, coverage 0.5.

    Parameters
    ----------
    window : Window
        Of what ECG and PPG both cover: give the smaller of their usable shares and qualities.
    r_row : (m,) int
    r_us : (m,) int64
        R peaks on the clock of the pulses, as `features.ppg.arrival.arrival` wants them. Where
        the two have different clocks give none.
    pulses : WindowPulses

    Returns
    -------
    dict of Column
        `ppg_pat_ms`, `ppg_pat_iqr_ms`; `LOW_QUALITY` where the quartile range exceeds 100 ms.
    """
    n_rows = window.length_us.size
    found = arrival(r_row, r_us, pulses.row, pulses.time_us, n_rows)
    reason = _reasons(window, found.n >= FEWEST_PAIRS)
    wide = (reason == FeatureReason.OK) & (found.iqr_ms > MOST_IQR_MS)
    reason[wide] = FeatureReason.LOW_QUALITY
    return {
        name: Column(value, window.quality, window.usable, found.n, reason)
        for name, value in (("ppg_pat_ms", found.median_ms), ("ppg_pat_iqr_ms", found.iqr_ms))
    }


def deficit_column(pulse_rate: Column, heart_rate: Column) -> Column:
    """Pulse rate less heart rate (`ppg_pr_minus_hr_bpm`) where both have a value.

    Parameters
    ----------
    pulse_rate, heart_rate : Column
        Of the same windows, in 1/min.

    Returns
    -------
    Column
        The reason is the pulse rate's, or the heart rate's where only that one is missing.
    """
    reason = np.where(
        pulse_rate.reason != FeatureReason.OK, pulse_rate.reason, heart_rate.reason
    ).astype(np.uint8)
    return Column(
        pulse_rate.value - heart_rate.value,
        np.minimum(pulse_rate.quality, heart_rate.quality),
        np.minimum(pulse_rate.coverage, heart_rate.coverage),
        np.minimum(pulse_rate.n, heart_rate.n),
        reason,
    )


def variability_columns(window: Window, intervals: WindowIntervals) -> dict[str, Column]:
    """Pulse-rate variability: at least 100 normal intervals, coverage 0.5, 20 % artefacts.

    Parameters
    ----------
    window : Window
    intervals : WindowIntervals
        Those whose end pulse lies in the window.

    Returns
    -------
    dict of Column
        `ppg_rmssd_ms`, `ppg_sdnn_ms`. They are not the heart rate variability of the ECG: the
        arrival time of pulses varies too, most with posture, breathing and movement.

    Notes
    -----
    Formulas: Task Force of the ESC and NASPE (1996), Circulation 93:1043, over pulse intervals.
    """
    n_rows, normal = window.length_us.size, intervals.normal
    row, ibi_ms = intervals.row[normal], intervals.ibi_ms[normal]
    n = np.bincount(row, minlength=n_rows)
    total = row_sums(ibi_ms, row, n_rows)
    mean = total / np.maximum(n, 1)
    sdnn = np.sqrt(row_sums((ibi_ms - mean[row]) ** 2, row, n_rows) / np.maximum(n - 1, 1))
    pairs = np.flatnonzero(intervals.joined[1:] & normal[1:] & normal[:-1]) + 1
    of_pair, step = intervals.row[pairs], np.diff(intervals.ibi_ms)[pairs - 1]
    n_pairs = np.bincount(of_pair, minlength=n_rows)
    rmssd = np.sqrt(row_sums(step * step, of_pair, n_rows) / np.maximum(n_pairs, 1))
    covered = np.minimum(total / (np.maximum(window.length_us, 1) / 1000.0), 1.0)
    n_all = np.bincount(intervals.row, minlength=n_rows)
    artefacts = 1.0 - n / np.maximum(n_all, 1)
    enough = (n >= FEWEST_INTERVALS) & (covered >= LEAST_COVERAGE) & (n_pairs > 0)
    reason = _reasons(window, enough)
    spoilt = (n_all >= FEWEST_INTERVALS) & (artefacts > MOST_ARTEFACTS)
    reason[spoilt & (window.usable >= LEAST_COVERAGE)] = FeatureReason.ARTEFACT_PCT
    quality = window.quality * (1.0 - artefacts)
    return {
        name: Column(value, quality, covered, n, reason)
        for name, value in (("ppg_rmssd_ms", rmssd), ("ppg_sdnn_ms", sdnn))
    }


def tracked_rate_column(window: Window, bpm: Floats, weight: Floats) -> Column:
    """Pulse rate by the spectrum, movement taken out (`ppg_track_rate_bpm`).

    Parameters
    ----------
    window : Window
        Of the recorded share, whether or not the pulses passed their gate.
    bpm, weight : (B, S, N_RATES) float64
        What the window's S segments offer (`features.ppg.motion.segment_rates`); NaN bpm where
        a segment is missing.

    Returns
    -------
    Column
        Quality is the confidence of the track; below 0.4 the reason is `NOISE`. n counts
        segments.
    """
    found = track(bpm, weight)
    n = (~np.isnan(bpm)).any(axis=2).sum(axis=1)
    reason = _reasons(window, n >= np.maximum(1, bpm.shape[1] // 2))
    unsure = (reason == FeatureReason.OK) & (found.confidence < LEAST_RATE_CONFIDENCE)
    reason[unsure] = FeatureReason.NOISE
    return Column(found.bpm, found.confidence, window.usable, n, reason)


def _reasons(window: Window, enough: Bools) -> NDArray[np.uint8]:
    """OK, or what kept the window from having enough."""
    reason = np.full(enough.size, FeatureReason.TOO_FEW_BEATS, np.uint8)
    missing = window.usable < LEAST_COVERAGE
    reason[missing] = window.lost_to[missing]
    reason[enough & ~missing] = FeatureReason.OK
    return reason
