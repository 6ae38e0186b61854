"""Whole pipelines beside NeuroKit2's: a recording worked off once, and a monitor's minutes.

A recording once is what a library is made for. A monitor answers every minute about the last 60 s
and the last 300 s: this package keeps what it found in the segments, a library is called again.
Both ways to call it are measured: with the last 300 s, and thriftily, with the new minute alone,
whose beats the caller keeps for `hrv` of the last 300 s (beats at the cuts are lost or doubled).
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._peer_records import bidmc, timed
from features.analyse import analyse_kept
from features.extract import extract
from features.memory import Memory
from features.signals import SIGNALS
from streams.segments import Segment
from streams.windows import Window

Floats = NDArray[np.float64]

S_US: Final = 1_000_000
STEP_S: Final = 10
MINUTE_S: Final = 60
ONCE_S: Final = 300
PATIENTS: Final = 256
FULL_MIN: Final = 5  # from here on a window of 300 s is full
MONITOR_MIN: Final = 8  # a BIDMC record
PEER_PATIENTS: Final = 4


class Waves(NamedTuple):
    """ECG, PPG and chest wave of one patient at one rate."""

    ecg: Floats
    ppg: Floats
    resp: Floats
    fs_hz: float

    def between(self, begin_s: float, end_s: float) -> Waves:
        """The samples of some seconds."""
        at = slice(round(begin_s * self.fs_hz), round(end_s * self.fs_hz))
        return Waves(self.ecg[at], self.ppg[at], self.resp[at], self.fs_hz)


def pipeline_table() -> None:
    """A recording of 5 min once: NeuroKit2's `*_process` and `hrv` against segments and rows here.

    Here: beats, pulses, breaths, quality, spectra and five 60 s rows and one 300 s row with every
    value of `features.catalog` that these three signals give. There: cleaning, peaks, quality,
    delineation of every beat, rates, and `hrv` (time, frequency, non-linear) of the 300 s once.
    """
    parts = [each.between(0, ONCE_S) for each in patients()]
    values = recording(parts)
    with_hrv(parts[-1])  # what a first call loads is not counted
    own_s = min(timed(partial(recording, parts))[1] for _ in range(2))
    _, one_s = timed(partial(recording, parts[:1]))
    _, peer_s = timed(partial(with_hrv, parts[0]))
    own_ms = 1e3 * own_s / FULL_MIN / len(parts)
    print("\nA recording of ECG, PPG and RESP, 5 min once, CPU ms per patient-minute")
    line(f"Vigil, {len(parts)} patients at once, {values} values", own_ms, own_ms)
    line("Vigil, one patient alone", 1e3 * one_s / FULL_MIN, own_ms)
    line("NeuroKit2 ecg_, ppg_, rsp_process, hrv", 1e3 * peer_s / FULL_MIN, own_ms)


def monitor_table() -> None:
    """A monitor's minutes: a 60 s and a 300 s row every minute, once 300 s are there.

    The peer's 60 s row is left out in its favour.
    """
    people = patients()
    own_ms = monitored(people)
    print("\nThe same three signals as a monitor has them, 60 s hop, CPU ms per patient-minute")
    line(f"Vigil, {len(people)} patients at once, 10 s by 10 s", own_ms, own_ms)
    line("Vigil, one patient alone", monitored(people[:1]), own_ms)
    few = people[:PEER_PATIENTS]
    line("NeuroKit2, last 300 s every minute", peer_ms(again, few), own_ms)
    line("NeuroKit2, new minute; hrv of 300 s", peer_ms(thrifty, few), own_ms)


def line(name: str, ms: float, own_ms: float) -> None:
    """A row of a table."""
    print(f"{name:48}{ms:10.2f}   ratio {ms / own_ms:8.1f}")


def patients() -> list[Waves]:
    """BIDMC records, as often as it takes to be many."""
    records = [Waves(*each) for each in bidmc(99)]
    return records * (-(-PATIENTS // len(records)))


def recording(people: list[Waves]) -> int:
    """Five 60 s rows and one 300 s row of each patient; how many values they hold in all."""
    memories = [Memory() for _ in people]
    hear(memories, [c for k in range(ONCE_S // STEP_S) for c in cuts(people, k)])
    ends = [(MINUTE_S, MINUTE_S * k) for k in range(1, FULL_MIN + 1)] + [(ONCE_S, ONCE_S)]
    return answer(memories, ends)


def monitored(people: list[Waves]) -> float:
    """CPU ms per patient-minute over the minutes in which both windows are full."""
    memories = [Memory() for _ in people]
    spent_s = 0.0
    for minute in range(MONITOR_MIN):
        steps = range(minute * MINUTE_S // STEP_S, (minute + 1) * MINUTE_S // STEP_S)
        heard = [cuts(people, k) for k in steps]
        end_s = (minute + 1) * MINUTE_S
        began = time.process_time()
        for segments in heard:
            hear(memories, segments)
        answer(memories, [(MINUTE_S, end_s), (ONCE_S, end_s)])
        for memory in memories:
            memory.rings.prune((end_s - ONCE_S) * S_US)
        spent_s += (time.process_time() - began) * (minute >= FULL_MIN)
    return 1e3 * spent_s / (MONITOR_MIN - FULL_MIN) / len(people)


def hear(memories: list[Memory], segments: list[Segment]) -> None:
    """Analyse the segments of all patients at once, and keep what was found."""
    for segment, kept in zip(segments, analyse_kept(segments), strict=True):
        memories[int(segment.patient_id)].keep_bytes(kept)


def answer(memories: list[Memory], ends: list[tuple[int, int]]) -> int:
    """Rows of windows given by length and end in seconds; how many values they hold."""
    windows = [Window("p", f"{s}s", (end - s) * S_US, end * S_US, end * S_US) for s, end in ends]
    rows = [(memory, window) for memory in memories for window in windows]
    return int(np.isfinite(extract(rows).value).sum())


def cuts(people: list[Waves], k: int) -> list[Segment]:
    """The k-th 10 s segment of each signal of each patient."""
    return [
        segment_of(f"{i}", signal, getattr(waves, signal), waves.fs_hz, k)
        for i, waves in enumerate(people)
        for signal in ("ecg", "ppg", "resp")
    ]


def segment_of(patient: str, signal: str, x: Floats, fs_hz: float, k: int) -> Segment:
    """The k-th 10 s segment of a recording that starts at 0, NaN beyond it."""
    context, core = round(SIGNALS[signal].context_s * fs_hz), round(STEP_S * fs_hz)
    first = k * core - context
    held = x[max(first, 0) : (k + 1) * core + context].astype(np.float32)
    before = max(-first, 0)
    samples = np.full(core + 2 * context, np.nan, np.float32)
    samples[before : before + held.size] = held
    begin_us = k * STEP_S * S_US
    return Segment(
        patient, "d", signal, begin_us, begin_us + STEP_S * S_US, fs_hz, "",
        -context * 1e6 / fs_hz, samples,
    )  # fmt: skip


def peer_ms(way: Callable[[Waves], float], people: list[Waves]) -> float:
    """CPU ms per patient-minute of a way to call NeuroKit2 over the same minutes."""
    return 1e3 * sum(way(each) for each in people) / (MONITOR_MIN - FULL_MIN) / len(people)


def again(waves: Waves) -> float:
    """CPU seconds when the last 300 s are processed every minute."""
    ends = [MINUTE_S * m for m in range(FULL_MIN + 1, MONITOR_MIN + 1)]
    return sum(timed(partial(with_hrv, waves.between(end - ONCE_S, end)))[1] for end in ends)


def thrifty(waves: Waves) -> float:
    """CPU seconds when only the new minute is processed and its beats are kept."""
    rate = round(waves.fs_hz)
    kept: list[Any] = []
    spent_s = 0.0
    for minute in range(MONITOR_MIN):
        begin_s = minute * MINUTE_S
        began = time.process_time()
        peaks = processed(waves.between(begin_s, begin_s + MINUTE_S))
        kept = [*kept[-4:], np.asarray(peaks) + begin_s * rate]
        if minute >= FULL_MIN:
            importlib.import_module("neurokit2").hrv(np.concatenate(kept), sampling_rate=rate)
            spent_s += time.process_time() - began
    return spent_s


def with_hrv(waves: Waves) -> None:
    """NeuroKit2's pipelines of the three signals and `hrv` of the beats."""
    peaks = processed(waves)
    importlib.import_module("neurokit2").hrv(peaks, sampling_rate=round(waves.fs_hz))


def processed(waves: Waves) -> Any:
    """NeuroKit2's pipelines of the three signals; R peaks in samples."""
    nk, rate = importlib.import_module("neurokit2"), round(waves.fs_hz)
    _, found = nk.ecg_process(waves.ecg, sampling_rate=rate)
    nk.ppg_process(waves.ppg, sampling_rate=rate)
    nk.rsp_process(waves.resp, sampling_rate=rate)
    return found["ECG_R_Peaks"]
