"""Logs and runs for the engine's laws: small synthetic patients, any split of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from service.build import build_engine
from service.config import Config
from service.embedded import numbered
from service.engine import Engine
from service.results import Collector, Results
from streams.history import HistorySpec, Timed, active_partitions
from streams.records import Chunk, ClinicalEvent, DeviceStatus, LogRecord

START_US = 1_577_836_800_000_000  # 2020-01-01T00:00:00Z
PARTITIONS = 4
ECG_HZ, RESP_HZ = 125.0, 25.0


def ecg(seconds: float, rate_bpm: float, seed: int = 0) -> np.ndarray:
    """Spikes with a little noise at a slightly varying rate; enough for a beat detector."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * ECG_HZ)) / ECG_HZ
    gaps = 60 / rate_bpm + 0.02 * rng.standard_normal(int(seconds * rate_bpm / 60) + 10)
    beats = np.cumsum(gaps)
    wave = sum(np.exp(-(((t - b) / 0.012) ** 2)) for b in beats)
    return np.asarray(wave + 0.01 * rng.standard_normal(len(t)))


def resp(seconds: float, rate_per_min: float) -> np.ndarray:
    """A plain breathing wave."""
    t = np.arange(round(seconds * RESP_HZ)) / RESP_HZ
    return np.sin(2 * np.pi * rate_per_min / 60 * t)


def chunks_of(
    patient_id: str, signal: str, samples: np.ndarray, fs_hz: float, size: int,
    start_us: int = START_US,
) -> list[tuple[int, Chunk]]:
    """Chunks of `size` samples, each appended when its last sample was taken."""
    scale = 0.001
    data = np.round(samples / scale).astype("<i2")
    out = []
    for first in range(0, len(data), size):
        part = data[first : first + size]
        at_us = start_us + round(first * 1e6 / fs_hz)
        append_us = start_us + round((first + len(part)) * 1e6 / fs_hz)
        chunk = Chunk(
            patient_id, f"{patient_id}-dev", signal, first, first, at_us, fs_hz, "mV", scale, 0.0,
            0, part.tobytes(),
        )
        out.append((append_us, chunk))
    return out


def patient(
    patient_id: str, seconds: float, *, rate_bpm: float = 70, breaths: float = 14,
    chunk_s: float = 2.0, off: bool = True,
) -> list[Timed]:
    """One patient's history: ECG, breathing, SpO2, and the device switched off at the end."""
    seed = sum(patient_id.encode())
    rows: list[Timed] = []
    rows += chunks_of(
        patient_id, "ecg", ecg(seconds, rate_bpm, seed), ECG_HZ, round(chunk_s * ECG_HZ)
    )
    rows += chunks_of(
        patient_id, "resp", resp(seconds, breaths), RESP_HZ, round(chunk_s * RESP_HZ)
    )
    spo2 = np.full(round(seconds), 20.0)
    rows += chunks_of(patient_id, "spo2", spo2, 1.0, max(1, round(chunk_s)))
    rows.sort(key=lambda row: row[0])
    if off:
        end_us = START_US + round(seconds * 1e6)
        status = DeviceStatus(patient_id, f"{patient_id}-dev", "", "off", None, "", 0, end_us)
        rows.append((end_us, status))
    return rows


def event(
    patient_id: str, code: str, value: float, unit: str, at_s: float, known_s: float
) -> tuple[int, ClinicalEvent]:
    """A clinical event at seconds after the start, with its append time."""
    event_us, known_us = START_US + round(at_s * 1e6), START_US + round(known_s * 1e6)
    name = f"{patient_id}-{code}-{at_s}-{known_s}"
    made = ClinicalEvent(
        name, 1, "final", patient_id, code, value, unit, "", event_us, known_us, "lab"
    )
    return known_us, made


def log_of(histories: Iterable[Sequence[Timed]], tail_us: int = 10_000_000) -> list[LogRecord]:
    """The log these histories make together."""
    rows = sorted((row for history in histories for row in history), key=lambda row: row[0])
    ids = {record.patient_id for _, record in rows}  # type: ignore[union-attr]
    active = tuple(active_partitions(sorted(ids), PARTITIONS))
    spec = HistorySpec(partitions=PARTITIONS, tail_us=tail_us, active=active)
    return list(numbered(spec.build(rows)))


def engine() -> Engine:
    """An engine with everything at its default."""
    return build_engine(Config(kafka=Config().kafka.__class__(partitions=PARTITIONS)))


def run(log: Sequence[LogRecord], sizes: Iterable[int] = (1 << 30,)) -> Results:
    """Feed a log in batches of these sizes (the last one repeats)."""
    machine, collector = engine(), Collector()
    position, size = 0, 1
    steps = iter(sizes)
    while position < len(log):
        size = next(steps, size)
        collector.take(machine.feed(log[position : position + size]).messages)
        position += size
    return collector.results()
