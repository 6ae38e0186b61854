"""Compiled loops over windows, beats and intervals give the bits of the NumPy beside them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features import beat_intervals, beat_windows, gather, spectra
from features.breathing import apnoea, series, spectrum, tracking, wave
from features.ecg import kernels, standstill
from features.ecg.candidates import Block
from features.feature import FeatureReason
from features.motion.epochs import epochs_of
from features.ppg import moved
from features.spectrum_specs import SPECTRA
from features.variability import correction, fragmentation, prsa, time_domain
from features.variability.rows import NnRows
from features.waveform_spectra import spectral_columns

Arrays = tuple[NDArray[np.generic], ...]

pytest.importorskip("numba")


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Arrays]], None]:
    """Checks that work gives the same with and without loops."""

    def compare(work: Callable[[], Arrays]) -> None:
        made = []
        for loops in (True, False):
            monkeypatch.setattr(kernels, "worth_it", lambda _, loops=loops: loops)
            made.append(work())
        for one, other in zip(*made, strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")

    return compare


Both = Callable[[Callable[[], Arrays]], None]


def _disturbed(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Intervals with missed, extra and early beats, and stretches of nonsense."""
    nn = rng.uniform(300, 1400) * (1 + rng.choice([0.001, 0.02, 0.3]) * rng.standard_normal(n))
    nn = np.round(nn / 8) * 8 if rng.random() < 0.3 else nn
    luck = rng.random(n)
    nn = np.where(luck < 0.04, nn * 2, np.where(luck < 0.08, nn * 0.5, nn))
    for i in np.flatnonzero(rng.random(max(n - 1, 0)) < 0.06):
        nn[i], nn[i + 1] = nn[i] * 0.6, nn[i + 1] * 1.4
    for i in np.flatnonzero(rng.random(n) < 0.01):
        nn[i : i + 7] *= rng.uniform(0.2, 9)
    return np.abs(nn) + 1.0


