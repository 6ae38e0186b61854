"""Random logs with everything that can be wrong with one: small patients, five minutes, two seeds.

Cheap signals, so that thousands of crashes can be tried; every eighth patient has an ECG as well.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from streams.codec import encode
from streams.history import Timed
from streams.io.input_log import RawRecord
from streams.records import ANYONE, Chunk
from streams.shedding import BACKFILL, HOP
from tests.service.engine_kit import (
    PARTITIONS,
    START_US,
    S,
    chunk,
    command,
    ecg,
    event,
    log_of,
    status,
)

SECONDS = 240
CHUNK_S = 5
KEPT_BACK_S = 900
LATE_S = 40.0  # beyond the lateness: some of it is refused
POISON = (b"", b"\xff\xfe", b"\x00" * 60, b"{}", bytes(range(256)))
Append = tuple[int, int, bytes]  # partition, append time, bytes


def random_log(seed: int) -> list[RawRecord]:
    """A log of all partitions, in append order, offsets as a broker gives them."""
    rng = random.Random(seed)
    names = [f"{seed}-{k}" for k in range(rng.randint(3, 5))]
    histories = [history(name, rng) for name in names]
    histories.append(said_to_all(rng))
    rows: list[Append] = [
        (row.partition, row.append_us, encode(row.record))
        for row in log_of(histories, tail_us=30 * S)
        if row.record is not None
    ]
    for _ in range(rng.randint(0, 4)):
        place = rng.randrange(len(rows))
        where, append_us, value = rows[place]
        rows.insert(place, (where, append_us, rng.choice((*POISON, value[: len(value) // 2]))))
    return numbered(rows)


def numbered(rows: Sequence[Append]) -> list[RawRecord]:
    """Offsets from 0 in every partition."""
    due = [0] * PARTITIONS
    out = []
    for where, append_us, value in rows:
        out.append(RawRecord(where, due[where], append_us, value))
        due[where] += 1
    return out


def history(name: str, rng: random.Random) -> list[Timed]:
    """One patient: deteriorating or not, with gaps, copies, delays, backfills, facts, commands."""
    rows: list[Timed] = []
    lost_s = _span(rng, 0.5)
    held_s = _span(rng, 0.3)
    says = _clock(rng)
    for signal, fs_hz, samples in _signals(rng):
        rows += _timed(_sent(name, signal, (fs_hz, samples), (lost_s, held_s), rng), says)
    if rng.random() < 0.2:
        rows = _kept_back(rows)
    rows += _facts(name, rng)
    if rng.random() < 0.5:
        at_s = rng.uniform(60, SECONDS)
        word = rng.choice(("off", "lead_off", "worn"))
        signal = "hr" if word == "lead_off" else ""
        offset_us = rng.choice((0, 0, 60_000, 2_000_000))
        rows.append(status(name, word, at_s, signal, clock_offset_us=offset_us))
    return sorted(rows, key=lambda row: row[0])


def _clock(rng: random.Random) -> Callable[[int], int]:
    """What a device's clock shows: mostly the time, or it is set once, or wrong from the start."""
    by_us = rng.choice((-3600, -45, 45, 3 * 86_400)) * S
    after_s = rng.choice((None, None, None, 0.0, rng.uniform(30, SECONDS - 60)))
    if after_s is None:
        return lambda true_us: true_us
    after_us = START_US + round(after_s * S)
    return lambda true_us: true_us + (by_us if true_us >= after_us else 0)


def _timed(rows: list[Timed], says: Callable[[int], int]) -> list[Timed]:
    """The same chunks, stamped by that clock."""
    out: list[Timed] = []
    for at_us, row in rows:
        assert isinstance(row, Chunk)
        out.append((at_us, msgspec.structs.replace(row, start_us=says(row.start_us))))
    return out


def _kept_back(rows: list[Timed]) -> list[Timed]:
    """The same chunks, taken long before and sent at many times real time: they page nobody."""
    out: list[Timed] = []
    for at_us, row in rows:
        assert isinstance(row, Chunk)
        sent_us = START_US + KEPT_BACK_S * S // 6 + (at_us - START_US) // 8
        out.append((sent_us, msgspec.structs.replace(row, start_us=row.start_us - KEPT_BACK_S * S)))
    return out


def said_to_all(rng: random.Random) -> list[Timed]:
    """Silences and outages that every patient hears."""
    rows: list[Timed] = []
    for _ in range(rng.randint(0, 5)):
        at_s = rng.uniform(20, SECONDS)
        action, target = rng.choice(
            (
                ("silence", "kind=technical"),
                ("lost", "device_fleet_outage"),
                ("silence", "x=*"),
                *(("lost", code) for code in (BACKFILL, HOP)),
                *(("regained", code) for code in (BACKFILL, HOP)),
            )
        )
        rows.append(command(ANYONE, action, target, at_s, lasting_s=rng.uniform(20, 90)))
    return sorted(rows, key=lambda row: row[0])


