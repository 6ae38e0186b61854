"""Windows whose breathing is known by construction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.breathing.series import NO_ECG, NO_PULSES, EcgBeats, Pulses
from features.breathing.windows import Windows

Floats = NDArray[np.float64]
LENGTH_S = 60.0


class Body(NamedTuple):
    """A patient at rest."""

    breaths_per_min: float = 15.0
    beats_per_min: float = 75.0
    depth: float = 0.1  # of what breathing changes
    noise: float = 0.03


def windows(bodies: list[Body], wear: str = "ecg ppg", seed: int = 0) -> Windows:
    """One 60-s window of each body; `wear` names the signals."""
    rng = np.random.default_rng(seed)
    wave = np.full((len(bodies), round(4 * LENGTH_S)), np.nan)
    ecg: list[list[Floats]] = [[np.empty(0)] for _ in range(5)]
    ppg: list[list[Floats]] = [[np.empty(0)] for _ in range(5)]
    for i, body in enumerate(bodies):
        n = int(LENGTH_S * body.beats_per_min / 60 * 1.2)
        t = np.cumsum(rng.normal(60 / body.beats_per_min, 0.01, n))
        t = t[t < LENGTH_S - 0.3]
        phase = 2 * np.pi * body.breaths_per_min / 60 * t + rng.uniform(0, 6)
        swing, level = body.depth * np.sin(phase), np.zeros(t.size)
        values = [
            np.full(t.size, i),
            1e6 * t,
            1.0 + swing + rng.normal(0, body.noise, t.size),
            -0.2 + 0.3 * swing + rng.normal(0, body.noise, t.size),
            level,
        ]
        for part, value in zip(ecg, values, strict=True):
            part.append(value)
        values[1] = 1e6 * (t + 0.25)
        values[2] = 5.0 + swing + rng.normal(0, body.noise, t.size)
        values[3] = 1.0 + 0.5 * swing + rng.normal(0, body.noise, t.size)
        for part, value in zip(ppg, values, strict=True):
            part.append(value)
        if "resp" in wear:
            at = np.arange(wave.shape[1]) / 4
            wave[i] = np.sin(2 * np.pi * body.breaths_per_min / 60 * at + phase[0])
    end_us = np.full(len(bodies), round(LENGTH_S * 1e6), np.int64)
    beats = EcgBeats(*_typed(ecg)) if "ecg" in wear else NO_ECG
    pulses = Pulses(*_typed(ppg)) if "ppg" in wear else NO_PULSES
    return Windows(wave, beats, pulses, end_us)


def _typed(
    parts: list[list[Floats]],
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats, NDArray[np.intp]]:
    """Flat arrays of the types the features take."""
    row, time_us, first, second, run = (np.concatenate(part) for part in parts)
    return row.astype(np.intp), np.rint(time_us).astype(np.intp), first, second, run.astype(np.intp)


def only(asked: Windows, row: int) -> Windows:
    """One of the windows as a batch of its own."""
    ecg, ppg = asked.ecg, asked.ppg
    mine, its = ecg.row == row, ppg.row == row
    none = np.zeros(int(mine.sum()), np.intp)
    none_p = np.zeros(int(its.sum()), np.intp)
    return Windows(
        asked.wave[row : row + 1],
        EcgBeats(none, ecg.time_us[mine], ecg.peak[mine], ecg.trough[mine], ecg.run[mine]),
        Pulses(none_p, ppg.time_us[its], ppg.baseline[its], ppg.amplitude[its], ppg.run[its]),
        asked.end_us[row : row + 1],
    )
