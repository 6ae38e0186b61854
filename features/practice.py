"""Two minutes of a made-up patient, so that every loop over windows is compiled before it matters.

What is found is of no interest. Not here: loops over samples (`features.ecg.kernels.warm_up`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from features.analyse import CONTEXT_S, analyse_kept
from features.analysis.motion import analyse_motion_kept
from features.axes import Triple
from features.concepts import CONCEPTS
from features.extract import extract
from features.follow import Care, follow
from features.intervals import Floats
from features.memory import Memory
from streams.segments import SEGMENT_US, Segment
from streams.windows import LONGEST_US, WINDOWS, Window

_RATES_HZ: Final = {"ecg": 125.0, "ppg": 64.0, "resp": 25.0, "spo2": 1.0, "temp": 1.0, "eda": 4.0}
_ACC_HZ: Final = 32.0
_SEGMENTS: Final = 32  # beyond the five minutes of the longest window over them
_BEAT_S: Final = 0.8


def practise() -> None:
    """Analyse the patient's segments, and make his windows of every length."""
    memory = Memory()
    for k in range(_SEGMENTS):
        names = [name for name in _RATES_HZ if name != "resp" or k % 2]
        segments = [_segment(name, fs_hz, k) for name, fs_hz in _RATES_HZ.items() if name in names]
        axes = Triple(*(_segment(f"acc_{axis}", _ACC_HZ, k) for axis in "xyz"))
        for kept in (*analyse_kept(segments), *analyse_motion_kept([axes])):
            memory.keep_bytes(kept)
    end_us = _SEGMENTS * SEGMENT_US
    nothing = Care(False, np.full(len(CONCEPTS), np.nan), np.zeros(len(CONCEPTS), np.int64))
    for people in ([memory], [Memory(), memory]):
        windows = [Window("", w.name, end_us - w.length_us, end_us, end_us) for w in WINDOWS]
        rows = [(person, window) for person in people for window in windows]
        follow(rows, extract(rows), [nothing] * len(rows))
    memory.rings.prune(end_us - LONGEST_US)


def _segment(name: str, fs_hz: float, k: int) -> Segment:
    """The k-th segment of a signal: a beat now and then early, a movement now and then."""
    context_s = CONTEXT_S[name]
    n = round((10 + 2 * context_s) * fs_hz)
    t = np.arange(n) / fs_hz + 10 * k - context_s
    first_us = round(-context_s * 1e6)
    start_us = k * SEGMENT_US
    samples = _wave(name, t).astype(np.float32)
    unit = "g" if name.startswith("acc") else ""
    return Segment("", "", name, start_us, start_us + SEGMENT_US, fs_hz, unit, first_us, samples)


def _wave(name: str, t: Floats) -> Floats:
    """What a signal shows at these times."""
    phase = (t + 0.05 * np.sin(1.5 * t)) % _BEAT_S
    breath = np.sin(1.5 * t)
    level = {"spo2": 97.0, "temp": 36.6, "eda": 2.0, "acc_z": 1.0}.get(name, 0.0)
    if name == "ecg":
        return np.exp(-0.5 * ((phase - 0.4) / 0.012) ** 2) * (1 + 0.1 * breath)
    if name == "ppg":
        return np.exp(-0.5 * ((phase - 0.3) / 0.09) ** 2) * (1 + 0.1 * breath)
    if name == "resp":
        return breath
    if name.startswith("acc"):
        return level + 0.3 * np.sin(12 * t) * (t % 60 < 20)
    return level + 0.01 * breath
