"""Resampling draws patients whole, the same for what is compared."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.bootstrap import bootstrap, counts, interval, paired, ratio, replicate


def test_every_draw_has_as_many_patients_and_the_seed_decides_which() -> None:
    first = np.concatenate(list(counts(13, 130, seed=4)))
    again = np.concatenate(list(counts(13, 130, seed=4)))
    other = np.concatenate(list(counts(13, 130, seed=5)))
    assert first.shape == (130, 13)
    assert (first.sum(axis=1) == 13).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_strata_keep_their_size() -> None:
    strata = np.array([0, 0, 0, 1, 1])
    drawn = np.concatenate(list(counts(5, 50, strata=strata)))
    assert (drawn[:, :3].sum(axis=1) == 3).all()
    assert (drawn[:, 3:].sum(axis=1) == 2).all()


def test_the_interval_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(6).normal(10, 2, 400)
    got = bootstrap(ratio(values, np.ones(400)), 400)[0]
    half = 1.96 * values.std() / 20
    assert got.value == pytest.approx(values.mean())
    assert got.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(7)
    held = 0
    for trial in range(200):
        values = random.normal(0, 1, 80)
        got = bootstrap(ratio(values, np.ones(80)), 80, 300, seed=trial)[0]
        held += got.low <= 0 <= got.high
    assert 0.88 <= held / 200 <= 0.99


def test_a_difference_of_the_same_thing_is_exactly_none() -> None:
    values = np.random.default_rng(8).normal(size=50)
    same = ratio(values, np.ones(50))
    assert paired(same, same, 50)[0] == (0.0, 0.0, 0.0)


def test_pairing_is_narrower_than_two_intervals() -> None:
    random = np.random.default_rng(9)
    patient = random.normal(0, 5, 200)
    better = patient + 0.5 + random.normal(0, 0.1, 200)
    ones = np.ones(200)
    gap = paired(ratio(better, ones), ratio(patient, ones), 200)[0]
    assert 0.4 < gap.low < gap.high < 0.6


def test_a_statistic_that_is_rarely_defined_has_no_interval() -> None:
    values = np.zeros(60)
    values[0] = 1.0
    whole, draws = replicate(ratio(values, values), 60, 200)
    assert whole[0] == 1
    assert np.isnan(interval(1.0, draws[:, 0]).low)


def test_no_replicates_leave_the_interval_open() -> None:
    got = bootstrap(ratio(np.ones(4), np.ones(4)), 4, 0)[0]
    assert got.value == 1
    assert np.isnan(got.low)