def _intervals(
    rng: np.random.Generator, n_rows: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    sizes = rng.choice([0, 1, 2, 3, 4, 5, 6, 20, 100, 400], n_rows)
    row = np.repeat(np.arange(n_rows), sizes)
    joined = rng.random(row.size) > rng.choice([0.0, 0.02, 0.3])
    joined &= np.diff(row, prepend=-1) == 0
    return np.concatenate([_disturbed(rng, n) for n in sizes]), row, joined


def test_intervals_are_judged_and_corrected_the_same(both: Both) -> None:
    rng = np.random.default_rng(1)
    for n_rows in [1, 2, 20] * 30:
        nn, row, joined = _intervals(rng, n_rows)

        def work() -> Arrays:
            kind = correction.classify(nn, row, joined, n_rows)  # noqa: B023
            return kind, *correction.correct(nn, row, joined, kind)  # noqa: B023

        both(work)


def test_measures_of_intervals_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(8)
    for n_rows in [1, 2, 20] * 20:
        nn, row, joined = _intervals(rng, n_rows)
        stepped = joined & (rng.random(row.size) > rng.choice([0.0, 0.1]))
        nn = 700.0 + rng.choice([1.0, 20.0]) * np.round(nn / rng.choice([7, 90]))
        asked = NnRows(nn, row, joined, stepped, np.zeros(row.size, np.int64), n_rows)

        def work() -> Arrays:
            with np.errstate(all="ignore"):
                found = time_domain.time_domain(asked), prsa.capacities(asked)  # noqa: B023
                return *found[0], *found[1], *fragmentation.fragmentation(asked)  # noqa: B023

        both(work)


def test_spectra_of_intervals_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(10)
    for n_rows in [1, 3, 40] * 8:
        sizes = rng.choice([0, 3, 9, 60, 400, 2500], n_rows, p=[0.1, 0.1, 0.1, 0.3, 0.35, 0.05])
        row = np.repeat(np.arange(n_rows), sizes)
        nn = rng.choice([250.0, 1000.0], row.size) * rng.uniform(0.8, 1.25, row.size)
        step_us = np.rint(nn * 1000).astype(np.int64) + 20_000_000 * (rng.random(row.size) < 0.01)
        step_us = (step_us // 250_000 + 1) * 250_000 if rng.random() < 0.3 else step_us

        def work() -> Arrays:
            return spectra.nn_spectrum(np.cumsum(step_us), nn, row, n_rows)  # noqa: B023

        both(work)


def test_intervals_between_beats_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(2)
    for n_rows in [1, 5, 30] * 10:
        sizes = rng.choice([0, 1, 2, 60, 120], n_rows)
        row = np.repeat(np.arange(n_rows), sizes)
        times_us = rng.integers(-40_000_000, 70_000_000, row.size)
        order = np.lexsort((times_us, row))
        times_us = np.where(rng.random(row.size) < 0.98, times_us[order], 0)  # some not ascending
        run = np.cumsum(rng.random(row.size) < 0.05)
        beats = beat_intervals.Beats(row, times_us, run, rng.random(row.size) < 0.1)
        length_us = np.full(n_rows, 60_000_000)

        def work() -> Arrays:
            found = beat_intervals.intervals_with_context(beats, length_us)  # noqa: B023
            return *found[:5], *found.corrected

        both(work)


def _slotted(rng: np.random.Generator, n_rows: int, n_numbers: int) -> gather.Slotted:
    """Segments of windows of three slots, numbers missing or absurd now and then."""
    row = np.repeat(np.arange(n_rows), 3)
    slot = np.tile(np.arange(-1, 2), n_rows) + rng.integers(0, 2, row.size)
    lines = rng.random((row.size, n_numbers)) ** 6 * rng.choice([0.0, 1e-3, 1.0, 300.0])
    strange = rng.choice([np.nan, np.inf, 0.0], lines.shape)
    lines = np.where(rng.random(lines.shape) < 0.01, strange, lines)
    kept = (slot >= 0) & (slot < 3) & (rng.random(row.size) < 0.8)
    return gather.Slotted(row, slot, kept, lines.astype(np.float32), 3)


def test_movement_and_what_it_explains_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(5)
    for n_rows in [1, 4, 30] * 10:
        acc, ppg = _slotted(rng, n_rows, 80), _slotted(rng, n_rows, 70)
        same = rng.random(n_rows) < 0.8

        def work() -> Arrays:
            with np.errstate(all="ignore"):
                found = moved.moved(acc, ppg, same, moved.Where(3, 21, 9))  # noqa: B023
            return *found.movement, found.share

        both(work)


def _chest(rng: np.random.Generator, n_rows: int, n: int) -> NDArray[np.float64]:
    """Chest waves with pauses, gaps and stretches that do not move."""
    t = np.arange(n) / 4
    wave = np.sin(rng.uniform(0.5, 2.5, (n_rows, 1)) * t) + 0.05 * rng.standard_normal((n_rows, n))
    for r in range(n_rows):
        for size in rng.choice([np.nan, 0.0, 0.05, 0.19, 1.0], 3):
            at = rng.integers(0, n)
            wave[r, at : at + rng.integers(1, 120)] *= size
    wave[rng.random(n_rows) < 0.1] = rng.choice([0.0, np.nan])
    return wave


def test_breaths_and_pauses_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(6)
    for n_rows, n in [(1, 240), (5, 240), (30, 1200), (3, 17), (2, 5)] * 8:
        chest = _chest(rng, n_rows, n)

        def work() -> Arrays:
            found = wave.breaths(chest, 4.0)  # noqa: B023
            return *found, apnoea.apnoea_s(chest)  # noqa: B023

        both(work)


def test_spectra_of_windows_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(9)
    for n_rows, n_segments in [(1, 6), (20, 6), (3, 1), (2, 30)] * 6:
        for spec in SPECTRA.values():
            bins = rng.random((n_rows, n_segments, spec.n_bins)).astype(np.float32) ** 8
            bins[rng.random(bins.shape[:2]) < rng.choice([0.0, 0.3])] = np.nan
            bins[:, :, rng.integers(1, spec.n_bins) :] = rng.choice([np.nan, 0.0, 1.0])
            bins *= rng.choice([0.0, 1e-9, 1.0], (n_rows, 1, 1)).astype(np.float32)

            def work() -> Arrays:
                with np.errstate(all="ignore"):
                    made = spectral_columns(bins, np.ones(n_rows), spec)  # noqa: B023
                return tuple(field for column in made.values() for field in column)

            both(work)


def test_epochs_of_movement_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(7)
    for n_rows, n in [(1, 320), (20, 250), (3, 1), (2, 7), (5, 1000)] * 5:
        axes = rng.choice([0.01, 0.3, 2.0]) * rng.standard_normal((3, n_rows, n)) + 0.5
        axes[rng.random(axes.shape) < rng.choice([0.0, 0.02])] = np.nan
        axes[rng.random(axes.shape) < rng.choice([0.0, 0.01])] = 500.0
        axes[:, rng.random(n_rows) < 0.2] = np.nan
        both(lambda: tuple(epochs_of(axes, 32.0)))  # noqa: B023


def _segments(rng: np.random.Generator, n_rows: int) -> tuple[gather.Rows, gather.Segments]:
    """Windows of a minute, their segments, and beats in these."""
    start_us = rng.integers(0, 10, n_rows) * 10_000_000
    sizes = rng.choice([0, 1, 3, 7], n_rows)
    row = np.repeat(np.arange(n_rows), sizes)
    place = np.arange(row.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    begin_us = start_us[row] + (place - 1) * 10_000_000
    n_events = rng.choice([0, 1, 12], row.size)
    at = np.repeat(np.arange(row.size), n_events)
    step = np.arange(at.size) - np.repeat(np.cumsum(n_events) - n_events, n_events)
    times_us = begin_us[at] + step * 830_000 + rng.integers(0, 200_000, at.size)
    run = (step > 6).astype(np.int64)
    extra = np.empty((at.size, 0), np.float32)
    events = gather.Events(row[at], at, times_us, rng.uniform(0, 2, at.size), run, extra)
    reason = rng.choice([0, 0, 0, 2, 5], row.size).astype(np.uint8)
    segments = gather.Segments(
        row,
        begin_us,
        begin_us + rng.choice([10_000_000, 4_000_000], row.size),
        rng.random(row.size).astype(np.float32),
        rng.random(row.size).astype(np.float32),
        reason,
        reason == FeatureReason.OK,
        rng.random(row.size) < 0.8,
        rng.random(row.size) < 0.8,
        n_events,
        np.empty((row.size, 0), np.float32),
        events,
    )
    end_us = start_us + 60_000_000
    first_us = start_us + rng.integers(-3, 8, n_rows) * 10_000_000
    return gather.Rows(start_us, end_us, first_us, first_us < end_us), segments


def test_support_of_windows_is_the_same(both: Both) -> None:
    rng = np.random.default_rng(3)
    for n_rows in [1, 2, 40] * 10:
        asked = _segments(rng, n_rows)
        both(lambda: tuple(gather.support_of(*asked)))  # noqa: B023


def test_beats_across_borders_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(4)
    for n_rows in [1, 2, 40] * 10:
        asked = _segments(rng, n_rows)
        refractory_us = np.full(n_rows, 600_000)

        def work() -> Arrays:
            found = beat_windows.found_beats(*asked, refractory_us)  # noqa: B023
            return *found.events, found.run

        both(work)


def test_series_of_beats_on_a_grid_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(5)
    for n_rows in [1, 3, 30] * 10:
        sizes = rng.choice([0, 1, 2, 60, 90], n_rows)
        row = np.repeat(np.arange(n_rows), sizes)
        times_us = rng.integers(0, 60_000_000, row.size)
        times_us = times_us[np.lexsort((times_us, row))]
        run = np.cumsum(rng.random(row.size) < 0.1)
        values = (rng.standard_normal(row.size), rng.integers(0, 4, row.size) * 1.0)
        if row.size:
            values[0][rng.random(row.size) < 0.02] = np.nan
        asked = series.Series(row, times_us, run, values)
        both(lambda: series.on_grid(asked, n_rows, 240))  # noqa: B023


def test_sums_around_beats_are_the_same(both: Both) -> None:
    rng = np.random.default_rng(6)
    for n_rows in [1, 3, 30] * 5:
        sizes = rng.choice([0, 1, 2, 8, 9, 10, 18, 129, 140], n_rows)
        row = np.repeat(np.arange(n_rows), sizes)
        peak = rng.integers(0, 1750, row.size)
        slow = rng.standard_normal((n_rows, 1750))
        nothing = np.zeros(n_rows)
        block = Block(slow, slow, slow, nothing, nothing, 125.0)
        both(lambda: tuple(standstill.mean_beats(block, row, peak)))  # noqa: B023


def test_series_are_made_ready_for_a_spectrum_the_same(both: Both) -> None:
    rng = np.random.default_rng(5)
    for n_rows in (1, 2, 30):
        for n in (64, 77, 130, 240, 480):
            x = rng.standard_normal((n_rows, n)).cumsum(axis=1)
            x *= 10 ** rng.uniform(-12, 12, (n_rows, 1))
            x[rng.random(x.shape) < 0.05] = np.nan
            x[0, : rng.integers(n)] = rng.choice([np.nan, np.inf, 5.0, 0.0])
            both(lambda x=x: spectrum._tapered(x))  # type: ignore[misc]


def test_a_rate_is_followed_the_same(both: Both) -> None:
    rng = np.random.default_rng(6)
    for n_rows in (1, 2, 40):
        p = rng.random((n_rows, spectrum.N_RATES)) ** 8
        hops = rng.choice([0.5, 1.0, 2.0, 29.0], n_rows)
        both(lambda p=p, hops=hops: (tracking._predicted(p, hops),))  # type: ignore[misc]
