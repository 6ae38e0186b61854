"""What the whole feature vector costs: every segment, every window, every feature with a memory.

Simulated patients with ECG 250 Hz, PPG 125 Hz, chest wave 25 Hz, accelerometer 3 x 32 Hz, SpO2 and
temperature 1 Hz: six segments a minute of each signal, one 60 s and one 300 s window a minute.
Streams, buffers, scores and alerts are not counted; loops are compiled before, as a live worker
does, and the rows of a batch share what they look up, as there.
`python -m benchmarks.bench_whole_vector`.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import heading
from features.analyse import CONTEXT_S, analyse_kept
from features.analysis.motion import analyse_motion_kept
from features.axes import Triple
from features.concepts import CONCEPTS
from features.ecg import kernels
from features.extract import extract
from features.families.table import Batch
from features.follow import Care, follow
from features.memory import Memory
from streams.segments import SEGMENT_US, Segment
from streams.windows import Window

RATES_HZ = {"ecg": 250.0, "ppg": 125.0, "resp": 25.0, "spo2": 1.0, "temp": 1.0}
ACC_HZ = 32.0
MINUTES, WARM = 8, 3
MINUTE_US = 60_000_000
Floats = NDArray[np.float64]


class Meter:
    """CPU seconds by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.on = False

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work; its time counts once the meter is on."""
        begin = time.process_time()
        made = work()
        if self.on:
            self.spent[name] += time.process_time() - begin
        return made


def main() -> int:
    """Print the table."""
    kernels.warm_up()
    print(heading("CPU per patient-minute of the whole feature vector, 60 s hop"))
    print(f"{'patients a batch':<18}{'ms':>8}   of which ms")
    for n_patients in (1, 16, 256):
        meter = measured(n_patients)
        counted = n_patients * (MINUTES - WARM)
        parts = [(1e3 * spent / counted, name) for name, spent in meter.spent.items()]
        detail = ", ".join(f"{name} {ms:.3f}" for ms, name in sorted(parts, reverse=True))
        print(f"{n_patients:<18}{sum(ms for ms, _ in parts):>8.3f}   {detail}")
    return 0


def measured(n_patients: int) -> Meter:
    """Run the patients for some minutes; the last ones count."""
    rng = np.random.default_rng(1)
    people = [Memory() for _ in range(n_patients)]
    waves = [patient(rng) for _ in range(n_patients)]
    nothing = Care(False, np.full(len(CONCEPTS), np.nan), np.zeros(len(CONCEPTS), np.int64))
    meter = Meter()
    for minute in range(MINUTES):
        meter.on = minute >= WARM
        for k in range(6 * minute, 6 * minute + 6):
            segments = [cut(w, name, k) for w in waves for name in RATES_HZ]
            found = meter.run("segments", partial(analyse_kept, segments))
            triples = [Triple(*(cut(w, f"acc_{a}", k) for a in "xyz")) for w in waves]
            moved = meter.run("movement", partial(analyse_motion_kept, triples))
            meter.run("rings", partial(keep, people, found, moved))
        end_us = (minute + 1) * MINUTE_US
        lengths = {"60s": MINUTE_US, "300s": 5 * MINUTE_US}
        windows = [Window("p", name, end_us - us, end_us, end_us) for name, us in lengths.items()]
        rows = Batch((memory, window) for memory in people for window in windows)
        batch = meter.run("windows", partial(extract, rows))
        meter.run("memory", partial(follow, rows, batch, [nothing] * len(rows)))
        for memory in people:
            memory.rings.prune(end_us - 5 * MINUTE_US)
    return meter


def keep(people: list[Memory], found: list[Any], moved: list[Any]) -> None:
    """Insert what was found, patient by patient."""
    per = len(RATES_HZ)
    for i, memory in enumerate(people):
        for primitives in (*found[per * i : per * i + per], moved[i]):
            memory.keep_bytes(primitives)


def patient(rng: np.random.Generator) -> dict[str, Floats]:
    """Signals of one patient, context before and after included."""
    length_s = MINUTES * 60 + 8
    rr = rng.uniform(0.6, 1.0) * (1 + 0.03 * rng.standard_normal(int(length_s / 0.5)))
    beat_s = np.cumsum(rr)
    breath_hz = rng.uniform(0.2, 0.35)
    waves: dict[str, Floats] = {}
    for name, fs_hz in RATES_HZ.items():
        t = np.arange(round(length_s * fs_hz)) / fs_hz
        phase = t - beat_s[np.searchsorted(beat_s, t).clip(1, beat_s.size - 1) - 1]
        breath = np.sin(2 * np.pi * breath_hz * t)
        shape = {
            "ecg": np.exp(-(((phase - 0.1) / 0.012) ** 2))
            + 0.25 * np.exp(-(((phase - 0.35) / 0.05) ** 2)),
            "ppg": np.exp(-(((phase - 0.3) / 0.09) ** 2))
            + 0.3 * np.exp(-(((phase - 0.55) / 0.08) ** 2)),
            "resp": breath,
            "spo2": np.full(t.size, 97.0),
            "temp": np.full(t.size, 36.6),
        }[name]
        level = {"ecg": 0.0, "ppg": 3.0}.get(name, 0.0)
        noise = 0.02 * rng.standard_normal(t.size) if name in ("ecg", "ppg", "resp") else 0.0
        waves[name] = level + shape * (1 + 0.1 * breath * (name in ("ecg", "ppg"))) + noise
    for axis, gravity in zip("xyz", (0.1, 0.2, 0.97), strict=True):
        n = round(length_s * ACC_HZ)
        waves[f"acc_{axis}"] = gravity + 0.01 * rng.standard_normal(n)
    return waves


def cut(waves: dict[str, Floats], name: str, k: int) -> Segment:
    """The k-th segment of a signal, with its context."""
    fs_hz, context_s = RATES_HZ.get(name, ACC_HZ), CONTEXT_S[name]
    first = round((k * 10 + 4 - context_s) * fs_hz)
    n = round((10 + 2 * context_s) * fs_hz)
    samples = waves[name][first : first + n].astype(np.float32)
    start_us = k * SEGMENT_US
    unit = "g" if name.startswith("acc") else ""
    end_us = start_us + SEGMENT_US
    return Segment("p", "d", name, start_us, end_us, fs_hz, unit, -context_s * 1e6, samples)


if __name__ == "__main__":
    sys.exit(main())
