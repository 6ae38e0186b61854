"""Compiled loops over many rows that any signal may use; bit for bit what SciPy gives.

As `features.ecg.kernels`: every row's own operations in SciPy's order, never `fastmath`. The
references are `features.filters.zero_phase` and `scipy.ndimage.uniform_filter1d`, which come here
for large batches where numba is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from features.compiler import compiled


def zero_phase(sos: NDArray[np.float64], x: NDArray[np.float64], pad: int) -> NDArray[np.float64]:
    """As `features.filters.zero_phase`; needs numba."""
    out = np.empty(x.shape)
    state = steady_state(sos)
    _tiles().filtered(np.ascontiguousarray(x), min(pad, x.shape[1] - 1), sos, state, out)
    return out


def average(x: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """As `scipy.ndimage.uniform_filter1d` along rows, odd width, nearest; needs numba."""
    out = np.empty(x.shape)
    _compiled_average()(x, width, out)
    return out


def heights(x: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest less smallest of each whole `width` samples of rows, and the steepest step of each.

    Rows without NaN, of at least two samples and one width; needs numba.
    """
    out, steepest = np.empty((len(x), x.shape[1] // width)), np.empty(len(x))
    _compiled_heights()(np.ascontiguousarray(x), width, out, steepest)
    return out, steepest


def steady_state(sos: NDArray[np.float64]) -> NDArray[np.float64]:
    """State of a filter that has seen a constant 1 for ever; (sections, 2)."""
    return _steady(sos.tobytes())


@lru_cache(maxsize=64)
def _steady(sos: bytes) -> NDArray[np.float64]:
    return np.asarray(signal.sosfilt_zi(np.frombuffer(sos).reshape(-1, 6)), np.float64)


@lru_cache(maxsize=1)
def _tiles() -> ModuleType:
    """Loops over rows side by side, compiled at the first call and kept on disk by numba."""
    return import_module("features.tiles")


@lru_cache(maxsize=1)
def _compiled_average() -> Callable[..., None]:
    """The other loop, likewise."""
    return compiled(_averaged)


@lru_cache(maxsize=1)
def _compiled_heights() -> Callable[..., None]:
    """The third, likewise."""
    return compiled(_heights)


def _heights(x: Any, width: int, out: Any, steepest: Any) -> None:
    """Range of each stretch of rows, and the largest difference of neighbours."""
    n_rows, n = x.shape
    for r in range(n_rows):
        steep = 0.0
        for i in range(1, n):
            step = abs(x[r, i] - x[r, i - 1])
            steep = step if step > steep else steep
        steepest[r] = steep
        for k in range(out.shape[1]):
            low = high = x[r, k * width]
            for i in range(k * width + 1, (k + 1) * width):
                value = x[r, i]
                low = value if value < low else low
                high = value if value > high else high
            out[r, k] = high - low


def _averaged(x: Any, width: int, out: Any) -> None:
    """Running mean of rows whose ends are held; differences are added as SciPy adds them."""
    n_rows, n = x.shape
    half = width // 2
    for r in range(n_rows):
        total = 0.0
        for i in range(width):
            total += x[r, min(max(i - half, 0), n - 1)]
        out[r, 0] = total / width
        for i in range(1, n):
            total += x[r, min(i + half, n - 1)] - x[r, max(i - half - 1, 0)]
            out[r, i] = total / width
