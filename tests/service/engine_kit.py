"""Logs and runs for the engine's laws: small synthetic patients, any split of the log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, cycle, islice

import msgspec
import numpy as np
from numpy.typing import NDArray

from service.build import build_engine
from service.config import Config, KafkaConfig
from service.embedded import numbered
from service.engine import Engine
from service.results import Collector, Results
from streams.beat_grid import GRID_HZ, STEP_MS, on_grid
from streams.history import HistorySpec, Timed, active_partitions
from streams.partition import partition_of
from streams.processor import Output
from streams.records import (
    MISSING_SAMPLE,
    AlertCommand,
    Chunk,
    ClinicalEvent,
    DeviceStatus,
    LogRecord,
    Record,
    SignalBundle,
    Tick,
)

START_US = 1_577_836_800_000_000  # 2020-01-01T00:00:00Z
S = 1_000_000
PARTITIONS = 4
ECG_HZ, RESP_HZ = 125.0, 25.0
SCALES = {"ecg": 0.001, "resp": 0.001, "spo2": 0.01, "temp": 0.01, "hr": 0.01}
SCALES |= {"ppg": 0.001, "eda": 0.001, "rr_interval": STEP_MS, "acc": 1 / 512}
UNITS = {"ecg": "mV", "resp": "1", "spo2": "%", "temp": "Cel", "hr": "1/min"}
UNITS |= {"eda": "uS", "rr_interval": "ms", "acc": "g"}
PPG_HZ, ACC_HZ, EDA_HZ = 64.0, 32.0, 4.0
# (delay from the R peak in s, width in s, height in mV) of P, Q, R, S and T
ECG_WAVES = (
    (-0.16, 0.025, 0.12),
    (-0.03, 0.010, -0.10),
    (0.0, 0.012, 1.0),
    (0.03, 0.010, -0.22),
    (0.24, 0.045, 0.28),
)

Floats = NDArray[np.float64]


@lru_cache(maxsize=64)
def ecg(seconds: float, rate_bpm: float, seed: int = 0, fs_hz: float = ECG_HZ) -> Floats:
    """P-QRS-T complexes at a slightly varying rate, with noise and baseline wander."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    gaps = 60 / rate_bpm + 0.02 * rng.standard_normal(int(seconds * rate_bpm / 60) + 20)
    beats = np.cumsum(gaps) - 2.0
    after = np.clip(np.searchsorted(beats, t), 1, len(beats) - 1)
    wave = 0.05 * np.sin(2 * np.pi * 0.25 * t) + 0.01 * rng.standard_normal(len(t))
    for beat in (beats[after - 1], beats[after]):
        for delay_s, width_s, height in ECG_WAVES:
            wave += height * np.exp(-(((t - beat - delay_s) / width_s) ** 2) / 2)
    return np.asarray(wave)


def resp(seconds: float, rate_per_min: float, fs_hz: float = RESP_HZ) -> Floats:
    """A plain breathing wave."""
    t = np.arange(round(seconds * fs_hz)) / fs_hz
    return np.asarray(np.sin(2 * np.pi * rate_per_min / 60 * t))


