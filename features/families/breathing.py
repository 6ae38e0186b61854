"""Respiration from the chest wave, the ECG and the pulse wave, followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from features.beat_windows import FoundBeats, found_beats
from features.beats import ECG_REFRACTORY_S, PPG_REFRACTORY_S
from features.breathing import tracking
from features.breathing.series import EcgBeats, Pulses
from features.breathing.windows import Evidence, Windows, chosen, evidence_of, likelihoods
from features.column import Column
from features.families.table import Columns, Found, Row, explained, look_up
from features.families.turns import turns_of
from features.feature import FeatureReason
from features.gather import events_of, select
from features.intervals import Floats, Ints
from features.layout import EVENT_NUMBERS
from features.personal import gathered, scattered
from features.respiration import WAVE_HZ, fused_columns, wave_columns
from features.signals import SignalKind
from streams.segments import SEGMENT_US

_WAVE_STEP_US: Final = round(1e6 / WAVE_HZ)
_NO_BREATHS: Final = FeatureReason.TOO_FEW_BEATS
_STATE: Final = "breathing"
_ECG: Final = EVENT_NUMBERS[SignalKind.ECG]
_PPG: Final = EVENT_NUMBERS[SignalKind.PPG]


class _Track(NamedTuple):
    """The tracker's state as a row of arrays."""

    vector: Floats  # (B, STATE_SIZE)


def wave_only(rows: Sequence[Row]) -> Columns:
    """What only the chest wave tells, in windows of one length."""
    found = look_up(rows, ["resp"])
    made = wave_columns(_wave(found))
    return {name: explained(found, column, _NO_BREATHS) for name, column in made.items()}


def followed(rows: Sequence[Row]) -> Columns:
    """Rates of 60-s windows; those of one patient in their order: its state moves on."""
    chest, heart, pulse = (
        look_up(rows, ["resp"]),
        look_up(rows, ["ecg"], SEGMENT_US),
        look_up(rows, ["ppg"], SEGMENT_US),
    )
    ecg, at = _inside(heart, ECG_REFRACTORY_S)
    ecg_beats = EcgBeats(
        ecg.events.row,
        at,
        _number(ecg, _ECG.index("peak")),
        _number(ecg, _ECG.index("trough")),
        ecg.run,
    )
    ppg, at = _inside(pulse, PPG_REFRACTORY_S)
    pulses = Pulses(
        ppg.events.row,
        at,
        _number(ppg, _PPG.index("baseline")),
        _number(ppg, _PPG.index("amplitude")),
        ppg.run,
    )
    found = evidence_of(Windows(_wave(chest), ecg_beats, pulses, chest.rows.end_us))
    made = fused_columns(found, chosen(found, _tracked(rows, found, chest.rows.end_us)))
    own = {"resp_ecg_rate_per_min": heart, "resp_ppg_rate_per_min": pulse}
    own["resp_wave_rate_per_min"] = chest
    return {
        name: explained(own[name], column, _NO_BREATHS)
        if name in own
        else _blamed((chest, heart, pulse), column)
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


def _wave(found: Found) -> Floats:
    """The chest wave of each window on its 4 Hz grid; NaN where there is none."""
    rows, events = found.rows, events_of(found.segments)
    n = int((rows.end_us - rows.start_us).max(initial=0)) // _WAVE_STEP_US
    wave = np.full((rows.start_us.size, n), np.nan)
    since_us = events.times_us - rows.start_us[events.row]
    place = (since_us + _WAVE_STEP_US // 2) // _WAVE_STEP_US
    inside = (since_us >= 0) & (place < n) & (events.times_us < rows.end_us[events.row])
    wave[events.row[inside], place[inside]] = events.values[inside]
    return wave


def _inside(found: Found, refractory_s: float) -> tuple[FoundBeats, Ints]:
    """Beats that lie in each window, and their times from its start."""
    rows = found.rows
    refractory_us = np.full(rows.start_us.size, round(refractory_s * 1e6))
    beats = found_beats(rows, found.segments, refractory_us)
    since_us = beats.events.times_us - rows.start_us[beats.events.row]
    kept = (since_us >= 0) & (beats.events.times_us < rows.end_us[beats.events.row])
    return FoundBeats(select(beats.events, kept), beats.run[kept]), since_us[kept]


def _number(beats: FoundBeats, k: int) -> Floats:
    """A number of each beat, as float64."""
    return beats.events.extra[:, k].astype(np.float64)
