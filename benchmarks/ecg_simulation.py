"""Simulated noise and heart beats, so that the ECG networks do not learn one noise by heart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

from benchmarks.ecg_records import FS_HZ, Floats

Wave = tuple[float, float, float]  # height, delay s, width s
_NOISES: Final = ("wander", "muscle", "mains", "motion", "pink")


class Simulated(NamedTuple):
    """An ECG and the samples of its beats."""

    x: Floats
    beats: Floats


def noise(rng: Generator, kind: str, n: int) -> Floats:
    """Noise of a kind, standard deviation 1."""
    made = _MAKERS[kind](rng, n)
    return np.asarray(made / max(float(made.std()), 1e-12), np.float64)


def _filtered(x: Floats, order: int, band: tuple[float, float]) -> Floats:
    sos = signal.butter(order, band, "bandpass", fs=FS_HZ, output="sos")
    return np.asarray(signal.sosfilt(sos, x), np.float64)


def _wander(rng: Generator, n: int) -> Floats:
    walk = np.cumsum(rng.normal(size=n))
    return _filtered(walk - walk.mean(), 1, (0.05, 0.7))


def _muscle(rng: Generator, n: int) -> Floats:
    strength = np.interp(np.arange(n), np.linspace(0, n - 1, 12), rng.gamma(0.7, 1, 12))
    return _filtered(rng.normal(size=n), 2, (15, 150)) * (strength + 0.1)


def _mains(rng: Generator, n: int) -> Floats:
    t = np.arange(n) / FS_HZ
    hum = np.sin(2 * np.pi * rng.choice([50, 60]) * t + rng.uniform(0, 6))
    return np.asarray(hum * (1 + 0.3 * np.sin(2 * np.pi * 0.3 * t)), np.float64)


def _motion(rng: Generator, n: int) -> Floats:
    """Bumps and decaying steps, from the length of a QRS complex to half a second."""
    t = np.arange(n) / FS_HZ
    out = np.zeros(n)
    for _ in range(rng.poisson(1.4 * n / FS_HZ)):
        at, height = rng.uniform(0, t[-1]), rng.normal() * rng.gamma(1, 1)
        width = np.exp(rng.uniform(np.log(0.015), np.log(0.5)))
        if rng.random() < 0.7:
            out += height * np.exp(-0.5 * ((t - at) / width) ** 2)
        else:
            out += height * (t > at) * np.exp(-(t - at).clip(0) / (3 * width))
    sos = signal.butter(1, 25, fs=FS_HZ, output="sos")
    return np.asarray(signal.sosfiltfilt(sos, out), np.float64)


def _pink(rng: Generator, n: int) -> Floats:
    hz = np.fft.rfftfreq(n, 1 / FS_HZ)
    spectrum = rng.normal(size=hz.size) + 1j * rng.normal(size=hz.size)
    spectrum *= (hz < 40) / np.maximum(hz, 0.5) ** rng.uniform(0.5, 1.2)
    return np.asarray(np.fft.irfft(spectrum, n), np.float64)


_MAKERS: Final[dict[str, Callable[[Generator, int], Floats]]] = {
    "wander": _wander,
    "muscle": _muscle,
    "mains": _mains,
    "motion": _motion,
    "pink": _pink,
}


def mixture(rng: Generator, n: int) -> Floats:
    """One or two kinds of noise, sometimes only a burst; standard deviation 1."""
    out = np.zeros(n)
    for kind in rng.choice(_NOISES, rng.integers(1, 3), replace=False):
        part = noise(rng, str(kind), n)
        if rng.random() < 0.3:
            start = rng.uniform(0, 0.8) * n
            at = np.arange(n)
            part = part * ((at > start) & (at < start + rng.uniform(0.05, 0.5) * n))
        out += part * rng.uniform(0.3, 1) * (3 if kind == "wander" else 1)
    return np.asarray(out / max(float(out.std()), 1e-9), np.float64)


def spoilt(rng: Generator, x: Floats, power: float, real: list[Floats]) -> Floats:
    """An ECG of a power with real or simulated noise, clipping and spikes, or as it is."""
    n = x.size
    if rng.random() < 0.35:
        return x
    if real and rng.random() < 0.55:
        part = real[rng.integers(len(real))][rng.integers(2)]
        start = int(rng.integers(0, part.size - n))
        added = (part[start : start + n] - part[start : start + n].mean()) / part.std()
        added = added[:: rng.choice([1, 1, -1])] * rng.choice([-1, 1])
        snr_db = rng.uniform(-3, 16)
    else:
        added, snr_db = mixture(rng, n), rng.uniform(-4, 20)
    y = x + added * np.sqrt(power / 10 ** (snr_db / 10))
    if rng.random() < 0.05:
        share = rng.choice([0.002, 0.02, 0.05, 0.1])
        y = y.clip(np.quantile(y, share), np.quantile(y, 1 - share))
    if rng.random() < 0.05:
        start = int(rng.integers(0, n - 60))
        y[start : start + rng.integers(1, 60)] += rng.normal() * 30 * np.sqrt(power * 8)
    return np.asarray(y, np.float64)


def heart(rng: Generator, n: int) -> Simulated:
    """An ECG of random shape, rate (12 to 300/min) and rhythm."""
    slow = rng.random() < 0.25
    rate = np.exp(rng.uniform(np.log(12), np.log(45 if slow else 300)))
    rr_s = 60 / rate
    kinds = ["regular", "fibrillation", "bigeminy", "pauses", "multiform"]
    kind = str(rng.choice(kinds, p=[0.35, 0.15, 0.15, 0.1, 0.25]))
    beats, ectopic = _rhythm(rng, n / FS_HZ, rr_s, kind)
    normal = _shape(rng, rr_s, wide=bool(rng.random() < 0.15))
    other = _shape(rng, rr_s, wide=True)
    size = rng.uniform(0.9, 1.8)
    x = 0.005 * rng.normal(size=n)
    for at_s, odd in zip(beats, ectopic, strict=True):
        if odd and kind == "multiform":
            other = _shape(rng, rr_s, wide=bool(rng.random() < 0.7))
        _add(x, at_s, other if odd else normal, (1 + 0.08 * rng.normal()) * (size if odd else 1))
    samples = np.array(beats) * FS_HZ
    return Simulated(x, samples[(samples > 0) & (samples < n)])


def _rhythm(rng: Generator, length_s: float, rr_s: float, kind: str) -> tuple[Floats, list[bool]]:
    """Times of beats, and which are ectopic."""
    times, ectopic = [], []
    at, k = rng.uniform(0, rr_s), 0
    coupled = kind == "bigeminy" and rr_s > 0.4
    while at < length_s + 1:
        times.append(at)
        ectopic.append((coupled and k % 2 == 1) or (kind == "multiform" and rng.random() < 0.3))
        step = rr_s * (1 + 0.03 * rng.normal())
        if kind in ("fibrillation", "multiform"):
            step = rr_s * float(np.clip(1 + 0.25 * rng.normal(), 0.45, 2))
        if coupled:
            step = rr_s * (0.6 if k % 2 == 0 else 1.4)
        if kind == "pauses" and rng.random() < 0.15:
            step *= rng.uniform(2, 4)
        at, k = at + max(step, 0.19), k + 1
    return np.array(times), ectopic


def _shape(rng: Generator, rr_s: float, *, wide: bool) -> list[Wave]:
    """Q, R, S, T and perhaps P of random sizes and either polarity."""
    width = rng.uniform(0.008, 0.018) * (1 if rr_s > 0.3 else 0.7)
    width *= rng.uniform(1.8, 3.4) if wide else 1.0
    squeeze = min(1.0, float(np.sqrt(rr_s / 0.8)))
    waves = [(1.0, 0.0, width)]
    waves.append((-rng.uniform(0, 0.6), rng.uniform(1.8, 3) * width, width * rng.uniform(0.8, 1.5)))
    waves.append(
        (-rng.uniform(0, 0.4), -rng.uniform(1.8, 3) * width, width * rng.uniform(0.8, 1.3))
    )
    t_height = -rng.uniform(0.2, 0.7) if wide else rng.uniform(-0.3, 0.7)
    waves.append((t_height, 0.26 * squeeze, rng.uniform(0.03, 0.06) * squeeze))
    if not wide and rr_s > 0.4 and rng.random() < 0.8:
        waves.append((rng.uniform(-0.05, 0.25), -0.16 * squeeze, 0.02 * squeeze))
    side = rng.choice([-1, 1])
    return [(height * side, delay, wide_s) for height, delay, wide_s in waves]


def _add(x: Floats, at_s: float, shape: list[Wave], size: float) -> None:
    """Add one beat to an ECG."""
    for height, delay, width in shape:
        centre = at_s + delay
        first = max(0, int((centre - 4 * width) * FS_HZ))
        last = min(x.size, int((centre + 4 * width) * FS_HZ) + 1)
        if last > first:
            t: NDArray[np.float64] = np.arange(first, last) / FS_HZ
            x[first:last] += size * height * np.exp(-0.5 * ((t - centre) / width) ** 2)


def fibrillation(rng: Generator, n: int) -> Floats:
    """Ventricular fibrillation: a wandering 3 to 7 Hz wave without beats."""
    hz = rng.uniform(3, 7) + np.cumsum(rng.normal(size=n)) * 0.003
    swell = 1 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(n) / FS_HZ + rng.uniform(0, 6))
    wave = np.sin(2 * np.pi * np.cumsum(hz) / FS_HZ) * swell * rng.uniform(0.3, 1)
    return np.asarray(wave + 0.2 * noise(rng, "pink", n), np.float64)
