"""Waves whose beats are known by construction, and the cutting of recordings into segments."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.segments import Segment

Floats = NDArray[np.float64]
SEGMENT_US = 10_000_000


class Recording(NamedTuple):
    """One BIDMC record."""

    name: str
    fs_hz: float
    signals: dict[str, Floats]
    hr: Floats  # the monitor's, once a second
    breaths_s: list[Floats]  # by two annotators


def _bumps(n: int, fs_hz: float, at_s: Floats, shape: list[tuple[float, float, float]]) -> Floats:
    """Sum of Gaussians (height, delay s, width s) at every time."""
    t = np.arange(n) / fs_hz
    x = np.zeros(n)
    for beat in at_s:
        for height, delay, width in shape:
            x += height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    return x


@pytest.fixture(scope="session")
def ecg_wave() -> Callable[..., Floats]:
    """(n, fs_hz, beat times in s) -> ECG in mV with P, QRS and T waves and a little noise."""

    def make(n: int, fs_hz: float, at_s: Floats, seed: int = 0) -> Floats:
        shape = [(0.1, -0.16, 0.02), (1.0, 0.0, 0.012), (-0.25, 0.03, 0.01), (0.25, 0.25, 0.04)]
        drift = 0.1 * np.sin(2 * np.pi * 0.2 * np.arange(n) / fs_hz)
        noise = np.random.default_rng(seed).normal(0, 0.005, n)
        return _bumps(n, fs_hz, at_s, shape) + drift + noise

    return make


@pytest.fixture(scope="session")
def ppg_wave() -> Callable[..., Floats]:
    """(n, fs_hz, foot times in s) -> pulse wave with systolic and dicrotic waves."""

    def make(n: int, fs_hz: float, at_s: Floats, seed: int = 0) -> Floats:
        noise = np.random.default_rng(seed).normal(0, 0.002, n)
        return 2.0 + _bumps(n, fs_hz, at_s, [(1.0, 0.15, 0.07), (0.35, 0.40, 0.08)]) + noise

    return make


@pytest.fixture(scope="session")
def cut() -> Callable[..., list[Segment]]:
    """(samples, fs_hz, signal, context_s) -> the segments of a recording, NaN outside it."""

    def make(
        x: NDArray[np.generic], fs_hz: float, signal: str, context_s: float, origin_us: int = 0
    ) -> list[Segment]:
        period = 1e6 / fs_hz
        out = []
        for start in range(0, round(len(x) * period), SEGMENT_US):
            lo = int(np.ceil((start - context_s * 1e6) / period - 1e-9))
            hi = int(np.ceil((start + SEGMENT_US + context_s * 1e6) / period - 1e-9))
            samples = np.full(hi - lo, np.nan, np.float32)
            a, b = max(lo, 0), min(hi, len(x))
            samples[a - lo : b - lo] = x[a:b]
            first_us = lo * period - start
            at = origin_us + start
            end = at + SEGMENT_US
            out.append(Segment("p", "d", signal, at, end, fs_hz, "", first_us, samples))
        return out

    return make


@pytest.fixture(scope="session")
def bidmc(archive: Callable[[str], Path]) -> list[Recording]:
    """All BIDMC records of the data folder."""
    out = []
    for path in sorted(archive("bidmc").glob("*_Signals.npz")):
        name = path.name.removesuffix("_Signals.npz")
        with np.load(path) as packed:
            channels = [str(channel) for channel in packed["channels"]]
            wanted = {"ecg": "II", "ppg": "PLETH", "resp": "RESP"}
            signals = {k: packed["signals"][channels.index(v)] for k, v in wanted.items()}
            fs_hz = float(packed["fs"])
        numerics = path.with_name(f"{name}_Numerics.csv")
        hr = np.genfromtxt(numerics, delimiter=",", skip_header=1)[:, 1]
        with path.with_name(f"{name}_Breaths.csv").open() as file:
            marks = list(csv.reader(file))[1:]
        breaths = [
            np.array([float(row[i]) for row in marks if len(row) > i and row[i].strip()]) / fs_hz
            for i in (0, 1)
        ]
        out.append(Recording(name, fs_hz, signals, hr, breaths))
    return out
