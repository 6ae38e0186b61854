"""Quartiles of rows of unequal length."""

from __future__ import annotations

import numpy as np

from features.breathing.ragged import quartiles


def test_quartiles_of_every_row_equal_numpys() -> None:
    rng = np.random.default_rng(1)
    counts = [5, 0, 1, 2, 40, 3, 0]
    row = np.repeat(np.arange(len(counts)), counts)
    values = rng.normal(size=row.size)
    found = np.stack(quartiles(values, row, len(counts)))
    for i, count in enumerate(counts):
        if count:
            np.testing.assert_allclose(
                found[:, i], np.quantile(values[row == i], (0.25, 0.5, 0.75))
            )
        else:
            assert np.isnan(found[:, i]).all()


def test_no_values_at_all_give_nan() -> None:
    assert np.isnan(quartiles(np.empty(0), np.empty(0, np.intp), 3)).all()
