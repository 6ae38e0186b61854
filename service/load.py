"""Thousands of simulated patients at once: seamless loops of waveforms, cut into chunks.

A few people are simulated once; every patient of the load wears one of their loops from a place
of its own. So a chunk costs a slice, and the engine sees beats, breaths and movement that go on.
For throughput and endurance, not for accuracy: nobody deteriorates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from service import sim_waveforms as waves
from service.sim_patient import SPECS
from streams.errors import ConfigError
from streams.history import LogEntry
from streams.partition import PARTITIONS, partition_of
from streams.records import Chunk, SignalBundle

Floats = NDArray[np.float64]

LOOP_S: Final = 300  # as long as the longest window that looks at beats
CHUNK_S: Final = 10
PEOPLE: Final = 24
MAX_BUNDLE_BYTES: Final = 512 * 1024
SIGNALS: Final = ("ecg", "ppg", "acc_x", "acc_y", "acc_z", "spo2", "temp")
_NOISE: Final = {"ecg": 0.02, "ppg": 0.02, "acc_x": 0.01, "acc_y": 0.01, "acc_z": 0.01}


@dataclass(frozen=True, slots=True)
class LoadSpec:
    """How much, of what.

    Raises
    ------
    ConfigError
        If a number is out of its range or a signal is not simulated.
    """

    patients: int
    start_us: int
    partitions: int = PARTITIONS
    signals: tuple[str, ...] = SIGNALS
    seed: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= 1_000_000:
            raise ConfigError(f"patients must be 1..1000000, not {self.patients}")
        unknown = sorted(set(self.signals) - set(SPECS))
        if unknown or not self.signals:
            raise ConfigError(f"signals must be some of {', '.join(SPECS)}; not {unknown}")


class _Patient(NamedTuple):
    patient_id: str
    device_id: str
    partition: int
    person: int
    ahead: int  # chunks into the loop at the start


class Load:
    """The load as log entries, second by second.

    Each patient sends a chunk of all signals every `CHUNK_S`, a tenth of the patients per second.

    Parameters
    ----------
    spec : LoadSpec
        How much.
    """

    def __init__(self, spec: LoadSpec) -> None:
        self._spec = spec
        self._bank = [_person(spec, number) for number in range(min(PEOPLE, spec.patients))]
        loops = LOOP_S // CHUNK_S
        self._turns: list[list[_Patient]] = [[] for _ in range(CHUNK_S)]
        for number in range(spec.patients):
            patient_id = f"load-{number:06d}"
            where = partition_of(patient_id, spec.partitions)
            ahead = number * 7 % loops
            patient = _Patient(patient_id, f"l{number:06d}", where, number % len(self._bank), ahead)
            self._turns[number % CHUNK_S].append(patient)

    def second(self, number: int) -> Iterator[LogEntry]:
        """What is sent at second `number` from the start: bundles, ordered by partition.

        A chunk is sent the moment it is full; the first ones at second 10.
        """
        step = number // CHUNK_S - 1
        if step < 0:
            return
        sent_us = self._spec.start_us + number * 1_000_000
        bundles: dict[int, list[Chunk]] = {}
        size: dict[int, int] = {}
        for patient in self._turns[number % CHUNK_S]:
            begin_us = sent_us - CHUNK_S * 1_000_000
            chunks = self._chunks(patient, step, begin_us)
            weight = sum(len(chunk.data) for chunk in chunks)
            if size.get(patient.partition, 0) + weight > MAX_BUNDLE_BYTES:
                yield _entry(patient.partition, sent_us, bundles.pop(patient.partition))
                size[patient.partition] = 0
            bundles.setdefault(patient.partition, []).extend(chunks)
            size[patient.partition] = size.get(patient.partition, 0) + weight
        for partition in sorted(bundles):
            yield _entry(partition, sent_us, bundles[partition])

    def _chunks(self, patient: _Patient, step: int, begin_us: int) -> list[Chunk]:
        bank = self._bank[patient.person]
        place = (step + patient.ahead) % (LOOP_S // CHUNK_S)
        return [
            Chunk(
                patient.patient_id,
                patient.device_id,
                signal,
                step,
                step * CHUNK_S * SPECS[signal].fs_hz,
                begin_us,
                float(SPECS[signal].fs_hz),
                SPECS[signal].unit,
                SPECS[signal].step,
                0.0,
                0,
                bank[signal][place],
            )
            for signal in self._spec.signals
        ]


def _entry(partition: int, sent_us: int, chunks: list[Chunk]) -> LogEntry:
    return LogEntry(partition, sent_us, SignalBundle(tuple(chunks)))


def _person(spec: LoadSpec, number: int) -> dict[str, list[bytes]]:
    """One person's loop, cut into chunks of int16 bytes, by signal."""
    rng = np.random.default_rng([spec.seed, number])
    beats_s = _beats(rng)
    breaths = int(rng.integers(60, 100))  # in a loop: 12 to 20 /min
    steps = rng.uniform(0.5, 1.5) * 1e-3
    loop: dict[str, list[bytes]] = {}
    for signal in spec.signals:
        t_s = np.arange(LOOP_S * SPECS[signal].fs_hz) / SPECS[signal].fs_hz
        breath_rad = 2 * np.pi * breaths * t_s / LOOP_S
        value = _value(signal, t_s, beats_s, breath_rad)
        value = value + _NOISE.get(signal, 0.0) * rng.standard_normal(t_s.size)
        if signal.startswith("acc"):
            value = value + steps * np.sin(2 * np.pi * t_s)
        digital = np.clip(np.round(value / SPECS[signal].step), -32767, 32767).astype("<i2")
        width = CHUNK_S * SPECS[signal].fs_hz
        loop[signal] = [digital[at : at + width].tobytes() for at in range(0, t_s.size, width)]
    return loop


def _value(signal: str, t_s: Floats, beats_s: Floats, breath_rad: Floats) -> Floats:
    if signal == "ecg":
        return waves.ecg(t_s, beats_s, breath_rad)
    if signal == "ppg":
        return waves.ppg(t_s, beats_s, breath_rad)
    if signal == "resp":
        return waves.resp(breath_rad)
    level = {"spo2": 97.0, "temp": 36.8, "acc_z": 1.0}.get(signal, 0.0)
    return np.full(t_s.shape, level)


def _beats(rng: Generator) -> Floats:
    """R peaks whose intervals fill the loop exactly, with the loop before and after: no seam."""
    mean_s = rng.uniform(0.6, 1.0)
    count = round(LOOP_S / mean_s)
    vary = 0.03 * rng.standard_normal(count)
    vary += 0.04 * np.sin(2 * np.pi * np.arange(count) * rng.integers(20, 60) / count)
    intervals_s = 1 + vary
    intervals_s *= LOOP_S / intervals_s.sum()
    one = np.cumsum(intervals_s) - intervals_s[0] / 2
    return np.concatenate([one - LOOP_S, one, one + LOOP_S])
