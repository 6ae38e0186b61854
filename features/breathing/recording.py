"""A recording held in memory as windows: its beats are found once, then shared out.

Not here: streams, whose segments are analysed one by one (`features.analyse`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from features import beats, runs
from features.breathing import fiducials, tracking
from features.breathing.series import NO_ECG, NO_PULSES, STEP_US, EcgBeats, Pulses
from features.breathing.wave import WAVE_HZ, breath_wave
from features.breathing.windows import Fused, Windows, evidence_of, follow
from features.ppg import pulses as ppg_pulses
from features.runs import Floats, Ints

_WINDOW_S: Final = 60.0
_HOP_S: Final = 10.0
_LONGEST_SINGLE_S: Final = 90.0
_MOST_ROWS: Final = 256  # bounds memory


def followed(rows: Mapping[str, Floats], fs_hz: float) -> Iterator[Fused]:
    """Respiration of a recording's windows, one after the other.

    Parameters
    ----------
    rows : mapping of signal name to (1, n_samples) float64
        Any of `resp`, `ecg`, `ppg`; NaN marks a gap.
    fs_hz : float
        Their sampling rate.

    Yields
    ------
    Fused
        One row a window, up to 256 at a time: the whole recording up to 90 s, else 60 s every
        10 s.
    """
    duration_s = max((x.shape[1] for x in rows.values()), default=0) / fs_hz
    length_s = duration_s if duration_s <= _LONGEST_SINGLE_S else _WINDOW_S
    starts_s = np.arange(0.0, duration_s - length_s + 1e-9, _HOP_S)
    slots = np.arange(int(length_s * WAVE_HZ))
    wave = _wave(rows.get("resp"), fs_hz, int(duration_s * WAVE_HZ))
    ecg, ppg = _ecg_beats(rows.get("ecg"), fs_hz), _pulses(rows.get("ppg"), fs_hz)
    state = tracking.fresh_state(1)
    for first in range(0, starts_s.size, _MOST_ROWS):
        start_us = np.rint(starts_s[first : first + _MOST_ROWS] * 1e6).astype(np.int64)
        end_us = start_us + round(length_s * 1e6)
        index, row, time_us = _shared_out(ecg.time_us, start_us, end_us)
        own_ecg = EcgBeats(row, time_us, ecg.peak[index], ecg.trough[index], ecg.run[index])
        index, row, time_us = _shared_out(ppg.time_us, start_us, end_us)
        own_ppg = Pulses(row, time_us, ppg.baseline[index], ppg.amplitude[index], ppg.run[index])
        own_wave = wave[(start_us // STEP_US)[:, None] + slots]
        found = evidence_of(Windows(own_wave, own_ecg, own_ppg, end_us))
        fused = follow(found, state, end_us)
        state = fused.state[-1:]
        yield fused


def _wave(x: Floats | None, fs_hz: float, n: int) -> Floats:
    """The chest wave at 4 Hz, (n,); NaN without one."""
    if x is None:
        return np.full(n, np.nan)
    at = np.arange(n, dtype=np.float64)[None] * (fs_hz / WAVE_HZ)
    return np.asarray(breath_wave(x, fs_hz, at)[0], np.float64)


def _ecg_beats(x: Floats | None, fs_hz: float) -> EcgBeats:
    """R peaks of the whole recording as one row."""
    found = None if x is None else beats.r_peaks(x, fs_hz)
    if x is None or found is None or not found.row.size:
        return NO_ECG
    peak, trough = fiducials.edr_extremes(x, fs_hz, found.row, found.position)
    run = _run_of(x, fs_hz, found.position)
    return EcgBeats(found.row, _micros(found.position, fs_hz), peak, trough, run)


def _pulses(x: Floats | None, fs_hz: float) -> Pulses:
    """Pulses of the whole recording as one row."""
    found = None if x is None else ppg_pulses.pulses(x, fs_hz)
    if x is None or found is None or not found.row.size:
        return NO_PULSES
    run = _run_of(x, fs_hz, found.position)
    time_us = _micros(found.position, fs_hz)
    return Pulses(found.row, time_us, found.baseline, found.amplitude, run)


def _micros(position: Floats, fs_hz: float) -> Ints:
    """Positions in samples as µs from the first."""
    return np.rint(position * (1e6 / fs_hz)).astype(np.int64)


def _run_of(x: Floats, fs_hz: float, position: Floats) -> Ints:
    """Number of the gap-free run each position lies in."""
    missing = np.isnan(runs.bridge(x, fs_hz)[0])
    begun = np.cumsum(missing[1:] & ~missing[:-1])
    at = np.rint(position).astype(np.intp).clip(0, x.shape[1] - 1)
    return np.asarray(np.concatenate([[0], begun])[at], np.intp)


def _shared_out(time_us: Ints, start_us: Ints, end_us: Ints) -> tuple[Ints, Ints, Ints]:
    """Index of each beat of each window, its window, and its time from the window's start."""
    first = np.searchsorted(time_us, start_us)
    count = np.searchsorted(time_us, end_us) - first
    row = np.repeat(np.arange(start_us.size), count)
    index = np.arange(row.size) - np.repeat(np.cumsum(count) - count - first, count)
    return index, row, time_us[index] - start_us[row]
