"""Compiled loops over many rows that any signal may use; bit for bit what SciPy gives.

As `features.ecg.kernels`: every row's own operations in SciPy's order, never `fastmath`. The
references are `features.filters.zero_phase` and `scipy.ndimage.uniform_filter1d`, which come here
for large batches where numba is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from features.compiler import compiled

_LANES: Final = 32  # rows at a time; fewer where there are fewer


def zero_phase(sos: NDArray[np.float64], x: NDArray[np.float64], pad: int) -> NDArray[np.float64]:
    """As `features.filters.zero_phase`; needs numba."""
    out = np.empty(x.shape)
    state = steady_state(sos)
    _compiled()(np.ascontiguousarray(x), min(pad, x.shape[1] - 1), sos, state, out)
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
def _compiled() -> Callable[..., None]:
    """The loop, compiled at the first call and kept on disk by numba."""
    return compiled(_filtered)


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


def _filtered(x: Any, pad: int, sos: Any, state: Any, out: Any) -> None:
    """Sections one after the other at each sample, forwards, then backwards."""
    n_rows, n = x.shape
    n_sections = sos.shape[0]
    length = n + 2 * pad
    most = min(_LANES, n_rows)
    buffer = np.zeros((length, most))
    z0, z1 = np.zeros((n_sections, most)), np.zeros((n_sections, most))
    for first in range(0, n_rows, _LANES):
        block = x[first : first + _LANES].T
        lanes = block.shape[1]
        buffer[pad : pad + n, :lanes] = block
        for i in range(pad):
            buffer[i, :lanes] = 2 * block[0] - block[pad - i]
            buffer[pad + n + i, :lanes] = 2 * block[n - 1] - block[n - 2 - i]
        for step in (1, -1):
            at = 0 if step == 1 else length - 1
            for s in range(n_sections):
                z0[s] = state[s, 0] * buffer[at]
                z1[s] = state[s, 1] * buffer[at]
            for _ in range(length):
                for s in range(n_sections):
                    b0, b1, b2 = sos[s, 0], sos[s, 1], sos[s, 2]
                    a1, a2 = sos[s, 4], sos[s, 5]
                    for lane in range(most):
                        value = buffer[at, lane]
                        y = b0 * value + z0[s, lane]
                        z0[s, lane] = b1 * value - a1 * y + z1[s, lane]
                        z1[s, lane] = b2 * value - a2 * y
                        buffer[at, lane] = y
                at += step
        out[first : first + lanes] = buffer[pad : pad + n, :lanes].T
