"""Logits of members that never saw the row's patient: all that a stacker may learn from.

A stacker fitted on logits its members made of their own training rows learns whom to trust from
memory, not from skill. `StackedRows` can only be made out of fold, and `leak` measures whether a
pipeline leaks. Not here: splitting by site or era (`models.evaluation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.ranking import auroc
from models.late.fused import Floats

Rows = NDArray[np.int64]
Fit = Callable[[Rows, Rows, Floats], Floats]  # train rows, rows to score, target -> their logits


class StackedRows(NamedTuple):
    """Out-of-fold logits of M members on N rows."""

    logit: Floats  # [N, M] NaN = absent
    fold: Rows  # [N] the fold that scored the row, and whose rows trained no member for it
    group: Rows  # [N] patient


def folds_of(group: Rows, n_folds: int) -> Rows:
    """Fold of each row, whole patients together, in round robin over sorted patients.

    Parameters
    ----------
    group : (N,) int64
        Patient of each row.
    n_folds : int
        At least 2.

    Returns
    -------
    (N,) int64
        0 to n_folds - 1.

    Raises
    ------
    ValueError
        If there are fewer patients than folds, or fewer than 2 folds.

    Examples
    --------
    >>> folds_of(np.array([7, 7, 3, 9]), 2).tolist()
    [1, 1, 0, 0]
    """
    patients, index = np.unique(group, return_inverse=True)
    if not 2 <= n_folds <= len(patients):
        raise ValueError(f"{n_folds} folds of {len(patients)} patients: 2 <= folds <= patients")
    return index.astype(np.int64) % n_folds


def out_of_fold(
    members: Sequence[Fit], target: Floats, group: Rows, n_folds: int = 5
) -> StackedRows:
    """Logits of every row by members fitted without the row's patient.

    Parameters
    ----------
    members : sequence of M callables
        Each fits on the rows of its first argument and returns logits of the rows of its second.
    target : (N,) float64
        Handed to the members with the held-out rows set to NaN: one that peeks shows it.
    group : (N,) int64
        Patient of each row; never in two folds.
    n_folds : int

    Returns
    -------
    StackedRows
    """
    fold = folds_of(group, n_folds)
    logit = np.full((len(target), len(members)), np.nan)
    for held in range(n_folds):
        train, score = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        shown = np.where(fold == held, np.nan, target)
        for column, fit in enumerate(members):
            logit[score, column] = fit(train, score, shown)
    return StackedRows(logit, fold, group)


def check_out_of_fold(rows: StackedRows) -> None:
    """Raise unless every patient lies in one fold.

    Raises
    ------
    ValueError
        Naming the first patient that lies in two: its rows trained the member that scored it.
    """
    order = np.lexsort((rows.fold, rows.group))
    group, fold = rows.group[order], rows.fold[order]
    crossing = (group[1:] == group[:-1]) & (fold[1:] != fold[:-1])
    if crossing.any():
        patient = int(group[1:][crossing][0])
        raise ValueError(f"patient {patient} lies in two folds: its stacker was fitted in fold")


def leak(make_logits: Callable[[Floats], Floats], shuffled: Sequence[Floats]) -> float:
    """How much logits know of targets that nothing can know.

    Parameters
    ----------
    make_logits : callable
        The whole pipeline that makes a stacker's training rows: (N,) target to (N, M) logits.
    shuffled : sequence of (N,) float64
        Targets permuted over whole patients, so that no input predicts them.

    Returns
    -------
    float
        Largest mean AUROC of a member over the shuffles; 0.5 when out of fold, near 1 when
        members score the rows they memorised. Above 0.55 with a thousand patients is a leak.
    """
    scores = [
        [auroc(target > 0.5, column) for column in make_logits(target).T] for target in shuffled
    ]
    return float(np.max(np.mean(scores, axis=0)))