def _span(rng: random.Random, chance: float) -> tuple[float, float]:
    """A stretch of the time, or none."""
    if rng.random() > chance:
        return (0.0, 0.0)
    start_s = rng.uniform(20, SECONDS - 60)
    return start_s, start_s + rng.choice((3.0, 20.0, 80.0))


def _signals(rng: random.Random) -> list[tuple[str, float, np.ndarray]]:
    """Signals of a patient with their rates."""
    t = np.arange(SECONDS)
    noise = np.random.default_rng(rng.randrange(1 << 30))
    ill = 1 / (1 + np.exp(-(t - rng.uniform(60, 160)) / 15)) * rng.choice((0, 1, 1))
    found = [
        ("spo2", 1.0, 97 - 10 * ill + 0.3 * noise.standard_normal(t.size)),
        ("hr", 1.0, 75 + 70 * ill + noise.standard_normal(t.size)),
        ("temp", 1.0, 36.8 + 0.02 * noise.standard_normal(t.size)),
    ]
    if rng.random() < 0.125:
        found.append(("ecg", 62.5, ecg(SECONDS, 80.0, rng.randrange(4), 62.5)))
    return found[: rng.randint(1, 4)]


def _sent(
    name: str,
    signal: str,
    sampled: tuple[float, np.ndarray],
    spans_s: tuple[tuple[float, float], tuple[float, float]],
    rng: random.Random,
) -> list[Timed]:
    """Chunks of one signal as they reach the log."""
    fs_hz, samples = sampled
    (lost, held), rows = spans_s, list[Timed]()
    scale = rng.choice((0.01, 0.01, 0.02))
    size = round(CHUNK_S * fs_hz)
    skew_us = round(rng.choice((0, 0, 40)) * 1000)  # a phone's time stamps jitter
    for first in range(0, len(samples), size):
        end_s = (first + size) / fs_hz
        if rng.random() < 0.04 or lost[0] <= end_s < lost[1]:
            continue
        part = samples[first : first + size]
        sent = _chunk(name, signal, (first, fs_hz), (part, scale), rng.randint(-skew_us, skew_us))
        at_s = held[1] + 30 if held[0] <= end_s < held[1] else end_s
        at_s += rng.choice((0.0,) * 9 + (rng.uniform(0, 9.0),))
        at_s += rng.uniform(0, LATE_S) if rng.random() < 0.04 else 0.0
        rows.append((START_US + round(at_s * S), sent))
        if rng.random() < 0.1:
            again = _copy(sent, rng)
            later_s = at_s + rng.choice((0.0, 1.0, 20.0))
            rows.append((START_US + round(later_s * S), again))
    return rows


def _chunk(
    name: str,
    signal: str,
    place: tuple[int, float],
    measured: tuple[np.ndarray, float],
    skew_us: int,
) -> Chunk:
    (first, fs_hz), (values, scale) = place, measured
    digital = np.clip(np.round(values / scale), -32767, 32767).astype("<i2")
    at_us = START_US + round(first * 1e6 / fs_hz) + skew_us
    return chunk(
        name,
        signal,
        first=first,
        data=digital.tobytes(),
        start_us=at_us,
        fs_hz=fs_hz,
        scale=scale,
        unit={"spo2": "%", "hr": "1/min", "temp": "Cel", "ecg": "mV"}[signal],
    )


def _copy(sent: Chunk, rng: random.Random) -> Chunk:
    """The chunk again, the end of it again, or other bytes for the same samples."""
    first = rng.choice((0, 0, len(sent.data) // 4))
    data = sent.data[2 * first :]
    if rng.random() < 0.2:
        data = bytes(len(data))
    at_us = sent.start_us + round(first * 1e6 / sent.fs_hz)
    place = {"first_sample": sent.first_sample + first, "start_us": at_us}
    return msgspec.structs.replace(sent, data=data, **place)


def _facts(name: str, rng: random.Random) -> list[Timed]:
    """Charted values, some corrected, and people's words."""
    rows: list[Timed] = []
    for _ in range(rng.randint(0, 4)):
        at_s = rng.uniform(5, SECONDS - 5)
        value = rng.choice((85.0, 120.0, 230.0))
        known_s = min(SECONDS - 1.0, at_s + rng.choice((1.0, 15.0, 70.0)))
        rows.append(event(name, "sbp", value, "mmHg", at_s, known_s))
    for _ in range(rng.randint(0, 2)):
        at_s = rng.uniform(60, SECONDS)
        rows.append(command(name, "silence", "kind=clinical", at_s, lasting_s=rng.uniform(20, 80)))
    return rows
