"""Random windows of simulated hearts, and what breaks them, for `fuzz_features`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator

SECONDS: Final = 10
BATCH: Final = 500
RATES_HZ: Final = (50.0, 64.0, 125.0, 200.0, 250.0, 360.0, 500.0)
SHORTEST_S: Final = 2.0  # a stretch shorter than this between damage gives no beats, by design
CUT_S: Final = 0.25  # nor do its ends
# One pulse has neither a usual height nor a rhythm to be told by, and no interval is lost with it.
FEWEST: Final = {"ecg": 0, "ppg": 2}
# Longer, and so high above everything else, it is what a ventricular escape beat in a pause looks
# like: no detector can tell. At 50 and 64 Hz one sample of an ECG is as long as a narrow QRS.
LONGEST_SPIKE_S: Final = 0.024
LEAST_SPIKE_HZ: Final = {"ecg": 83.0, "ppg": 0.0}


class Window(NamedTuple):
    """One simulated window."""

    x: Floats
    beats_s: Floats
    damage_s: tuple[tuple[float, float], ...]
    is_heart: bool  # False: noise alone, no true beats


class Batch(NamedTuple):
    """Windows of one signal and rate, as a device delivers them."""

    signal: str
    fs_hz: float
    x: NDArray[np.generic]
    names: list[str]  # what was drawn, in words
    windows: list[Window]


def draw_batch(seed: int, batch: int, size: int = BATCH) -> Batch:
    """Batch number `batch` of a seed; whole batches are the same however many are asked for."""
    rng = np.random.default_rng((seed, batch))
    signal = str(rng.choice(["ecg", "ppg"]))
    fs_hz = float(rng.choice(RATES_HZ))
    drawn = [_draw(rng, signal, fs_hz) for _ in range(size)]
    x = _typed(rng, np.stack([window.x for _, window in drawn]))
    return Batch(signal, fs_hz, x, [name for name, _ in drawn], [w for _, w in drawn])


def _draw(rng: Rng, signal: str, fs_hz: float) -> tuple[str, Window]:
    """What was drawn, in words, and the window."""
    n = round(SECONDS * fs_hz)
    if rng.random() < 0.08:
        name = str(rng.choice(list(_NO_HEART)))
        return name, Window(_NO_HEART[name](rng, n), np.empty(0), (), False)
    beats = _beats(rng)
    x = (_ecg if signal == "ecg" else _ppg)(rng, n, fs_hz, beats)
    x += rng.uniform(0, 0.02) * rng.standard_normal(n)
    x += rng.uniform(0, 0.3) * np.sin(2 * np.pi * (rng.uniform(0.1, 0.4) * np.arange(n) / fs_hz))
    spans: list[tuple[float, float]] = []
    words = []
    possible = [k for k in _DAMAGE if k != "spike" or fs_hz >= LEAST_SPIKE_HZ[signal]]
    for _ in range(int(rng.integers(0, 4))):
        name = str(rng.choice(possible))
        begin = float(rng.uniform(0, SECONDS))
        end = min(begin + float(rng.choice([0.0, 0.02, 0.3, 1.0, 4.0])), float(SECONDS))
        a, b = int(begin * fs_hz), max(int(end * fs_hz), int(begin * fs_hz) + 1)
        _DAMAGE[name](rng, x, a, b)
        spans.append((a / fs_hz, b / fs_hz))
        words.append(name)
    gain = 10 ** rng.uniform(-4, 4) * (rng.choice([-1, 1]) if signal == "ecg" else 1)
    with np.errstate(over="ignore", invalid="ignore"):
        x = gain * (x + rng.choice([0.0, 0.0, 5.0, -1000.0]))
    title = " + ".join(sorted(set(words))) or "clean"
    inside = beats[(beats >= 0) & (beats < SECONDS)]
    return title, Window(x, inside, _closed(spans, inside, FEWEST[signal], fs_hz), True)


def _closed(
    spans: list[tuple[float, float]], beats: Floats, fewest: int, fs_hz: float
) -> tuple[tuple[float, float], ...]:
    """Damage, and the stretches between it that are too short, or hold too few beats."""
    if not spans:
        return ()
    out: list[tuple[float, float]] = []
    for begin, end in [*sorted(spans), (float(SECONDS), float(SECONDS))]:
        before = max((e for _, e in out), default=0.0)
        inside = np.count_nonzero((beats > before + CUT_S) & (beats < begin - CUT_S))
        if 0 < begin - before < SHORTEST_S + 2 / fs_hz or (begin > before and inside < fewest):
            out.append((before, begin))
        out.append((begin, end))
    return tuple(out)


def _beats(rng: Rng) -> Floats:
    """Beat times of a steady, breathing, fibrillating or coupled heart of 40-180 /min."""
    mean = 60 / rng.uniform(40, 180)
    k = int(SECONDS / mean) + 12
    kind = rng.integers(4)
    if kind == 0:
        steps = np.full(k, mean)
    elif kind == 1:
        steps = mean * (1 + 0.06 * np.sin(np.arange(k) * rng.uniform(0.5, 2)))
    elif kind == 2:
        steps = (mean * rng.gamma(25, 1 / 25, k)).clip(0.33)
    else:
        steps = np.tile([mean * 0.75, mean * 1.25], k // 2 + 1)[:k].clip(0.33)
    return np.asarray(np.cumsum(steps) - 3 * mean + rng.uniform(0, mean), np.float64)


def _bumps(
    n: int, fs_hz: float, at_s: Floats, shape: tuple[tuple[float, float, float], ...]
) -> Floats:
    """Sum of Gaussians (height, delay s, width s) at every time."""
    x = np.zeros(n)
    for height, delay, width in shape:
        reach = int(4 * width * fs_hz) + 1
        centre = (at_s + delay) * fs_hz
        at = np.rint(centre).astype(int)[:, None] + np.arange(-reach, reach + 1)
        value = height * np.exp(-0.5 * ((at - centre[:, None]) / (width * fs_hz)) ** 2)
        inside = (at >= 0) & (at < n)
        np.add.at(x, at[inside], value[inside])
    return x


def _ecg(rng: Rng, n: int, fs_hz: float, beats: Floats) -> Floats:
    """P, QRS and T of one beat shape per window."""
    near = min(1.0, float(np.diff(beats).min()) / 0.6)
    r, width = rng.uniform(0.6, 1.6), rng.uniform(0.009, 0.02)
    t = rng.uniform(-0.1, 0.3) * r
    waves = (
        (0.1 * r, -0.16 * near, 0.02), (r, 0.0, width), (-rng.uniform(0, 0.4) * r, 0.03, 0.01),
        (t, 0.27 * near, 0.045 * near),
    )  # fmt: skip
    return _bumps(n, fs_hz, beats, waves)


def _ppg(rng: Rng, n: int, fs_hz: float, beats: Floats) -> Floats:
    """Systolic and dicrotic wave."""
    near = min(1.0, float(np.diff(beats).min()) / 0.75)
    notch = rng.uniform(0.1, 0.35)
    waves = ((1.0, 0.15 * near, 0.07 * near), (notch, 0.40 * near, 0.08 * near))
    return _bumps(n, fs_hz, beats, waves)


def _gap(_rng: Rng, x: Floats, a: int, b: int) -> None:
    x[a:b] = np.nan


def _infinite(rng: Rng, x: Floats, a: int, b: int) -> None:
    x[a:b] = rng.choice([np.inf, -np.inf, 1e300, np.nan], b - a)


def _flat(_rng: Rng, x: Floats, a: int, b: int) -> None:
    x[a:b] = x[max(a - 1, 0)]


def _spike(rng: Rng, x: Floats, a: int, b: int) -> None:
    most = min(3, max(1, int(LONGEST_SPIKE_S * x.size / SECONDS)))
    x[a : min(a + most, b)] += rng.choice([-1, 1]) * rng.uniform(5, 50)


def _step(rng: Rng, x: Floats, a: int, _b: int) -> None:
    x[a:] += rng.choice([-1, 1]) * rng.uniform(1, 5)


def _burst(rng: Rng, x: Floats, a: int, b: int) -> None:
    x[a:b] += rng.uniform(0.2, 3) * rng.standard_normal(b - a)


_DAMAGE: Final[dict[str, Callable[[Rng, Floats, int, int], None]]] = {
    "gap": _gap, "not finite": _infinite, "flat": _flat, "spike": _spike, "step": _step,
    "burst": _burst,
}  # fmt: skip
_NO_HEART: Final[dict[str, Callable[[Rng, int], Floats]]] = {
    "white noise": lambda rng, n: rng.standard_normal(n),
    "drift": lambda rng, n: np.cumsum(rng.standard_normal(n), dtype=np.float64),
    "uniform noise": lambda rng, n: rng.uniform(-1, 1, n),
    "constant": lambda rng, n: np.full(n, rng.choice([0.0, 1.0, -3.5])),
    "nothing": lambda _rng, n: np.full(n, np.nan),
    "tiny": lambda rng, n: np.asarray(5e-324 * rng.integers(0, 3, n), np.float64),
    "huge": lambda rng, n: rng.choice([np.inf, -np.inf, 1e300, -1e300], n),
}


def _typed(rng: Rng, x: Floats) -> NDArray[np.generic]:
    """The batch in one of the types and layouts devices deliver."""
    kind = rng.integers(4)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == 1:
            return x.astype(np.float32)
        if kind == 2:
            return x.astype(">f8")
        if kind == 3:
            wide = np.zeros((len(x), 2 * x.shape[1]))
            wide[:, ::2] = x
            return wide[:, ::2]
    return x
