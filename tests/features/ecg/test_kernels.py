"""Warming up leaves nothing to compile for the first batch, and is no matter where numba is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ecg import kernels
from features.ecg.segment import analyse_ecg
from features.ppg.segment import analyse_ppg

Wave = Callable[..., NDArray[np.float64]]


def _n_compiled() -> int:
    """Signatures for which any loop is compiled or loaded."""
    from features.ecg import compiled, compiled_rows
    from features.ppg import compiled as pulses

    modules = compiled, compiled_rows, pulses
    loops = [loop for module in modules for loop in vars(module).values()]
    loops += kernels.compiled()
    return sum(len(loop.signatures) for loop in loops if hasattr(loop, "signatures"))


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
    assert _n_compiled() == before


def test_without_numba_warming_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_installed", lambda: False)
    assert not kernels.warm_up()
    assert not kernels.worth_it(1000)
    assert kernels.for_beats(1000) is None
