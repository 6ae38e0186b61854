"""A simulated ward for `vigil demo`, load and tests: the log content, in append order.

Deterministic: patient `k` of a seed is the same in a ward of 3 or 12, for any chunk length and any
duration. No ticks: the runner adds them. Two patients deteriorate (`service.sim_physiology`).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

from service.sim_events import clinical_events, device_id, device_statuses
from service.sim_patient import BLOCK_S, SPECS, Block, blocks
from service.sim_physiology import Profile, profile
from streams.errors import ConfigError
from streams.io.files.recording import DEFAULT_BASE_US
from streams.records import MISSING_SAMPLE, Chunk, Record, SignalBundle

_MISSING = MISSING_SAMPLE.to_bytes(2, "little", signed=True)
_LATENCY_US = 200_000  # sensor to gateway to log
_MAX_PATIENTS = 10_000
_SPREAD_US = 61_000  # gateways do not send in step


@dataclass(frozen=True, slots=True)
class Ward:
    """A ward; iterate over it for `(append_us, record)` in non-decreasing append order.

    Parameters
    ----------
    patients : int
        1..10000.
    seed : int
        At least 0.
    duration_s : float
        Only chunks that end and facts that are known within it are in the log.
    start_us : int
        µs UTC of the first sample.
    chunk_s : int
        Whole seconds that divide a minute.

    Raises
    ------
    ConfigError
        Naming the argument and its rule.
    """

    patients: int = 12
    seed: int = 7
    duration_s: float = 1800.0
    start_us: int = DEFAULT_BASE_US
    chunk_s: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.patients <= _MAX_PATIENTS:
            raise ConfigError(f"patients must be 1..{_MAX_PATIENTS}, not {self.patients}")
        if self.seed < 0:
            raise ConfigError(f"seed must be at least 0, not {self.seed}")
        if not 0 < self.duration_s < math.inf:
            raise ConfigError(f"duration_s must be positive and finite, not {self.duration_s}")
        if self.chunk_s not in range(1, BLOCK_S + 1) or BLOCK_S % self.chunk_s:
            raise ConfigError(f"chunk_s must be whole seconds dividing 60, not {self.chunk_s}")

    def __iter__(self) -> Iterator[tuple[int, Record]]:
        """Play the ward from its beginning; a minute is computed when it is reached."""
        people = [profile(self.seed, number) for number in range(1, self.patients + 1)]
        return heapq.merge(*(self._log_of(who) for who in people), key=_append_us)

    def _log_of(self, who: Profile) -> Iterator[tuple[int, Record]]:
        """One patient's records in append order; equal times: status, fact, signals."""
        arrived_us = self.start_us + _LATENCY_US + who.number * _SPREAD_US % 1_000_000
        statuses = [
            (max(status.event_time_us + _LATENCY_US, arrived_us), status)
            for status in device_statuses(who, self.start_us, self.duration_s)
        ]
        facts = [
            (max(event.known_time_us, arrived_us), event)
            for event in clinical_events(who, self.seed, self.start_us, self.duration_s)
        ]
        return heapq.merge(statuses, facts, self._bundles(who), key=_append_us)

    def _bundles(self, who: Profile) -> Iterator[tuple[int, Record]]:
        """One bundle per `chunk_s`, late where the gateway held it back."""
        latency_us = _LATENCY_US + who.number * _SPREAD_US % 1_000_000
        for block in blocks(who, self.seed):
            for place in range(BLOCK_S // self.chunk_s):
                end_s = block.begin_s + (place + 1) * self.chunk_s
                if end_s > self.duration_s:
                    return
                parts = self._chunks(who, block, place)
                if parts:
                    sent_s = _sent_s(end_s, block.held_s)
                    sent_us = self.start_us + round(sent_s * 1e6) + latency_us
                    yield sent_us, SignalBundle(parts)

    def _chunks(self, who: Profile, block: Block, place: int) -> tuple[Chunk, ...]:
        """One chunk of every signal that the radio did not lose altogether."""
        parts = []
        for name, spec in SPECS.items():
            size = self.chunk_s * spec.fs_hz
            data = block.samples[name][place * size : (place + 1) * size].astype("<i2").tobytes()
            if data != _MISSING * size:
                first = round(block.begin_s) * spec.fs_hz + place * size
                parts.append(
                    Chunk(
                        patient_id=who.patient_id,
                        device_id=device_id(who),
                        signal=name,
                        seq=first // size,
                        first_sample=first,
                        start_us=self.start_us + round(first * 1e6 / spec.fs_hz),
                        fs_hz=float(spec.fs_hz),
                        unit=spec.unit,
                        scale=spec.step,
                        offset=0.0,
                        codec=0,
                        data=data,
                    )
                )
        return tuple(parts)


def _append_us(item: tuple[int, Record]) -> int:
    return item[0]


def _sent_s(end_s: float, held_s: tuple[float, float] | None) -> float:
    """When the gateway sends what ended at `end_s`; what it holds back goes out together."""
    if held_s is not None and held_s[0] < end_s <= held_s[1]:
        return held_s[1]
    return end_s
