"""Compiled loops over many rows that any signal may use; bit for bit what SciPy gives.

As `features.ecg.kernels`: every row's own operations in SciPy's order, never `fastmath`. The
reference is `features.filters.zero_phase`, which comes here for large batches where numba is
installed. The loops themselves are in `features.tiles`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy import signal


def zero_phase(sos: NDArray[np.float64], x: NDArray[np.float64], pad: int) -> NDArray[np.float64]:
    """As `features.filters.zero_phase`; needs numba."""
    out = np.empty(x.shape)
    state = steady_state(sos)
    _tiles().filtered(np.ascontiguousarray(x), min(pad, x.shape[1] - 1), sos, state, out)
    return out


def heights(x: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest less smallest of each whole `width` samples of rows, and the steepest step of each.

    Rows without NaN, of at least two samples and one width; needs numba.
    """
    out, steepest = np.empty((len(x), x.shape[1] // width)), np.empty(len(x))
    _tiles().heights(np.ascontiguousarray(x), width, out, steepest)
    return out, steepest


def steady_state(sos: NDArray[np.float64]) -> NDArray[np.float64]:
    """State of a filter that has seen a constant 1 for ever; (sections, 2)."""
    return _steady(sos.tobytes())


@lru_cache(maxsize=64)
def _steady(sos: bytes) -> NDArray[np.float64]:
    return np.asarray(signal.sosfilt_zi(np.frombuffer(sos).reshape(-1, 6)), np.float64)


@lru_cache(maxsize=1)
def _tiles() -> ModuleType:
    """Loops compiled at the first call and kept on disk by numba."""
    return import_module("features.tiles")
