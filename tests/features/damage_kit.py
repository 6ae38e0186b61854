"""Ways a recording is broken, for the edge-case tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FS = 250.0
N = 15_000
SINGLES = (5003, 7411, 10_007)


class Damage(NamedTuple):
    """How a recording is broken, and where."""

    apply: Callable[[Floats], None]
    spans_s: tuple[tuple[float, float], ...]


def _span(begin_s: float, end_s: float, value: float | None) -> Damage:
    """A span set to a value; None holds the sample before it."""
    a, b = round(begin_s * FS), round(end_s * FS)

    def apply(x: Floats) -> None:
        x[a:b] = x[a - 1] if value is None else value

    return Damage(apply, ((begin_s, end_s),))


def _added(begin_s: float, end_s: float, size: float) -> Damage:
    """An offset of `size` times the wave's range added to a span."""

    def apply(x: Floats) -> None:
        x[round(begin_s * FS) : round(end_s * FS)] += size * np.ptp(x)

    return Damage(apply, ((begin_s, end_s),))


def three_samples(x: Floats) -> None:
    x[list(SINGLES)] = np.nan


def _no_damage(x: Floats) -> None:
    pass


def _huge(x: Floats) -> None:
    x[7500:7510] = [np.inf, -np.inf, 1e300, -1e300, 1e38, -1e38, 5e-324, np.nan, 1e31, -1e31]


def _flips(x: Floats) -> None:
    for begin in range(3000, 3600, 100):
        x[begin : begin + 50] = np.nan


DAMAGES = {
    "nothing": Damage(_no_damage, ()),
    "three single NaN samples": Damage(three_samples, tuple((i / FS, i / FS) for i in SINGLES)),
    "a NaN run of 40 ms": _span(30.0, 30.04, np.nan),
    "a NaN run of 0.3 s": _span(30.0, 30.3, np.nan),
    "a NaN run of 10 s": _span(20.0, 30.0, np.nan),
    "a NaN run at the start": _span(0.004, 7.0, np.nan),
    "a NaN run to the end": _span(51.0, 60.0, np.nan),
    "a dropout every 0.4 s for 2.4 s": Damage(_flips, ((12.0, 14.4),)),
    "a flat line of 20 s": _span(20.0, 40.0, None),
    "zeros for 20 s": _span(20.0, 40.0, 0.0),
    "not finite and absurd samples": Damage(_huge, ((30.0, 30.04),)),
    "one spike of 50 times the range": _added(30.0, 30.004, 50.0),
    "a 20 ms pulse of 50 times the range": _added(30.0, 30.02, 50.0),
    "a 100 ms pulse of 50 times the range": _added(30.0, 30.1, 50.0),
    "a lasting step of 5 times the range": Damage(
        lambda x: x.__setitem__(slice(7500, None), x[7500:] + 5 * np.ptp(x)), ((30.0, 30.0),)
    ),
}  # fmt: skip


def truth_s() -> Floats:
    steps = np.random.default_rng(1).normal(0.8, 0.03, 90)
    times = 0.6 + np.cumsum(steps)
    return times[times < 59.2]
