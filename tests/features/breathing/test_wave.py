"""The chest wave at 4 Hz."""

from __future__ import annotations

import numpy as np

from features.breathing import wave


def test_rows_are_read_off_between_samples_as_interp_does_bit_for_bit() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(20, 50))
    at = np.sort(rng.uniform(-2.0, 52.0, size=(20, 30)), axis=1)
    at[:, ::5] = np.rint(at[:, ::5])
    expected = [np.interp(a, np.arange(50), row) for a, row in zip(at, y, strict=True)]
    held = np.clip(at, 0.0, 49.0)
    np.testing.assert_array_equal(wave._read_off(y, held), expected)


def test_the_wave_of_a_row_does_not_depend_on_its_neighbours_and_stops_at_gaps() -> None:
    rng = np.random.default_rng(4)
    x = np.cumsum(rng.normal(size=(20, 350)), axis=1)
    x[3, 100:150] = np.nan
    x[5] = np.nan
    at = np.tile(np.arange(40) * 6.25 + 50.0, (20, 1))
    together = wave.breath_wave(x, 25.0, at)
    for i in range(20):
        alone = wave.breath_wave(x[i : i + 1], 25.0, at[i : i + 1])
        np.testing.assert_array_equal(together[i : i + 1], alone)
    gap = (at[3] > 99.0) & (at[3] < 150.0)
    np.testing.assert_array_equal(np.isnan(together[3]), gap)
    assert np.isnan(together[5]).all()
