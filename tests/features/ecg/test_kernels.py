"""Warming up leaves nothing to compile for the first batch, and is no matter where numba is not."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features import practice
from features.concepts import CONCEPTS
from features.ecg import kernels
from features.ecg.segment import analyse_ecg
from features.extract import extract
from features.feature import FeatureReason
from features.follow import Care, follow
from features.memory import Memory
from features.ppg.segment import analyse_ppg
from features.primitives import Primitives
from streams.windows import Window

Wave = Callable[..., NDArray[np.float64]]


def _n_compiled() -> int:
    """Signatures for which any loop of the features is compiled or loaded."""
    modules = [module for name, module in sys.modules.items() if name.startswith("features.")]
    loops = [loop for module in modules for loop in vars(module).values()]
    loops += kernels.compiled()
    own = {id(loop): len(loop.signatures) for loop in loops if hasattr(loop, "signatures")}
    return sum(own.values())


def test_after_warming_up_no_batch_compiles_anything(ecg_wave: Wave) -> None:
    pytest.importorskip("numba")
    assert kernels.warm_up()
    assert kernels.worth_it(1)
    before = _n_compiled()
    x = ecg_wave(3500, 250.0, np.arange(0.3, 13.8, 0.8))
    rows = np.tile(x, (20, 1))
    rows[1, 1000:1600] = np.nan
    rows[2, 700:705] += 40.0
    rows[3] = 0.0
    for size in (1, 2, 20):
        for part in (rows[:size], rows[:size, ::2], rows[:size, :900].copy()):
            for fs_hz in (64.0, 125.0, 250.0, 500.0):
                analyse_ecg(part, fs_hz, (100, 800))
                analyse_ppg(part, fs_hz)
    practice.practise()
    _odd_windows()
    assert _n_compiled() == before


def _odd_windows() -> None:
    """Windows with one beat, with none, and of a patient who moves."""
    memory = Memory()
    end_us = 60_000_000
    for k in range(6):
        for signal in ("ecg", "ppg"):
            n = (0, 1, 2, 12, 1, 0)[k]
            start_us = 10_000_000 * k
            times_us = start_us + np.arange(n) * 700_000
            run, none = np.zeros(n, np.int16), np.empty((n, 0), np.float32)
            at = (signal, start_us, start_us + 10_000_000, 1.0, 0.9, FeatureReason.OK)
            p = Primitives("d", *at, times_us, np.ones(n), run, True, True, none)
            memory.keep(p)
    rows = [(memory, Window("p", "60s", 0, end_us, end_us))]
    nothing = Care(False, np.full(len(CONCEPTS), np.nan), np.zeros(len(CONCEPTS), np.int64))
    follow(rows, extract(rows), [nothing])


def test_without_numba_warming_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_installed", lambda: False)
    assert not kernels.warm_up()
    assert not kernels.worth_it(1000)
    assert kernels.for_beats(1000) is None
