"""Nobody is on both sides of a split, and every fold has its share."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.splits import (
    era_folds,
    nested,
    patient_folds,
    require_disjoint,
    rows_of,
    shared_groups,
    site_folds,
    split_hash,
)


def test_folds_hold_equal_shares_of_every_stratum() -> None:
    strata = (np.random.default_rng(1).random(1003) < 0.09).astype(np.int64)
    fold = patient_folds(strata, 5)
    for stratum in (0, 1):
        sizes = np.bincount(fold[strata == stratum], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert np.ptp(np.bincount(fold)) <= 1


def test_the_seed_decides_the_folds() -> None:
    strata = np.zeros(40, np.int64)
    assert np.array_equal(patient_folds(strata, 4, 3), patient_folds(strata, 4, 3))
    assert not np.array_equal(patient_folds(strata, 4, 3), patient_folds(strata, 4, 4))


def test_nested_folds_judge_everybody_once_and_choose_only_among_the_others() -> None:
    strata = np.arange(57) % 3
    judged = np.zeros(57, np.int64)
    for fold in nested(strata, 5, 4):
        judged += fold.test
        assert not (fold.train & fold.test).any()
        assert ((fold.inner >= 0) == fold.train).all()
        assert set(fold.inner[fold.train].tolist()) == {0, 1, 2, 3}
    assert (judged == 1).all()


def test_a_site_is_judged_by_the_others_and_the_unknown_ones_stay_out() -> None:
    site = np.array([0, 0, 1, 1, 1, -1])
    folds = list(site_folds(site))
    assert [f.test.nonzero()[0].tolist() for f in folds] == [[0, 1], [2, 3, 4]]
    assert not any(f.train[5] or f.test[5] for f in folds)
    assert folds[0].train.nonzero()[0].tolist() == [2, 3, 4]


def test_an_era_is_judged_by_those_before_it_only() -> None:
    time = np.random.default_rng(2).permutation(90)
    folds = list(era_folds(time, 3))
    assert len(folds) == 2
    for fold in folds:
        assert time[fold.train].max() < time[fold.test].min()


def test_who_came_at_once_is_of_one_era() -> None:
    time = np.array([1, 1, 1, 1, 2, 2, 2, 9])
    for fold in era_folds(time, 2):
        assert not set(time[fold.train]) & set(time[fold.test])


def test_a_patient_on_both_sides_is_refused_by_name() -> None:
    assert shared_groups(["p1", "p2"], ["p3"]) == ()
    require_disjoint(["p1", "p2"], ["p3"])
    with pytest.raises(ValueError, match="1 on both sides of a split: p2"):
        require_disjoint(["p1", "p2"], ["p2", "p3"])


def test_rows_follow_their_patient() -> None:
    chosen = np.array([True, False, True])
    assert rows_of(chosen, np.array([0, 0, 1, 2])).tolist() == [True, True, False, True]


def test_too_few_patients_make_no_folds() -> None:
    with pytest.raises(ValueError, match="2 patients cannot make 3 folds"):
        patient_folds(np.zeros(2, np.int64), 3)


def test_the_hash_of_a_split_knows_who_is_where_but_not_the_order() -> None:
    fold = np.array([0, 1, 0])
    one = split_hash(["a", "b", "c"], fold)
    assert one == split_hash(["c", "a", "b"], np.array([0, 0, 1]))
    assert one != split_hash(["a", "b", "c"], np.array([1, 0, 0]))
