"""One simulated patient's device: a minute of every signal at a time, with its faults.

Minute `k` draws from its own random streams, (seed, patient, k), so a run of any length and any
chunking holds the same samples. Only the phases of heart and breath are carried over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from service import sim_waveforms as waves
from service.sim_physiology import Profile, vitals
from streams.records import MISSING_SAMPLE

Floats = NDArray[np.float64]

BLOCK_S = 60
LEAD_OFF = {5: (900.0, 1020.0)}  # patient number: when the ECG electrode hangs loose
SILENT = {10: (1080.0, 1200.0)}  # patient number: when the whole device is out of reach

_BEAT_GRID_HZ = 25
_LEAD_OFF_MV = 5.0
_HEART_NOISE = 0.03  # of the rate, at the beat grid: about 6 ms from beat to beat
_MAYER_HZ = 0.1  # blood pressure waves, the LF of heart rate variability


class Spec(NamedTuple):
    """How a signal is sampled: value = digital * step."""

    fs_hz: int
    unit: str
    step: float


SPECS = {
    "ecg": Spec(250, "mV", 0.002),
    "ppg": Spec(125, "1", 0.001),
    "resp": Spec(25, "1", 0.001),
    "acc_x": Spec(32, "g", 1 / 512),
    "acc_y": Spec(32, "g", 1 / 512),
    "acc_z": Spec(32, "g", 1 / 512),
    "spo2": Spec(1, "%", 1.0),
    "temp": Spec(1, "Cel", 0.01),
}


class Block(NamedTuple):
    """A minute of all signals as int16, and the stretch the gateway held back (s, or empty)."""

    begin_s: float
    samples: dict[str, NDArray[np.int16]]
    held_s: tuple[float, float] | None


class _Rhythm(NamedTuple):
    """Heart and breath over one block."""

    beats_s: Floats
    grid_s: Floats  # with the end of the block
    breath_rad: Floats
    heart: float  # phase at the end, in beats


def blocks(who: Profile, seed: int) -> Iterator[Block]:
    """Minutes of a patient, without end.

    Parameters
    ----------
    who : Profile
        The patient.
    seed : int
        Of the ward.

    Yields
    ------
    Block
        Digital samples; `MISSING_SAMPLE` where the radio lost them.
    """
    begin = _Rhythm(np.array([-1.6, -0.8]), np.zeros(1), np.zeros(1), 0.0)
    now = _rhythm(who, seed, 0, begin)
    before = begin
    index = 0
    while True:
        after = _rhythm(who, seed, index + 1, now)
        beats_s = np.concatenate([before.beats_s[-4:], now.beats_s, after.beats_s[:4]])
        yield _block(who, np.random.default_rng([seed, who.number, index, 1]), now, beats_s)
        before, now = now, after
        index += 1


def _rhythm(who: Profile, seed: int, index: int, last: _Rhythm) -> _Rhythm:
    """Beats and breath phase by integrating the two rates from where the last block ended."""
    rng = np.random.default_rng([seed, who.number, index, 0])
    n = BLOCK_S * _BEAT_GRID_HZ
    grid_s = index * BLOCK_S + np.arange(n + 1) / _BEAT_GRID_HZ
    now = vitals(who, grid_s[:-1])
    dt_s = 1 / _BEAT_GRID_HZ
    breaths_hz = now.rr_per_min / 60 * (1 + 0.15 * rng.standard_normal(n))
    breath = last.breath_rad[-1] + _integral(2 * np.pi * breaths_hz * dt_s)
    well = 1 - 0.7 * now.severity  # variability fades in illness
    swing = who.rsa * np.sin(breath[:-1])
    swing = swing + 0.7 * who.rsa * np.sin(2 * np.pi * _MAYER_HZ * grid_s[:-1])
    noise = 1 + _HEART_NOISE * rng.standard_normal(n)
    heart = last.heart + _integral(now.hr_bpm / 60 * (1 + well * swing) * noise * dt_s)
    whole = np.arange(np.floor(heart[0]) + 1, np.floor(heart[-1]) + 1)
    return _Rhythm(np.interp(whole, heart, grid_s), grid_s, breath, float(heart[-1]))


def _integral(steps: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(steps)])


def _block(who: Profile, rng: Generator, now: _Rhythm, beats_s: Floats) -> Block:
    """All signals of one minute, then what the radio did to them."""
    begin_s = float(now.grid_s[0])
    moves = rng.uniform() < who.restless
    start_s, length_s = begin_s + rng.uniform(1, 38), rng.uniform(6, 18)
    times = {fs: begin_s + np.arange(BLOCK_S * fs) / fs for fs in (1, 25, 32, 125, 250)}
    motion = {
        fs: waves.movement(t_s, start_s, length_s) if moves else np.zeros(len(t_s))
        for fs, t_s in times.items()
    }
    values = _waves(rng, now, beats_s, times, motion)
    values |= _posture(who, rng, times[32], motion[32])
    values |= _numbers(who, rng, times[1], motion[1])
    if who.number in LEAD_OFF:
        off = _within(times[250], LEAD_OFF[who.number])
        values["ecg"] = np.where(off, _LEAD_OFF_MV, values["ecg"])
    samples = {name: np.rint(x / SPECS[name].step).astype(np.int16) for name, x in values.items()}
    gaps = [SILENT[who.number]] if who.number in SILENT else []
    lost, held = rng.uniform() < 0.08, rng.uniform() < 0.05
    gap_s = begin_s + float(rng.integers(4, 50))
    if lost:
        gaps.append((gap_s, gap_s + 4))
    for name, data in samples.items():
        for gap in gaps:
            data[_within(times[SPECS[name].fs_hz], gap)] = MISSING_SAMPLE
    held_s = begin_s + float(rng.integers(4, 50))
    return Block(begin_s, samples, (held_s, held_s + 6) if held else None)


def _within(t_s: Floats, span: tuple[float, float]) -> NDArray[np.bool_]:
    return (t_s >= span[0]) & (t_s < span[1])


def _waves(
    rng: Generator,
    now: _Rhythm,
    beats_s: Floats,
    times: dict[int, Floats],
    motion: dict[int, Floats],
) -> dict[str, Floats]:
    """ECG, pulse wave and breathing with noise and movement artefacts."""
    breath = {fs: np.interp(times[fs], now.grid_s, now.breath_rad) for fs in (25, 125, 250)}
    drift = 0.08 * np.sin(2 * np.pi * 0.05 * times[250]) + 0.04 * np.sin(breath[250])
    ecg = waves.ecg(times[250], beats_s, breath[250]) + drift
    ecg = ecg + (0.012 + 0.10 * motion[250]) * rng.standard_normal(len(ecg))
    ecg = ecg + 0.35 * motion[250] * np.sin(2 * np.pi * 0.7 * times[250])
    ppg = waves.ppg(times[125], beats_s, breath[125])
    ppg = ppg + (0.008 + 0.15 * motion[125]) * rng.standard_normal(len(ppg))
    ppg = ppg + 0.9 * motion[125] * np.sin(2 * np.pi * rng.uniform(1.2, 2.2) * times[125])
    resp = waves.resp(breath[25]) + (0.02 + 0.3 * motion[25]) * rng.standard_normal(1500)
    return {"ecg": ecg, "ppg": ppg, "resp": resp}


def _posture(who: Profile, rng: Generator, t_s: Floats, motion: Floats) -> dict[str, Floats]:
    """Gravity by how the wrist lies, turning slowly, and what movement adds."""
    tilt = 0.5 * np.sin(2 * np.pi * t_s / 1800 + who.number) + 0.3
    shake = motion * np.sin(2 * np.pi * rng.uniform(1.5, 3.0) * t_s)
    gravity = {"acc_x": np.sin(tilt), "acc_y": 0.1 * np.cos(tilt), "acc_z": np.cos(tilt)}
    sizes = {name: rng.uniform(0.1, 0.5) for name in gravity}
    return {
        name: lying + sizes[name] * shake + 0.004 * rng.standard_normal(len(t_s))
        for name, lying in gravity.items()
    }


def _numbers(who: Profile, rng: Generator, t_s: Floats, motion: Floats) -> dict[str, Floats]:
    """SpO2 in whole per cent, low while the hand moves, and temperature."""
    now = vitals(who, t_s)
    spo2 = now.spo2_pct + 0.35 * rng.standard_normal(len(t_s)) - 2.5 * motion
    temp = now.temp_c + 0.02 * rng.standard_normal(len(t_s))
    return {"spo2": np.minimum(spo2, 100), "temp": temp}
