"""The catalogue rows of body signals name exactly what is computed, within their ranges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest

from features import baseline as personal
from features.column import Column
from features.derived import fresh as derived_fresh
from features.derived import heart_over_steps, shock_index, unexplained
from features.electrodermal import conductance_columns, half_seconds_of
from features.feature import FeatureReason
from features.motion.day import motion_row, night_columns, nonwear_column
from features.motion.epochs import epoch
from features.motion.windows import motion_columns, numbers_of, sleep_column
from features.night_signal import fresh as night_fresh
from features.night_signal import night
from features.oximetry import hour_columns, level_columns, saturation_row, seconds_of
from features.segment_rows import column
from features.spectrum_specs import SPECTRA
from features.tables import baseline, derived, electrodermal, motion, oximetry, spectra, temperature
from features.temperature import segment_median, slope_column, temperature_column
from features.waveform_spectra import segment_bins, spectral_columns

TABLES = (baseline, derived, electrodermal, motion, oximetry, spectra, temperature)
ROWS = {row.name: row for table in TABLES for row in table.FEATURES}
N = 24
Q = np.ones(N)


def rough(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Anything between two limits, a tenth of it missing."""
    x = rng.uniform(low, high, shape)
    x[rng.random(shape) < 0.1] = np.nan
    return x


def spectral(rng: np.random.Generator) -> Iterator[dict[str, Column]]:
    for spec in SPECTRA.values():
        x = rng.normal(size=(N * 6, 1280)) * 10.0 ** rng.integers(-6, 9, (N * 6, 1))
        x[rng.random(len(x)) < 0.2, 40:90] = np.nan
        yield spectral_columns(segment_bins(x, 128.0, spec).reshape(N, 6, -1), Q, spec)


def slow(rng: np.random.Generator) -> Iterator[dict[str, Column]]:
    seconds = rough(rng, (N, 540), 50, 100)
    yield level_columns(seconds, 60, Q)
    rows = np.stack([saturation_row(np.roll(seconds, i, axis=1)) for i in range(12)], axis=1)
    yield hour_columns(rows, Q)
    yield {"temp_mean_c": temperature_column(rough(rng, (N, 6), 15, 45), Q)}
    yield {"temp_slope_c_per_h": slope_column(rough(rng, (N, 12), 15, 45), Q)}
    yield conductance_columns(rough(rng, (N, 140), 0.05, 60), rng.random((N, 6)) < 0.2, Q)


def moved(rng: np.random.Generator) -> Iterator[dict[str, Column]]:
    scale = 10.0 ** rng.uniform(-3, 1.8, (1, N * 30, 1))
    axes = np.clip(rng.normal(size=(3, N * 30, 320)) * scale, -64, 64)
    axes[:, rng.random(N * 30) < 0.1] = np.nan
    numbers = numbers_of(epoch(*axes, 32.0)).reshape(N, 30, -1)
    yield motion_columns(numbers, Q)
    yield {"acc_sleep": sleep_column(numbers, Q)}
    hour = np.repeat(motion_row(numbers)[:, None], 12, axis=1)
    yield {"acc_nonwear": nonwear_column(hour, Q)}
    day = (N, 288)
    hr, rmssd = rough(rng, day, 10, 350), rough(rng, day, 0, 5800)
    yield night_columns(hr, rmssd, rng.integers(0, 2, day) * 1.0)


def combined(rng: np.random.Generator) -> Iterator[dict[str, Column]]:
    hr, sbp = rough(rng, (N,), 10, 350), rough(rng, (N,), 20, 320)
    yield {"shock_index": shock_index(hr, Q, sbp, rough(rng, (N,), -10, 20_000))}
    yield {"hros": heart_over_steps(hr, rough(rng, (N,), 0, 200), 1.0, Q)}
    mg, end_us = rough(rng, (N,), 0, 1e5), np.full(N, 60)
    rest = unexplained(derived_fresh(N), hr, mg, end_us, Q > 0)[1]
    yield {"hr_unexplained_bpm": column(rest, Q, Q, Q)}
    values = rough(rng, (N, personal.N_TRACKED), 0, 120)
    moment = personal.Moment(np.full(N, 10**15), np.zeros(N), np.zeros(N), np.zeros(N, np.bool_))
    deviation = personal.update(personal.fresh(N), values, moment, values > 0)[1]
    reason = np.full(values.shape, FeatureReason.GAP, np.uint8)
    yield personal.baseline_columns(deviation, values, reason)
    nights = night_fresh(N)
    for day in range(9):
        nights, level, _ = night(nights, rough(rng, (N,), 40, 70), np.full(N, day))
        yield {"night_signal": column(level, Q, Q, Q)}


def everything(seed: int) -> dict[str, list[Column]]:
    """Every column once or more, of inputs that range from calm to absurd."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[Column]] = {}
    for columns in chain(spectral(rng), slow(rng), moved(rng), combined(rng)):
        for name, values in columns.items():
            found.setdefault(name, []).append(values)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_every_row_is_computed_and_everything_computed_has_a_row_and_keeps_its_range(
    seed: int,
) -> None:
    found = everything(seed)
    assert set(found) == set(ROWS)
    for name, columns in found.items():
        row = ROWS[name]
        for values in columns:
            known = values.reason == FeatureReason.OK
            np.testing.assert_array_equal(np.isnan(values.value), ~known, err_msg=name)
            assert (values.value[known] >= row.lo).all(), (name, values.value[known].min())
            assert (values.value[known] <= row.hi).all(), (name, values.value[known].max())
            assert ((values.quality >= 0) & (values.quality <= 1)).all(), name
            assert ((values.coverage >= 0) & (values.coverage <= 1)).all(), name


@pytest.mark.parametrize("seed", range(40))
def test_segments_of_any_rate_length_and_content_raise_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(0, 5)), int(rng.integers(0, 400)))
    fs_hz = float(rng.choice([0.0, -1.0, np.nan, np.inf, 1e-9, 0.1, 1.0, 4.0, 25.0, 33.3, 1e6]))
    odd = np.array([np.nan, 0.0, 1.0, -1.0, 1e30, -1e30, 1e-310, 97.0, 64.0])
    axes = rng.choice(odd, (3, *shape))
    epochs = epoch(axes[0], axes[1], axes[2], fs_hz)
    numbers = numbers_of(epochs)
    assert numbers.shape == (shape[0], 21)
    motion_columns(numbers[:, None], np.ones(shape[0]))
    assert seconds_of(axes[0], fs_hz).shape == (shape[0], 10)
    assert half_seconds_of(axes[0], fs_hz).shape == (shape[0], 20)
    assert segment_median(axes[0]).shape == (shape[0],)
    for spec in SPECTRA.values():
        spectral_columns(segment_bins(axes[0], fs_hz, spec)[:, None], np.ones(shape[0]), spec)


def test_names_and_ids_are_unique_and_windows_known() -> None:
    rows = [row for table in TABLES for row in table.FEATURES]
    assert len({row.name for row in rows}) == len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert set(row.windows) <= {"60s", "300s", "3600s", "86400s"}, row.name
        assert row.lo < row.hi
        assert row.label
        assert row.minimum
        assert row.definition
