"""The compiled forms of what the pulse wave's decisions do give the bits of the NumPy ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ecg import kernels
from features.ppg import choice, flat, motion, rises, segment, wave

Floats = NDArray[np.float64]

pytest.importorskip("numba")


def _both(
    monkeypatch: pytest.MonkeyPatch, work: Callable[[], tuple[NDArray[np.generic], ...]]
) -> tuple[tuple[NDArray[np.generic], ...], ...]:
    """With and without loops."""
    made = []
    for loops in (True, False):
        monkeypatch.setattr(kernels, "worth_it", lambda _, loops=loops: loops)
        made.append(work())
    return made[0], made[1]


def _same(one: tuple[NDArray[np.generic], ...], other: tuple[NDArray[np.generic], ...]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@pytest.mark.parametrize("fs_hz", [20.0, 41.0, 64.0, 125.0, 250.0])
@pytest.mark.parametrize("length_s", [2.2, 14.0])
def test_rises_are_the_same(monkeypatch: pytest.MonkeyPatch, fs_hz: float, length_s: float) -> None:
    rng = np.random.default_rng(1)
    t = np.arange(int(length_s * fs_hz)) / fs_hz
    rows = np.sin(2 * np.pi * rng.uniform(0.5, 4, (24, 1)) * t)
    rows += rng.uniform(0, 0.5, (24, 1)) * rng.standard_normal(rows.shape)
    rows[1] = np.round(rows[1])  # plateaus
    rows[2] = 3.0  # nothing at all
    rows[3, t.size // 2 :] = 0.0
    rows[4] *= 1e-12
    rows[5, : t.size // 4] += 40.0 * rng.standard_normal(t.size // 4)  # leaves a swing behind
    seen = wave.pulse_wave(rows, fs_hz)
    _same(*_both(monkeypatch, lambda: rises.rises(seen)))


def test_paths_of_candidates_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    for n_rows in (1, 7, 60):
        row = np.repeat(np.arange(n_rows), rng.integers(0, 40, n_rows))
        values = (
            np.sort(rng.uniform(0, 14, row.size)),  # time goes on from row to row: no matter
            rng.uniform(0.06, 2.5, row.size),
            rng.normal(0, 1, row.size),
            rng.normal(1, 1, row.size),
        )
        usual_s = rng.uniform(0.3, 1.5, n_rows)
        if row.size:
            paths = lambda: (choice._on_best_path(row, values, usual_s),)  # noqa: B023, E731
            _same(*_both(monkeypatch, paths))


def test_rates_that_are_followed_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    for n_windows in (1, 50):
        bpm = rng.uniform(30, 200, (n_windows, 6, motion.N_RATES))
        weight = rng.random(bpm.shape)
        absent = rng.random(bpm.shape) < 0.4
        absent[rng.random((n_windows, 6)) < 0.2] = True
        bpm[absent], weight[absent] = np.nan, 0.0
        _same(*_both(monkeypatch, lambda: tuple(motion.track(bpm, weight))))  # noqa: B023


@pytest.mark.parametrize("bins", [5, 6, 40, 421])
def test_the_strongest_rates_are_the_same(monkeypatch: pytest.MonkeyPatch, bins: int) -> None:
    rng = np.random.default_rng(4)
    for n_rows in (1, 12):
        salience = np.abs(rng.standard_normal((n_rows, bins)).cumsum(axis=1))
        salience[rng.random(salience.shape) < 0.2] = 0.0
        salience[0] = np.round(2 * salience[0]) / 2  # plateaus and equals
        salience[n_rows // 2] = 0.0 if n_rows > 1 else salience[0]
        at = np.arange(100, 100 + bins)
        _same(*_both(monkeypatch, lambda x=salience, at=at: motion._strongest(x, at, 0.05)))  # type: ignore[misc]


def test_segments_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    t = np.arange(1750) / 125.0
    rows = np.sin(2 * np.pi * rng.uniform(0.6, 3, (30, 1)) * t) + 0.3 * np.sin(9 * t)
    rows += rng.uniform(0, 0.4, (30, 1)) * rng.standard_normal(rows.shape)
    rows[1, 400:700] = np.nan
    rows[2] = np.clip(rows[2], -0.3, 0.3)  # on a rail
    rows[3] = 1.0
    rows[4, 900:] = rows[4, 900]
    rows[5] = np.nan
    rows[6, 800:803] += 30.0
    within = np.zeros(rows.shape, np.bool_)
    within[:25, 250:1500] = True  # five rows have no core

    def analysed() -> tuple[NDArray[np.generic], ...]:
        found = segment.analyse_ppg(rows, 125.0, within=within)
        return (*found.pulses, *found[1:-1])

    _same(*_both(monkeypatch, analysed))


def test_rates_offered_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    rows = np.sin(np.arange(1250) * rng.uniform(0.04, 0.2, (20, 1))) + rng.normal(size=(20, 1250))
    rows[3, 5] = np.nan
    _same(*_both(monkeypatch, lambda: tuple(motion.segment_rates(rows, 125.0, None, 0.0))))


@pytest.mark.parametrize("most", [1, 7, 47, 48, 49, 300])
def test_quantiles_of_rows_are_the_same(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    rng = np.random.default_rng(most)
    row = np.repeat(np.arange(9), rng.integers(0, most + 1, 9))
    values = np.round(rng.normal(size=row.size), 1)  # some are equal
    _same(*_both(monkeypatch, lambda: (flat.row_quantile(values, row, 9, 0.6),)))
