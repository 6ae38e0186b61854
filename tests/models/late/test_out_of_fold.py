"""A stacker must learn from members that never saw the patient; one that does not is caught."""

from __future__ import annotations

import numpy as np
import pytest

from models.late.out_of_fold import StackedRows, check_out_of_fold, folds_of, leak, out_of_fold
from models.late.stack import fit_stack

N_PATIENTS, HOURS = 400, 5
GROUP = np.repeat(np.arange(N_PATIENTS), HOURS)
X = np.repeat(np.random.default_rng(0).normal(size=(N_PATIENTS, 8)), HOURS, axis=0)
X = X + 0.05 * np.random.default_rng(1).normal(size=X.shape)


def nearest(train: np.ndarray, score: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A member that memorises: the label of the nearest training row, as a logit."""
    distance = ((X[score][:, None, :] - X[train][None]) ** 2).sum(axis=2)
    return 4.0 * (target[train][distance.argmin(axis=1)] - 0.5)


def shuffles(n: int = 3) -> list[np.ndarray]:
    found = []
    for seed in range(n):
        label = np.random.default_rng(seed).random(N_PATIENTS) < 0.4
        found.append(label.astype(np.float64)[GROUP])
    return found


def in_fold(target: np.ndarray) -> np.ndarray:
    every = np.arange(len(target))
    return nearest(every, every, target)[:, None]


def by_row(target: np.ndarray) -> np.ndarray:
    """The commoner mistake: folds of rows, so that a patient's other hours are in training."""
    rows = np.arange(len(target))
    logit = np.full((len(target), 1), np.nan)
    for held in range(5):
        train, score = rows[rows % 5 != held], rows[rows % 5 == held]
        logit[score, 0] = nearest(train, score, target)
    return logit


def test_an_in_fold_stacker_is_caught() -> None:
    assert leak(in_fold, shuffles()) > 0.95


def test_folds_of_rows_are_caught_too() -> None:
    assert leak(by_row, shuffles()) > 0.95


def test_folds_of_patients_leak_nothing() -> None:
    assert leak(lambda y: out_of_fold([nearest], y, GROUP).logit, shuffles()) < 0.55


def test_a_patient_in_two_folds_is_refused_before_anything_is_fitted() -> None:
    rows = StackedRows(np.zeros((4, 1)), np.array([0, 1, 1, 1]), np.array([5, 6, 6, 5]))
    with pytest.raises(ValueError, match="patient 5"):
        fit_stack(rows, np.array([0.0, 1.0, 0.0, 1.0]))
    check_out_of_fold(rows._replace(fold=np.array([0, 1, 1, 0])))


def test_a_member_that_peeks_at_the_held_out_target_finds_nothing_there() -> None:
    target = shuffles(1)[0]
    rows = out_of_fold([lambda train, score, y: y[score]], target, GROUP)
    assert np.isnan(rows.logit).all()


def test_every_patient_lies_in_one_fold_and_folds_are_of_a_size() -> None:
    fold = folds_of(GROUP, 5)
    assert all(len(np.unique(fold[g == GROUP])) == 1 for g in range(N_PATIENTS))
    assert np.bincount(fold).tolist() == [N_PATIENTS * HOURS // 5] * 5


@pytest.mark.parametrize("n", [1, 401])
def test_an_impossible_number_of_folds_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="folds"):
        folds_of(GROUP, n)
