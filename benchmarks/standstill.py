"""Hearts whose ventricles do not beat: P waves alone, no capture, fibrillation, nothing at all.

P waves are simulated, or are the averaged P waves of a record: of those, shape and size next to
QRS are real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

from benchmarks.ecg_records import FS_HZ, Floats
from benchmarks.ecg_simulation import Wave, _add, _shape, fibrillation, noise

_BEFORE_QRS_S: Final = 0.17
_MAINS_MV: Final = (0.005, 0.05)


def p_shape(rng: Generator) -> list[Wave]:
    """A P wave of 0.08 to 0.12 s: plain, notched or of two phases."""
    width = rng.uniform(0.016, 0.028)
    kind = rng.random()
    if kind < 0.6:
        return [(1.0, 0.0, width)]
    if kind < 0.8:
        return [(0.8, -0.02, 0.75 * width), (0.8, 0.02, 0.75 * width)]
    return [(1.0, -0.02, 0.8 * width), (-0.7, 0.025, 0.8 * width)]


def train(rng: Generator, n: int, shape: list[Wave], mv: float, per_min: float) -> Floats:
    """One shape again and again, at 360 Hz."""
    x, at = np.zeros(n), rng.uniform(0, 60 / per_min)
    while at < n / FS_HZ + 1:
        _add(x, at, shape, mv * (1 + 0.06 * rng.normal()))
        at += max(60 / per_min * (1 + 0.03 * rng.normal()), 0.2)
    return x


def baseline(rng: Generator, n: int, level: float) -> Floats:
    """Muscle, pink noise, mains and wander, mV."""
    x = level * (noise(rng, "muscle", n) + noise(rng, "pink", n))
    x += rng.uniform(0, 0.1) * noise(rng, "wander", n)
    x += 0.5 * level * rng.random() * noise(rng, "mains", n)
    return np.asarray(x + 0.002 * rng.normal(size=n), np.float64)


def standstill(rng: Generator, seconds: tuple[float, float], ratio: float, level: float) -> Floats:
    """Beats for the first seconds, then P waves alone of `ratio` times the QRS height."""
    before, still = (round(s * FS_HZ) for s in seconds)
    mv, per_min = rng.uniform(0.6, 1.6), rng.uniform(50, 110)
    squeeze = min(1.0, float(np.sqrt(60 / per_min / 0.8)))
    qrs = [w for w in _shape(rng, 60 / per_min, wide=False) if w[1] != -0.16 * squeeze]
    side = rng.choice([-1, 1])
    p = [(ratio * side * h, delay, width) for h, delay, width in p_shape(rng)]
    early = [(h, delay - _BEFORE_QRS_S * squeeze, width) for h, delay, width in p]
    beats = train(rng, before, qrs + early, mv, per_min)
    x = np.concatenate([beats, train(rng, still, p, mv, rng.uniform(55, 130))])
    return x + baseline(rng, x.size, level)


def no_capture(rng: Generator, n: int) -> Floats:
    """Pacing spikes that nothing answers, P waves of their own in half of the hearts."""
    spike = [(rng.uniform(0.3, 4.0) * rng.choice([-1, 1]), 0.0, 0.0008)]
    x = train(rng, n, spike, 1.0, rng.uniform(50, 90))
    if rng.random() < 0.5:
        x += train(rng, n, p_shape(rng), rng.uniform(0.05, 0.2), rng.uniform(55, 110))
    return x + baseline(rng, n, 0.01)


def nothing(rng: Generator, n: int) -> Floats:
    """Asystole: noise and the hum of the mains."""
    hum = rng.uniform(*_MAINS_MV) * noise(rng, "mains", n)
    return np.asarray(baseline(rng, n, 10 ** rng.uniform(-2.7, -1.3)) + hum, np.float64)


STILL: Final[dict[str, Callable[[Generator, int], Floats]]] = {
    "pacing without capture": no_capture,
    "ventricular fibrillation": lambda rng, n: fibrillation(rng, n) + baseline(rng, n, 0.01),
    "asystole with mains hum": nothing,
}


def own_p_wave(x: Floats, beats: Floats, fs_hz: float) -> tuple[Floats, float] | None:
    """The averaged P wave of a lead and its QRS height; None where too small or too few beats."""
    begin, end = round(0.3 * fs_hz), round(0.055 * fs_hz)
    at, gap_s = beats.astype(int)[1:], np.diff(beats) / fs_hz
    at = at[(gap_s > 0.6) & (gap_s < 1.3) & (at > begin) & (at < x.size - fs_hz)]
    if at.size < 60:
        return None
    p = np.median(x[at[:, None] + np.arange(-begin, -end)], axis=0)
    first, last = p[: round(0.04 * fs_hz)].mean(), p[-max(1, round(0.01 * fs_hz)) :].mean()
    p = p - np.linspace(first, last, p.size)
    ramp = np.minimum(np.arange(p.size), np.arange(p.size)[::-1]) / (0.03 * fs_hz)
    p = p * ramp.clip(0, 1)
    reach = round(0.06 * fs_hz)
    qrs = float(np.median(np.ptp(x[at[:, None] + np.arange(-reach, reach)], axis=1)))
    return (p, qrs) if np.isfinite(p).all() and np.ptp(p) > 0.04 * qrs else None


def own_p_waves(
    rng: Generator, of: tuple[Floats, float], fs_hz: float, seconds: float, level: float
) -> Floats:
    """A lead's own P waves alone, with noise of `level` times the QRS height."""
    p, qrs = of
    n = round(seconds * fs_hz)
    x, at, every_s = np.zeros(n), rng.uniform(0, 1), 60 / rng.uniform(55, 120)
    while at * fs_hz + p.size < n:
        first = int(at * fs_hz)
        x[first : first + p.size] += p * (1 + 0.06 * rng.normal())
        at += max(0.35, every_s * (1 + 0.03 * rng.normal()))
    x += 0.7 * level * qrs * (noise(rng, "muscle", n) + noise(rng, "pink", n))
    return np.asarray(x + 0.1 * rng.random() * qrs * noise(rng, "wander", n), np.float64)
