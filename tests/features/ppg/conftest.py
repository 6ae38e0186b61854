"""Pulse waves whose pulses, noise and movement are known by construction."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Made(NamedTuple):
    """A pulse wave and the times of its feet."""

    x: Floats
    feet_s: Floats


def _steady(n_s: float, per_min: float, jitter_s: float, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    steps = rng.normal(60 / per_min, jitter_s, round(n_s * per_min / 60) + 10)
    feet: Floats = 0.5 + np.cumsum(steps)
    return feet[feet < n_s - 0.7]


def _fibrillating(n_s: float, per_min: float, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    steps = rng.normal(60 / per_min, 0.22 * 60 / per_min, round(2 * n_s * per_min / 60)).clip(0.35)
    feet: Floats = 0.5 + np.cumsum(steps)
    return feet[feet < n_s - 0.7]


def _wave(n_s: float, fs_hz: float, feet_s: Floats, height: Floats, dicrotic: float) -> Floats:
    t = np.arange(round(n_s * fs_hz)) / fs_hz
    x = np.full(t.size, 2.0)
    for foot, size in zip(feet_s, height, strict=True):
        x += size * np.exp(-0.5 * ((t - foot - 0.15) / 0.07) ** 2)
        x += size * dicrotic * np.exp(-0.5 * ((t - foot - 0.40) / 0.08) ** 2)
    return x


@pytest.fixture(scope="session")
def steady() -> Callable[..., Made]:
    """(n_s, fs_hz, per_min, dicrotic, jitter_s, seed) -> a heart in sinus rhythm."""

    def make(
        n_s: float = 60.0,
        fs_hz: float = 125.0,
        per_min: float = 75.0,
        dicrotic: float = 0.35,
        jitter_s: float = 0.03,
        seed: int = 1,
    ) -> Made:
        feet = _steady(n_s, per_min, jitter_s, seed)
        x = _wave(n_s, fs_hz, feet, np.ones(feet.size), dicrotic)
        return Made(x + np.random.default_rng(seed).normal(0, 0.002, x.size), feet)

    return make


@pytest.fixture(scope="session")
def fibrillating() -> Callable[..., Made]:
    """(n_s, fs_hz, seed) -> irregular intervals; a pulse is as high as its filling was long."""

    def make(n_s: float = 60.0, fs_hz: float = 125.0, seed: int = 1) -> Made:
        feet = _fibrillating(n_s, 85.0, seed)
        filling = np.diff(feet, prepend=feet[0] - 0.7)
        height = np.clip(filling / 0.7, 0.3, 1.3)
        x = _wave(n_s, fs_hz, feet, height, 0.2)
        return Made(x + np.random.default_rng(seed).normal(0, 0.005, x.size), feet)

    return make


@pytest.fixture(scope="session")
def coloured() -> Callable[..., Floats]:
    """(rows, n, slope, seed) -> noise whose power falls with frequency to the power `slope`."""

    def make(rows: int, n: int, slope: float, seed: int = 0) -> Floats:
        white = np.random.default_rng(seed).normal(size=(rows, n))
        spectrum = np.fft.rfft(white, axis=1)
        spectrum[:, 1:] *= np.arange(1, spectrum.shape[1]) ** (-slope / 2)
        return np.asarray(np.fft.irfft(spectrum, n, axis=1), np.float64)

    return make
