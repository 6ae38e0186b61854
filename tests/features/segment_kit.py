"""Ideal primitives, the rings that hold them, and one feature drawn from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.align import FeatureBatch
from features.catalog import INDEX, FeatureReason
from features.concepts import CONCEPTS
from features.extract import extract
from features.follow import Care, follow
from features.layout import SEGMENT_NUMBERS, shape_of
from features.memory import Memory
from features.primitives import Primitives
from features.signals import MOTION, SignalKind
from streams.windows import Window

NUMBERS = SEGMENT_NUMBERS[SignalKind.MOTION]
SEGMENT_SHAPE = shape_of(MOTION)
S = 1_000_000
CORE = 10 * S
OK = FeatureReason.OK


def window(end_s: float, name: str = "60s") -> Window:
    end_us = round(end_s * S)
    return Window("p", name, end_us - {"60s": 60, "300s": 300}[name] * S, end_us, end_us)


def segments(
    times_s: NDArray[np.float64],
    values: NDArray[np.float64] | float = 1.0,
    signal: str = "ecg",
    until_s: int = 60,
    **changes: Any,
) -> list[Primitives]:
    """Events as a gap-free signal from 0 to `until_s`."""
    times_us = np.round(np.asarray(times_s) * S).astype(np.int64)
    all_values = np.broadcast_to(np.asarray(values, np.float64), times_us.shape)
    made = []
    for start_us in range(0, until_s * S, CORE):
        own = (times_us >= start_us) & (times_us < start_us + CORE)
        p = Primitives(
            "d", signal, start_us, start_us + CORE, 1.0, 0.9, OK,
            times_us[own], all_values[own].copy(), np.zeros(own.sum(), np.int16), True, True,
        )  # fmt: skip
        made.append(p._replace(**changes))
    return made


def rings(*parts: Iterable[Primitives]) -> Memory:
    made = Memory()
    for part in parts:
        for p in part:
            made.rings.insert(p)
    return made


def look(
    of: Memory, name: str, at: Window | None = None
) -> tuple[float, FeatureReason, int, float]:
    """Value, reason, n and coverage of one feature."""
    rows = [(of, window(60) if at is None else at)]
    batch = extract(rows)
    follow(rows, batch, [Care(False, np.full(len(CONCEPTS), np.nan), np.zeros(len(CONCEPTS), int))])
    j = INDEX[name]
    reason = FeatureReason(int(batch.reason[0, j]))
    return float(batch.value[0, j]), reason, int(batch.n[0, j]), float(batch.coverage[0, j])


def beats(rate_bpm: float, until_s: float = 60, first_s: float = 0.1) -> NDArray[np.float64]:
    return np.arange(first_s, until_s, 60 / rate_bpm)


def bits(batch: FeatureBatch) -> list[list[bytes]]:
    return [[column[i].tobytes() for column in batch[1:]] for i in range(len(batch.windows))]


def ward(seed: int, until_s: int = 320) -> Memory:
    """A patient with everything, irregular, holes and failures included."""
    rng = np.random.default_rng(seed)
    t = np.arange(0, until_s, 0.25)
    beat_s = 0.2 + np.cumsum(rng.normal(0.8, 0.05, int(until_s / 0.7)))
    parts = [
        segments(beat_s, rng.uniform(0.5, 2, beat_s.size), "ecg", until_s),
        segments(beat_s + 0.2, rng.uniform(0.5, 2, beat_s.size), "ppg", until_s),
        segments(t, np.sin(1.5 * t + seed), "resp", until_s),
        segments(t[::4], rng.uniform(90, 99, t[::4].size), "spo2", until_s),
        segments(t[::4], rng.uniform(60, 99, t[::4].size), "hr", until_s),
        [
            p._replace(stats=rng.uniform(1, 9, SEGMENT_SHAPE.n_stats).astype(np.float32))
            for p in segments(t[:0], signal=MOTION, until_s=until_s)
        ],
    ]
    made = [p for part in parts for p in part]
    bad = rng.random(len(made))
    reasons = [FeatureReason.NOISE if b < 0.05 else OK for b in bad]
    return rings(
        p._replace(reason=reason, quality=1 - b)
        for p, reason, b in zip(made, reasons, bad, strict=True)
        if b < 0.95
    )
