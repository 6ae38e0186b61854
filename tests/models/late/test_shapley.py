"""Exact shares: they add up, a bystander gets nothing, and twins get the same."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from models.late.shapley import shapley, subsets


def values(m: int) -> list[np.ndarray]:
    return list(np.random.default_rng(m).normal(size=(2**m, 5)))


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_shares_add_up_to_what_all_bring(m: int) -> None:
    value = values(m)
    assert np.allclose(sum(shapley(value, m)), value[-1] - value[0], atol=1e-12)


def test_a_share_is_the_mean_gain_over_every_order_of_arrival() -> None:
    value, m = values(3), 3
    gains = np.zeros((m, 5))
    for order in permutations(range(m)):
        index = 0
        for who in order:
            gains[who] += value[index | 1 << who] - value[index]
            index |= 1 << who
    assert np.allclose(shapley(value, m), gains / 6)


def test_who_changes_nothing_gets_exactly_nothing() -> None:
    base = values(2)
    value = [base[i & 3] for i in range(8)]  # the third modality is ignored
    assert np.all(shapley(value, 3)[2] == 0.0)


@pytest.mark.parametrize("m", [0, 7])
def test_more_modalities_than_can_be_tried_are_refused(m: int) -> None:
    with pytest.raises(ValueError, match="modalities"):
        subsets(m)
