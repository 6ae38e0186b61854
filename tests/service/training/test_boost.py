"""Forests as arrays say what LightGBM says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.trees import Trees
from service.training import boost

pytest.importorskip("lightgbm")
SMALL = boost.Recipe(rounds=12, min_data_in_leaf=5, feature_fraction=0.8)


def _grown(missing: float = 0.2):
    random = np.random.default_rng(0)
    x = random.standard_normal((2000, 6)).astype(np.float32)
    x[random.random(x.shape) < missing] = np.nan
    gain = np.nan_to_num(x[:, 0]) + np.isnan(x[:, 3]) - 0.3 * np.nan_to_num(x[:, 2] * x[:, 1])
    return boost.grow(x, *boost.of_worth(gain, np.ones(len(x))), SMALL, 0), x


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_arrays_give_the_logits_of_the_booster(missing: float) -> None:
    booster, x = _grown(missing)
    arrays, depth = boost.arrays(booster, np.arange(6), 6)
    trees = Trees(*arrays["column"].shape, depth, 6)
    trees.take(arrays)
    x[::7, 4] = np.nan  # never missing in training, perhaps
    ours = trees(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours, boost.raw(booster, x), atol=2e-6)


def test_a_threshold_between_two_float32_numbers_divides_them_as_before() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    between = (float(low) + float(high)) / 2
    kept = boost._at_most(between)
    assert low <= kept < high


def test_columns_are_those_of_the_whole_vector() -> None:
    booster, x = _grown()
    places = np.array([9, 3, 5, 0, 1, 7])
    arrays, depth = boost.arrays(booster, places, 10)
    trees = Trees(*arrays["column"].shape, depth, 10)
    trees.take(arrays)
    whole = np.full((len(x), 10), 123.0, np.float32)
    whole[:, places] = x
    np.testing.assert_allclose(
        trees(torch.from_numpy(whole)).numpy(), boost.raw(booster, x), atol=2e-6
    )


def test_thinned_rows_stand_for_those_left_out() -> None:
    septic = np.arange(10_000) % 10 == 0
    rows, weight = boost.chosen(septic, 0.4, np.random.default_rng(0))
    assert septic[rows].sum() == septic.sum()
    assert abs(weight.sum() / len(septic) - 1) < 0.03


def test_the_same_seed_grows_the_same_forest() -> None:
    assert boost.text(_grown()[0]) == boost.text(_grown()[0])
