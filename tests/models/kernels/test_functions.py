"""Vectorised functions against float64: how far they are off, and what they do at the ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

numba = pytest.importorskip("numba", reason="numba is an extra")

from models.kernels import functions  # noqa: E402 - not without numba

Floats = NDArray[np.float32]


@numba.njit
def _each(function: Any, x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = function(x[i])


def every(function: Any, x: Floats) -> Floats:
    out = np.empty_like(x)
    _each(function, x, out)
    return out


def floats(lo: float, hi: float, count: int = 1_000_001) -> Floats:
    """Evenly spaced, and as many towards 0."""
    near = np.geomspace(1e-9, 1.0, 200_001) * max(abs(lo), abs(hi))
    x = np.concatenate([np.linspace(lo, hi, count), near, -near])
    return x[(x >= lo) & (x <= hi)].astype(np.float32)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-x))


@pytest.mark.parametrize(
    ("function", "exact", "x", "far", "share"),
    [
        (functions.exp, np.exp, floats(-87.0, 88.0), 0.0, 2e-7),
        (functions.sigmoid, sigmoid, floats(-40.0, 40.0), 1.5e-7, 0.0),
        (functions.tanh, np.tanh, floats(-20.0, 20.0), 2e-7, 0.0),
        (functions.log1p, np.log1p, floats(0.0, 1e3), 1e-7, 1e-7),
        (functions.log1p, np.log1p, floats(0.0, 1e9), 1e-7, 1e-7),
    ],
)
def test_it_is_as_near_as_it_says(
    function: Any, exact: Callable[[Any], Any], x: Floats, far: float, share: float
) -> None:
    wanted = exact(x.astype(np.float64))
    off = np.abs(every(function, x) - wanted)
    assert (off <= far + share * np.abs(wanted)).all(), (off - share * np.abs(wanted)).max()


@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "log1p"])
def test_a_number_has_the_same_bits_in_any_company(name: str) -> None:
    function = getattr(functions, name)
    x = np.random.default_rng(0).normal(0.0, 3.0, 1003).astype(np.float32)
    x = np.abs(x) if name == "log1p" else x
    whole = every(function, x)
    for size in (1, 3, 16, 17, 65):
        for start in (0, 1, 500):
            part = every(function, x[start : start + size].copy())
            assert part.tobytes() == whole[start : start + size].tobytes()


def test_at_the_ends_they_stay_what_they_are() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)
    _, high, low, middle = every(functions.sigmoid, x).tolist()
    assert (high, middle) == (1.0, 0.5)
    assert 0.0 <= low < 1e-37
    assert every(functions.tanh, x)[1:].tolist() == [1.0, -1.0, 0.0]
    assert every(functions.log1p, x)[3] == 0.0
    assert every(functions.exp, x)[3] == 1.0
    assert np.isfinite(every(functions.exp, x)[1:]).all()
    for name in ("exp", "sigmoid", "tanh", "log1p"):
        assert np.isnan(every(getattr(functions, name), x)[0]), name
