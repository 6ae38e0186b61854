"""Respiration from the chest wave, the ECG and the pulse wave, followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Final, NamedTuple

import numpy as np

from features.beat_windows import FoundBeats
from features.breathing import tracking
from features.breathing.series import EcgBeats, Pulses
from features.breathing.wave import WaveRate, breaths, wave_rate
from features.breathing.windows import Evidence, Windows, chosen, evidence_of, likelihoods
from features.column import Column
from features.ecg import kernels
from features.families.beats import Heard, pulses, r_peaks
from features.families.table import Columns, Found, Row, explained, look_up, once
from features.families.turns import turns_of
from features.feature import FeatureReason
from features.gather import events_of, select
from features.intervals import Floats, Ints
from features.layout import EVENT_NUMBERS
from features.lean import unknown
from features.personal import gathered, scattered
from features.respiration import WAVE_HZ, fused_columns, wave_columns
from features.signals import SignalKind

_WAVE_STEP_US: Final = round(1e6 / WAVE_HZ)
_NO_BREATHS: Final = FeatureReason.TOO_FEW_BEATS
_STATE: Final = "breathing"
_ECG: Final = EVENT_NUMBERS[SignalKind.ECG]
_PPG: Final = EVENT_NUMBERS[SignalKind.PPG]


class _Track(NamedTuple):
    """The tracker's state as a row of arrays."""

    vector: Floats  # (B, STATE_SIZE)


class _Chest(NamedTuple):
    """The chest wave of windows."""

    wave: Floats  # (B, n) on its 4 Hz grid
    counted: WaveRate


def wave_only(rows: Sequence[Row]) -> Columns:
    """What only the chest wave tells, in windows of one length."""
    found = look_up(rows, ["resp"])
    chest = once(rows, "chest", _chest)
    made = wave_columns(chest.wave, chest.counted)
    return {name: explained(found, column, _NO_BREATHS) for name, column in made.items()}


def followed(rows: Sequence[Row]) -> Columns:
    """Rates of 60-s windows; those of one patient in their order: its state moves on."""
    chest = look_up(rows, ["resp"])
    heart, pulse = r_peaks(rows), pulses(rows)
    ecg, at = _inside(heart)
    ecg_beats = EcgBeats(
        ecg.events.row,
        at,
        _number(ecg, _ECG.index("peak")),
        _number(ecg, _ECG.index("trough")),
        ecg.run,
    )
    ppg, at = _inside(pulse)
    waves = Pulses(
        ppg.events.row,
        at,
        _number(ppg, _PPG.index("baseline")),
        _number(ppg, _PPG.index("amplitude")),
        ppg.run,
    )
    wave, counted = once(rows, "chest", _chest)
    found = evidence_of(Windows(wave, ecg_beats, waves, chest.rows.end_us), counted)
    made = fused_columns(found, chosen(found, _tracked(rows, found, chest.rows.end_us)))
    own = {"resp_ecg_rate_per_min": heart.found, "resp_ppg_rate_per_min": pulse.found}
    own["resp_wave_rate_per_min"] = chest
    return {
        name: explained(own[name], column, _NO_BREATHS)
        if name in own
        else _blamed((chest, heart.found, pulse.found), column)
        for name, column in made.items()
    }


def _tracked(rows: Sequence[Row], found: Evidence, end_us: Ints) -> tracking.Tracked:
    """What the windows say of every rate with those before them; the patients' state moves on."""
    likelihood, known = likelihoods(found)
    probability, states = np.empty_like(likelihood), tracking.fresh_state(len(rows))
    for turn in turns_of(rows):
        people = [rows[i][0].personal for i in turn.tolist()]
        state = gathered(people, _STATE, lambda n: _Track(tracking.fresh_state(n))).vector
        own = tracking.track(state, end_us[turn], likelihood[turn], known[turn])
        scattered(people, _STATE, _Track(own.state))
        probability[turn], states[turn] = own
    return tracking.Tracked(probability, states)


def _blamed(sources: Sequence[Found], column: Column) -> Column:
    """A missing rate is blamed on the first signal that the patient has."""
    reason = explained(sources[-1], column, _NO_BREATHS).reason
    for found in reversed(sources[:-1]):
        reason = np.where(found.rows.known, explained(found, column, _NO_BREATHS).reason, reason)
    return column._replace(reason=reason.astype(np.uint8))


def _chest(rows: Sequence[Row]) -> _Chest:
    wave = _wave(look_up(rows, ["resp"]))
    return _Chest(wave, wave_rate(breaths(wave, WAVE_HZ), len(wave)))


def _wave(found: Found) -> Floats:
    """The chest wave of each window on its 4 Hz grid; NaN where there is none."""
    rows = found.rows
    n = int((rows.end_us - rows.start_us).max(initial=0)) // _WAVE_STEP_US
    wave = unknown((rows.start_us.size, n))
    if kernels.worth_it(len(wave)):
        every = found.segments.events
        of_events = every.row, every.place, every.times_us, every.values, found.segments.ok
        _loops().placed(of_events, rows[:2], _WAVE_STEP_US, wave)
        return wave
    events = events_of(found.segments)
    since_us = events.times_us - rows.start_us[events.row]
    place = (since_us + _WAVE_STEP_US // 2) // _WAVE_STEP_US
    inside = (since_us >= 0) & (place < n) & (events.times_us < rows.end_us[events.row])
    wave[events.row[inside], place[inside]] = events.values[inside]
    return wave


@lru_cache(maxsize=1)
def _loops() -> ModuleType:
    return import_module("features.window_loops")


def _inside(heard: Heard) -> tuple[FoundBeats, Ints]:
    """Beats that lie in each window, and their times from its start."""
    rows, beats = heard.found.rows, heard.beats
    since_us = beats.events.times_us - rows.start_us[beats.events.row]
    kept = (since_us >= 0) & (beats.events.times_us < rows.end_us[beats.events.row])
    return FoundBeats(select(beats.events, kept), beats.run[kept]), since_us[kept]


def _number(beats: FoundBeats, k: int) -> Floats:
    """A number of each beat, as float64."""
    return beats.events.extra[:, k].astype(np.float64)