def wrist(seconds: float, rate_bpm: float, seed: int) -> dict[str, tuple[float, Floats]]:
    """Rate and samples of all that a wristband sends: at rest, then walking, with a few faults."""
    rng = np.random.default_rng(seed)
    beats = np.cumsum(60 / rate_bpm + 0.03 * rng.standard_normal(int(seconds * rate_bpm / 60) + 9))
    t = np.arange(round(seconds * PPG_HZ)) / PPG_HZ
    since = t - beats[np.searchsorted(beats, t).clip(1, beats.size - 1) - 1]
    walk = np.sin(2 * np.pi * 1.9 * t) * (t > 0.6 * seconds)
    pulse = (
        2 + np.exp(-(((since - 0.25) / 0.09) ** 2)) + 0.3 * np.exp(-(((since - 0.5) / 0.1) ** 2))
    )
    u = np.arange(round(seconds * ACC_HZ)) / ACC_HZ
    step = np.sin(2 * np.pi * 1.9 * u) * (u > 0.6 * seconds)
    rest = 0.01 * rng.standard_normal((3, u.size))
    v = np.arange(round(seconds * EDA_HZ)) / EDA_HZ
    real = beats[beats < seconds]
    _, intervals = on_grid(
        START_US + np.round(real * 1e6).astype(np.int64), np.diff(real, prepend=np.nan) * 1000
    )
    lead = round((real[1] * 1e6) // 125_000)
    grid = np.concatenate([np.full(lead, np.nan), intervals])
    response = sum(0.4 * np.exp(-(((v - at) / 2.0) ** 2)) for at in range(20, int(seconds), 45))
    return {
        "ppg": (PPG_HZ, pulse + 0.4 * walk + 0.01 * rng.standard_normal(t.size)),
        "acc_x": (ACC_HZ, 0.3 + 0.2 * step + rest[0]),
        "acc_y": (ACC_HZ, 0.1 + 0.1 * step + rest[1]),
        "acc_z": (ACC_HZ, 0.95 + 0.3 * step + rest[2]),
        "eda": (EDA_HZ, 2.0 + 0.002 * v + response),
        "temp": (EDA_HZ, 33.0 + 0.001 * v),
        "rr_interval": (GRID_HZ, grid),
    }


def kind_of(signal: str) -> str:
    """What the tables know a signal by: the three axes are one."""
    return signal.partition("_")[0] if signal.startswith("acc") else signal


def chunk(
    patient_id: str = "p",
    signal: str = "ecg",
    *,
    first: int = 0,
    data: bytes | Sequence[int] = (1, 2, 3),
    start_us: int | None = None,
    **changes: object,
) -> Chunk:
    """One good chunk; `changes` replace fields. It starts where `first` says, if not told."""
    fs_hz = float(changes.pop("fs_hz", ECG_HZ))  # type: ignore[arg-type]
    raw = data if isinstance(data, bytes) else np.array(data, "<i2").tobytes()
    if start_us is None:
        start_us = START_US + (round(first * 1e6 / fs_hz) if math.isfinite(1e6 / fs_hz) else 0)
    fields: dict[str, object] = {
        "patient_id": patient_id,
        "device_id": f"{patient_id}-dev",
        "signal": signal,
        "seq": first,
        "first_sample": first,
        "start_us": start_us,
        "fs_hz": fs_hz,
        "unit": UNITS.get(kind_of(signal), "1"),
        "scale": SCALES.get(kind_of(signal), 0.001),
        "offset": 0.0,
        "codec": 0,
        "data": raw,
    }
    return Chunk(**{**fields, **changes})  # type: ignore[arg-type]


def chunks_of(
    patient_id: str,
    signal: str,
    samples: Floats,
    fs_hz: float,
    sizes: int | Sequence[int],
    span_s: tuple[float, float] = (0.0, math.inf),
    **changes: object,
) -> list[tuple[int, Chunk]]:
    """Chunks of `sizes` samples (repeated), each appended when its last sample was taken.

    Only the stretch `span_s` of the samples is sent; the device's counter goes on over a gap.
    """
    digital = np.round(samples / SCALES.get(kind_of(signal), 0.001))
    data = np.where(np.isnan(digital), MISSING_SAMPLE, digital).astype("<i2")
    first = round(span_s[0] * fs_hz)
    stop = min(len(data), round(min(span_s[1], 1e6) * fs_hz))
    out: list[tuple[int, Chunk]] = []
    for size in cycle([sizes] if isinstance(sizes, int) else sizes):
        if first >= stop:
            return out
        part = data[first : min(first + size, stop)]
        at_us = START_US + round(first * 1e6 / fs_hz)
        append_us = at_us + math.ceil(len(part) * 1e6 / fs_hz)
        made = chunk(
            patient_id,
            signal,
            first=first,
            data=part.tobytes(),
            start_us=at_us,
            fs_hz=fs_hz,
            **changes,
        )
        out.append((append_us, made))
        first += size
    return out


def patient(  # noqa: PLR0913 - every argument after the second has a default
    patient_id: str,
    seconds: float,
    *,
    rate_bpm: float = 70,
    breaths: float = 14,
    spo2: float = 97.0,
    fs_hz: float = ECG_HZ,
    chunk_s: float | Sequence[float] = 2.0,
    spans_s: Sequence[tuple[float, float]] = ((0.0, math.inf),),
    off: bool = True,
) -> list[Timed]:
    """One patient's history: ECG, breathing, SpO2, and the device switched off at the end.

    Between the stretches `spans_s` nothing is sent.
    """
    seed = sum(patient_id.encode())
    lengths_s = [chunk_s] if isinstance(chunk_s, int | float) else list(chunk_s)
    rows: list[Timed] = []
    for signal, rate_hz, samples in (
        ("ecg", fs_hz, ecg(seconds, rate_bpm, seed, fs_hz)),
        ("resp", RESP_HZ, resp(seconds, breaths)),
        ("spo2", 1.0, np.full(round(seconds), spo2)),
    ):
        sizes = [max(1, round(length_s * rate_hz)) for length_s in lengths_s]
        for span_s in spans_s:
            rows += chunks_of(patient_id, signal, samples, rate_hz, sizes, span_s)
    rows.sort(key=lambda row: row[0])
    if off:
        # In whole ms: the append time of the last chunk depends on its length by a µs.
        rows.append(status(patient_id, "off", math.ceil((rows[-1][0] - START_US) / 1000) / 1000))
    return rows


def wristband(
    patient_id: str, seconds: float, rate_bpm: float = 72, chunk_s: float | Sequence[float] = 2.0
) -> list[Timed]:
    """One patient's history with a wristband, switched off at the end."""
    lengths_s = [chunk_s] if isinstance(chunk_s, int | float) else list(chunk_s)
    rows: list[Timed] = []
    sent = wrist(seconds, rate_bpm, sum(patient_id.encode()))
    for signal, (fs_hz, samples) in sent.items():
        sizes = [max(1, round(length_s * fs_hz)) for length_s in lengths_s]
        rows += chunks_of(patient_id, signal, samples, fs_hz, sizes)
    rows.sort(key=lambda row: row[0])
    rows.append(status(patient_id, "off", math.ceil((rows[-1][0] - START_US) / 1000) / 1000))
    return rows


def status(
    patient_id: str, word: str, at_s: float, signal: str = "", **changes: object
) -> tuple[int, DeviceStatus]:
    """A device's word of itself at seconds after the start, with its append time."""
    at_us = START_US + round(at_s * S)
    fields: dict[str, object] = {
        "patient_id": patient_id,
        "device_id": f"{patient_id}-dev",
        "signal": signal,
        "status": word,
        "battery_pct": None,
        "firmware": "",
        "clock_offset_us": 0,
        "event_time_us": at_us,
    }
    return at_us, DeviceStatus(**{**fields, **changes})  # type: ignore[arg-type]


def event(
    patient_id: str, code: str, value: float | None, unit: str, at_s: float, known_s: float
) -> tuple[int, ClinicalEvent]:
    """A clinical event at seconds after the start, with its append time."""
    event_us, known_us = START_US + round(at_s * S), START_US + round(known_s * S)
    name = f"{patient_id}-{code}-{at_s}-{known_s}"
    made = ClinicalEvent(
        name, 1, "final", patient_id, code, value, unit, "", event_us, known_us, "lab"
    )
    return known_us, made


def corrected(
    first: tuple[int, object], value: float | None, at_s: float, version: int = 2
) -> tuple[int, ClinicalEvent]:
    """A correction known at seconds after the start, with its append time; None cancels."""
    at_us = START_US + round(at_s * S)
    status = "cancelled" if value is None else "corrected"
    assert isinstance(first[1], ClinicalEvent)
    changes = {"value": value, "version": version, "status": status, "known_time_us": at_us}
    return at_us, msgspec.structs.replace(first[1], **changes)


def command(
    patient_id: str, action: str, target: str, at_s: float, **changes: object
) -> tuple[int, AlertCommand]:
    """A command at seconds after the start, with its append time; `lasting_s` gives its end."""
    at_us = START_US + round(at_s * S)
    until_us = at_us + round(float(changes.pop("lasting_s", 0)) * S)  # type: ignore[arg-type]
    fields: dict[str, object] = {
        "command_id": f"{action}-{target}-{at_s:g}",
        "patient_id": patient_id,
        "occurrence_id": target,
        "action": action,
        "actor": "user:kim",
        "role": "service",
        "reason": "network works",
        "expected_seq": -1,
        "until_us": until_us if until_us > at_us else 0,
        "event_time_us": at_us,
    }
    return at_us, AlertCommand(**{**fields, **changes})  # type: ignore[arg-type]


def log_of(
    histories: Iterable[Sequence[Timed]], tail_us: int = 10 * S, bundle_us: int = 250_000
) -> list[LogRecord]:
    """The log these histories make together."""
    rows = sorted(chain.from_iterable(histories), key=lambda row: row[0])
    ids = {record.patient_id for _, record in rows}  # type: ignore[union-attr]
    active = tuple(active_partitions(sorted(ids), PARTITIONS))
    spec = HistorySpec(PARTITIONS, bundle_us, tail_us=tail_us, active=active)
    return list(numbered(spec.build(rows)))


def renumbered(rows: Iterable[tuple[int, int, Record]]) -> list[LogRecord]:
    """A log of (partition, append_us, record), with offsets as a broker gives them."""
    return list(numbered(rows))  # type: ignore[arg-type]


def plain(log: Iterable[LogRecord]) -> list[tuple[int, int, Record]]:
    """(partition, append_us, record) of every whole record of a log."""
    return [(r.partition, r.append_us, r.record) for r in log if r.record is not None]


def engine(partitions: int = PARTITIONS) -> Engine:
    """An engine with everything at its default."""
    return build_engine(Config(kafka=KafkaConfig(partitions=partitions)))


def revived(
    states: Mapping[tuple[int, str], bytes],
    log: Iterable[LogRecord],
    machine: Engine | None = None,
) -> Engine:
    """A new engine with these states, by partition and patient; `log` is what they rest on."""
    machine = machine or engine()
    need: dict[int, int] = {}
    for (number, name), state in states.items():
        loaded = machine.restore(number, name, state)
        need[number] = min(loaded.replay, need.get(number, loaded.replay))
    machine.refill([r for r in log if r.offset >= need.get(r.partition, 1 << 62)])
    for number in need:
        machine.complete(number)
    return machine


def handed_over(
    first: Engine, second: Engine, log: Iterable[LogRecord], partitions: int = PARTITIONS
) -> Engine:
    """The second engine with all that the first stores; `log` is what that rests on."""
    states = {
        (number, name): state
        for number in range(partitions)
        for name, _, state in first.snapshots(number)
    }
    return revived(states, log, second)


def outputs(log: Sequence[LogRecord], sizes: Iterable[int] = (1 << 30,)) -> list[Output]:
    """Every message of a log fed in batches of these sizes (repeated)."""
    machine = engine()
    said: list[Output] = []
    remaining = iter(log)
    for size in cycle(sizes):
        part = list(islice(remaining, size))
        if not part:
            return said
        said.extend(machine.feed(part).messages)
    return said


def collected(said: Iterable[Output]) -> Results:
    """Messages as a runner would collect them."""
    collector = Collector()
    collector.take(said)
    return collector.results()


def run(log: Sequence[LogRecord], sizes: Iterable[int] = (1 << 30,)) -> Results:
    """Feed a log in batches of these sizes (repeated)."""
    return collected(outputs(log, sizes))


def direct(rows: Iterable[tuple[int, Record | Chunk]], patient_id: str = "p") -> list[LogRecord]:
    """A log of one patient's partition, each chunk its own bundle, exactly these rows."""
    where = partition_of(patient_id, PARTITIONS)
    return renumbered(
        (where, append_us, SignalBundle((what,)) if isinstance(what, Chunk) else what)
        for append_us, what in rows
    )


def ticks(begin_s: float, end_s: float, step_s: float = 5.0) -> list[tuple[int, Tick]]:
    """Ticks from `begin_s` up to `end_s` after the start."""
    times = np.arange(begin_s, end_s, step_s)
    return [(START_US + round(t * S), Tick(START_US + round(t * S))) for t in times.tolist()]
